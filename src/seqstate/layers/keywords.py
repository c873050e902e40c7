"""What is said of an argument that a constructor does not have."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

import keras

from seqstate.errors import ArgumentError, message

_OF_THE_CALL = ("initial_state", "mask", "training", "reset_mask", "lengths")
_OF_EVERY_LAYER = (
    *inspect.signature(keras.layers.Layer.__init__).parameters,
    "input_shape",
    "batch_input_shape",
    "batch_shape",
    "batch_size",
)


def check_keywords(cls: type[Any], given: Iterable[str]) -> None:
    """Refuse arguments that `cls` does not have, and say which one may be meant.

    Args:
        cls: the class of a layer.
        given: the names that the signatures of our classes left over.

    Raises:
        ArgumentError: one of them is no argument of `keras.layers.Layer` either.
    """
    known = {*_OF_EVERY_LAYER, "implementation"}
    for base in cls.__mro__:
        constructor = vars(base).get("__init__")
        if constructor is not None and issubclass(base, keras.layers.Layer):
            known.update(inspect.signature(constructor).parameters)
    known -= {"self", "args", "kwargs", "arguments"}
    for name in given:
        if name in _OF_EVERY_LAYER:
            continue
        close = get_close_matches(name, sorted(known), n=1)
        if name in _OF_THE_CALL:
            todo = f"It belongs to the call: layer(x, {name}=...)."
        elif close:
            todo = f"Did you mean {close[0]}?"
        else:
            todo = f"Those that it has: {', '.join(sorted(known))}."
        raise ArgumentError(message(cls.__name__, f"has no argument {name!r}.", todo))
