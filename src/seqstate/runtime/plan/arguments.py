"""What a layer is called with, as a functional model writes it down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from seqstate.runtime.archive.config import Config

Place = tuple[str, int, int]
"""A tensor: the name of the layer that gave it, which call of it, which of its results."""


def read_call(written: Any, config: Config) -> tuple[list[Any], dict[str, Any]]:
    """Read the arguments of one call; each tensor as a `Ref`.

    Args:
        written: an entry of `inbound_nodes`.
        config: of the layer, for messages.

    Returns:
        The arguments by position, and those by name.
    """
    if isinstance(written, list):
        # As older files have it: a list of tensors, each with the keywords of the call.
        tensors = [Ref(read_place(one[:3], config)) for one in written if isinstance(one, list)]
        more = [one[3] for one in written if isinstance(one, list) and len(one) > 3]
        kwargs = _old_keywords(more[0], config) if more else {}
        return ([tensors[0] if len(tensors) == 1 else tensors] if tensors else []), kwargs
    if not isinstance(written, Mapping):
        raise config.wrong(f"a call is written as {str(written)[:80]}.")
    args, kwargs = read(written.get("args", []), config), read(written.get("kwargs", {}), config)
    if not isinstance(args, list | tuple) or not isinstance(kwargs, dict):
        raise config.wrong(f"a call is written as {str(written)[:80]}.")
    return list(args), kwargs


def _old_keywords(written: Any, config: Config) -> dict[str, Any]:
    """Read the keywords of a call as Keras 2 wrote them: tensors as plain lists."""
    if not isinstance(written, Mapping):
        raise config.wrong(f"a call is written as {str(written)[:80]}.")
    if written.get("training"):
        # Keras 2 keeps to it also in `predict`.
        raise config.wrong(
            "it is called with training=True, so that it gives other numbers each time.",
            "Call the layer without it, and save the model again.",
        )

    def tensors(one: Any) -> Any:
        if isinstance(one, list):
            if len(one) == 3 and isinstance(one[0], str):
                return Ref(read_place(one, config))
            return [tensors(part) for part in one]
        return read(one, config)

    return {str(name): tensors(one) for name, one in written.items()}


class Ref:
    """Stands for a tensor of the model.

    Args:
        place: which one.
    """

    def __init__(self, place: Place) -> None:
        self.place = place


def read_place(written: Any, config: Config) -> Place:
    """Read where a tensor comes from."""
    right = (
        isinstance(written, list | tuple)
        and len(written) == 3
        and isinstance(written[0], str)
        and all(isinstance(one, int) and 0 <= one < 1 << 20 for one in written[1:])
    )
    if not right:
        raise config.wrong(f"a tensor is named {str(written)[:80]}; expected a layer's result.")
    return (written[0], written[1], written[2])


def read(written: Any, config: Config) -> Any:
    """Read an argument; what is neither a tensor nor plain data is refused."""
    if isinstance(written, list):
        return [read(one, config) for one in written]
    if not isinstance(written, Mapping):
        return written
    kind = written.get("class_name")
    if kind is None:
        return {str(name): read(one, config) for name, one in written.items()}
    reader = _READERS.get(str(kind))
    if reader is None:
        raise config.wrong(f"it is called with an object of the class {kind}.", "Pass tensors.")
    return reader(written, config)


def _tensor(written: Any, config: Config) -> Any:
    return Ref(read_place(_inner(written, config).get("keras_history"), config))


def _slice(written: Any, config: Config) -> Any:
    ends = [_inner(written, config).get(name) for name in ("start", "stop", "step")]
    if not all(end is None or isinstance(end, int) for end in ends):
        raise config.wrong(f"a slice is written as {str(written)[:80]}.")
    return slice(*ends)


def _array(written: Any, config: Config) -> Any:
    inner = _inner(written, config)
    dtype = str(inner.get("dtype", "float32"))
    if np.dtype(dtype).kind not in "fiub":
        raise config.wrong(f"a constant has dtype {dtype}; expected numbers.")
    return np.asarray(inner.get("value"), dtype)


def _inner(written: Any, config: Config) -> Mapping[str, Any]:
    inner = written.get("config")
    if not isinstance(inner, Mapping):
        raise config.wrong(f"an argument is written as {str(written)[:80]}.")
    return inner


_READERS: dict[str, Callable[[Any, Config], Any]] = {
    "__keras_tensor__": _tensor,
    "__slice__": _slice,
    "__numpy__": _array,
    "__tensor__": _array,
    "__tuple__": lambda written, config: tuple(read(written.get("items", []), config)),
    "__ellipsis__": lambda *_: ...,
}
