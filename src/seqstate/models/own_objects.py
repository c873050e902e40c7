"""The functions and classes that a model's author wrote, under names that can't be confused.

Keras saves a function or a class by its name. Two closures of one function share theirs, a
lambda has none, and a cell of a notebook that runs again takes the name of the class before it.
While a model is made anew in the same process each of them gets a name of its own, so that the
new model holds the very same objects.
"""

from __future__ import annotations

import threading
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras

from seqstate.errors import ArgumentError, message
from seqstate.models.config_nodes import every_object

# Functions are shared by all threads, and so is the name that one has for a moment.
_naming = threading.RLock()


class OwnObjects:
    """What a model's author wrote, by the names in its config.

    Args:
        roots: where to look: a model, its optimizer, its metrics.
        where: who asks, for messages.

    Attributes:
        by_name: each function and class; Keras's `custom_objects`.

    Raises:
        ArgumentError: two classes, or two registered functions, have one name.
    """

    def __init__(self, roots: Any, where: str) -> None:
        self.where = where
        self.by_name: dict[str, Any] = {}
        self._names: dict[tuple[str, str], str] = {}
        self._without_name: list[tuple[Any, str]] = []
        for count, one in enumerate(_written_by_the_author(roots)):
            name = f"seqstate_{count}_{one.__name__}"
            self.by_name[name] = one
            registered = keras.saving.get_registered_name(one)
            is_function = isinstance(one, types.FunctionType)
            if is_function and registered == one.__name__:
                self._without_name.append((one, name))
                continue
            key = ("function" if is_function else one.__module__, registered)
            if key in self._names:
                raise self._two_of_one_name(self.by_name[self._names[key]], one)
            self._names[key] = name
            # A get_config may name a class in a way of its own.
            self.by_name.setdefault(one.__name__, one)

    @contextmanager
    def named(self) -> Iterator[None]:
        """Give each function its name in `by_name` while a config is written."""
        with _naming:
            before = [one.__name__ for one, _ in self._without_name]
            try:
                for one, name in self._without_name:
                    one.__name__ = name
                yield
            finally:
                for (one, _), name in zip(self._without_name, before, strict=True):
                    one.__name__ = name

    def name_in(self, config: Any) -> None:
        """Give each class, and each function that is registered, its name in a config."""
        for node in every_object(config):
            kind, registered = node["class_name"], node.get("registered_name")
            if kind == "__lambda__":
                raise ArgumentError(
                    message(
                        self.where,
                        "the model holds a lambda in a place where it can't be found again.",
                        "Use a function with a name, and register it with "
                        "keras.saving.register_keras_serializable.",
                    )
                )
            if kind == "function":
                name = self._names.get(("function", registered or ""))
                if name is not None:
                    node["config"] = node["registered_name"] = name
                continue
            # Keras leaves out the module of what a notebook or a script defines.
            module = node.get("module") or "__main__"
            name = self._names.get((module, registered or kind))
            if name is not None:
                node["registered_name"] = name

    def _two_of_one_name(self, first: Any, second: Any) -> ArgumentError:
        return ArgumentError(
            message(
                self.where,
                f'two different objects have the name "{first.__name__}": '
                f"{first.__module__}.{first.__qualname__} and "
                f"{second.__module__}.{second.__qualname__}; a config can't tell them apart.",
                "Rename one of them. In a notebook, make the whole model anew after a cell that "
                "defines a class of its layers ran again.",
            )
        )


def _written_by_the_author(roots: Any) -> Iterator[Any]:
    """Yield the functions, and the classes of the objects, that are held somewhere below."""
    seen: set[int] = set()
    todo = [roots]
    while todo:
        one = todo.pop()
        if id(one) in seen or isinstance(one, type | keras.Variable):
            continue
        seen.add(id(one))
        if isinstance(one, types.FunctionType):
            if _is_own(one):
                yield one
        elif isinstance(one, Mapping):
            todo.extend(one.values())
        elif isinstance(one, list | tuple | set):
            todo.extend(one)
        elif hasattr(one, "get_config"):
            if id(type(one)) not in seen and _is_own(type(one)):
                yield type(one)
            seen.add(id(type(one)))
            todo.extend(getattr(one, "__dict__", {}).values())


def _is_own(one: Any) -> bool:
    return str(one.__module__).partition(".")[0] not in ("keras", "seqstate")
