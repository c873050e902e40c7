"""The operations that look at all numbers along one axis, and keep it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from seqstate.runtime.activations import activation_of, sigmoid
from seqstate.runtime.operations.operation import Array, Entry, Operation, sized
from seqstate.runtime.plan.maker import Maker


def _along(function: Callable[[Array], Array]) -> Entry:
    """Make the entry of a function that works along the last axis."""

    def entry(self: Operation, maker: Maker, args: list[Any], kwargs: dict[str, Any]) -> Any:
        self.check_options("axis")
        x = args[0]
        axis = self.axis_alone(maker, x, kwargs)

        def compute(array: Array) -> Array:
            moved = np.ascontiguousarray(np.moveaxis(array, axis, -1))
            return np.moveaxis(function(moved), -1, axis)

        return maker.emit(compute, x, shape=x.shape)

    return entry


def _argsort(x: Array) -> Array:
    return np.argsort(x, axis=-1, kind="stable").astype(np.int32)


def _glu(self: Operation, maker: Maker, args: list[Any], kwargs: dict[str, Any]) -> Any:
    x = args[0]
    axis = self.axis_alone(maker, x, kwargs)
    size = x.shape[axis]
    if size is not None and size % 2:
        raise self.config.wrong(f"it halves {size} numbers.", "Give it an even number.")

    def compute(array: Array) -> Array:
        first, second = np.split(np.asarray(array, np.float32), 2, axis)
        return first * sigmoid(second)

    half = None if size is None else size // 2
    return maker.emit(compute, x, shape=sized(x.shape, axis, half))


def _top_k(self: Operation, maker: Maker, args: list[Any], kwargs: dict[str, Any]) -> Any:
    x = args[0]
    if x.rank < 2 or (x.time and x.rank == 2):
        maker.no_step(f"{self.config.where} needs all time steps at once")
    axis = self.axis(x, -1)
    k = self.whole(self.argument("k", kwargs), "k")
    if x.shape[axis] is not None and k > x.shape[axis]:
        raise self.config.wrong(f"it takes {k} of {x.shape[axis]} numbers.")
    shape = sized(x.shape, axis, k)
    found = [maker.value(shape, x.time), maker.value(shape, x.time)]

    def compute(array: Array) -> tuple[Array, Array]:
        # The first of equal ones comes first, as in Keras.
        backwards = np.argsort(array[..., ::-1], axis=-1, kind="stable")[..., ::-1]
        places = (array.shape[-1] - 1 - backwards)[..., :k]
        return np.take_along_axis(array, places, -1), places.astype(np.int32)

    maker.emit_many(compute, [x], found)
    return found


ALONG_AXIS: dict[str, Entry] = {
    "Argsort": _along(_argsort),
    "Glu": _glu,
    "LogSoftmax": _along(activation_of("log_softmax")),
    "Softmax": _along(activation_of("softmax")),
    "Sort": _along(lambda x: np.sort(x, axis=-1)),
    "TopK": _top_k,
}
