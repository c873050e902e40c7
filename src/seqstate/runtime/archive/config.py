"""The config of one layer, read with care."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from seqstate.errors import DataError, message

# What a config says of training, of the session that wrote it, or of nothing that is computed.
_BESIDE = (
    "build_config",
    "compile_config",
    "dtype",
    "module",
    "registered_name",
    "seed",
    "shared_object_id",
    "stateful",
    "trainable",
    "unroll",
)
_ENDINGS = ("_initializer", "_regularizer", "_constraint", "dropout")


class Config:
    """What a file says of an object: its class, and its arguments by name.

    Args:
        written: as Keras serializes an object.
        where: the file, for messages.

    Attributes:
        kind: the name of the class; of a class of seqstate with `seqstate>` before it, of one that
            is neither Keras's nor ours with what it is registered as.
    """

    def __init__(self, written: Any, where: str) -> None:
        if not isinstance(written, Mapping) or not isinstance(written.get("class_name"), str):
            raise _wrong(where, f"a layer is written as {_shown(written)}")
        self.written = written
        self.file = where
        given = written.get("config", {})
        # Keras 2 wrote a Sequential model as the list of its layers.
        self.given: Mapping[str, Any] = {"layers": given} if isinstance(given, list) else given
        if not isinstance(self.given, Mapping):
            raise _wrong(where, f"the config of {written['class_name']} is {_shown(given)}")
        self.kind = _kind(written)

    @property
    def class_name(self) -> str:
        """The name of the class alone."""
        return str(self.written["class_name"]).rpartition(">")[2]

    @property
    def name(self) -> str:
        """The name of the layer."""
        name = self.given.get("name", self.written.get("name", ""))
        return name if isinstance(name, str) else ""

    @property
    def where(self) -> str:
        """The file and the layer, for messages."""
        return f'{self.file}, {self.class_name} "{self.name}"'

    def wrong(self, what: str, todo: str = "Pass a file that model.save wrote.") -> DataError:
        """Make the error that says what is wrong with the layer."""
        return DataError(message(self.where, what, todo))

    def get(self, name: str, default: Any = None) -> Any:
        """Give an argument as it is written."""
        return self.given.get(name, default)

    def flag(self, name: str, default: bool = False) -> bool:
        """Give a truth value."""
        value = self.given.get(name, default)
        if value is None:
            return default
        if not isinstance(value, bool | int):
            raise self.wrong(f"{name} is {_shown(value)}; expected true or false.")
        return bool(value)

    def whole(self, name: str, default: int | None = None, least: int = 1) -> int:
        """Give a whole number."""
        value = self.given.get(name, default)
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 1 << 31:
            raise self.wrong(f"{name} is {_shown(value)}; expected a number from {least} on.")
        return value

    def number(self, name: str, default: float = 0.0) -> float:
        """Give a number."""
        value = self.given.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong(f"{name} is {_shown(value)}; expected a number.")
        return float(value)

    def text(self, name: str, default: str, choice: tuple[str, ...] = ()) -> str:
        """Give a text, one of `choice` if there is any."""
        value = self.given.get(name, default)
        if not isinstance(value, str) or (choice and value not in choice):
            raise self.wrong(
                f"{name} is {_shown(value)}; expected {' or '.join(map(repr, choice)) or 'a text'}."
            )
        return value

    def numbers(self, name: str, default: Any = None) -> tuple[int, ...]:
        """Give whole numbers; one alone is a list of one."""
        value = self.given.get(name, default)
        value = [value] if isinstance(value, int) else value
        right = isinstance(value, list | tuple) and all(
            isinstance(one, int) and not isinstance(one, bool) for one in value
        )
        if not right:
            raise self.wrong(f"{name} is {_shown(value)}; expected whole numbers.")
        return tuple(value)

    def inner(self, name: str) -> Config:
        """Give the config of an object that this one holds."""
        return Config(self.given.get(name), self.where)

    def each(self, name: str) -> Iterator[Config]:
        """Give the configs of the objects in a list."""
        value = self.given.get(name)
        if not isinstance(value, list):
            raise self.wrong(f"{name} is {_shown(value)}; expected a list.")
        for one in value:
            yield Config(one, self.where)

    def has(self, name: str) -> bool:
        """Tell whether an argument is there and not null."""
        return self.given.get(name) is not None


def computed(written: Any) -> Any:
    """Leave out of a config what changes no number."""
    if isinstance(written, dict):
        return {
            name: computed(value)
            for name, value in written.items()
            if name not in _BESIDE and not name.endswith(_ENDINGS)
        }
    return [computed(one) for one in written] if isinstance(written, list) else written


def snake_case(name: str) -> str:
    """Write the name of a class as Keras names what it saves.

    >>> snake_case("TimeDistributed"), snake_case("GlobalMaxPooling1D"), snake_case("LSTM")
    ('time_distributed', 'global_max_pooling1d', 'lstm')
    """
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _kind(written: Mapping[str, Any]) -> str:
    name = str(written["class_name"])
    module, registered = written.get("module"), written.get("registered_name")
    if isinstance(registered, str) and ">" in registered:
        return registered
    if str(module).startswith("keras.src.ops"):
        return f"keras.ops {name}"
    if ">" in name or module is None or str(module).split(".")[0] in ("keras", "tensorflow"):
        return name
    return f"{module}.{name}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _wrong(where: str, what: str) -> DataError:
    return DataError(message(where, f"{what}.", "Pass a file that model.save wrote."))
