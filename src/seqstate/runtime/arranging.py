"""The same numbers in another arrangement: joined, reshaped, with other axes."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from seqstate.runtime.plan.maker import Maker
from seqstate.runtime.plan.value import Value

Array = Any


def along(array: Array, axes: tuple[int, ...]) -> Array:
    """Put axes together as the last one, side by side in memory.

    Then the sum of each row is added up in the same order, however many rows there are.
    """
    rest = [i for i in range(array.ndim) if i not in axes]
    moved = array.transpose(*rest, *axes)
    sizes = moved.shape
    return np.ascontiguousarray(moved.reshape(*sizes[: len(rest)], prod(sizes[len(rest) :])))


def joined(maker: Maker, where: str, values: list[Value], axis: int) -> Value:
    """Put values side by side along an axis."""
    axis %= values[0].rank
    if axis == 0:
        maker.no_step(f"{where} joins along the batch")
    timed = [value.time for value in values]
    if any(timed) and (axis == 1 or not all(timed)):
        maker.no_step(f"{where} joins along time, or joins what has it with what has not")
    sizes = [value.shape[axis] for value in values]
    total = None if None in sizes else sum(size for size in sizes if size is not None)
    shape = tuple(total if i == axis else size for i, size in enumerate(values[0].shape))
    return maker.emit(
        lambda *arrays: np.concatenate(arrays, axis), *values, shape=shape, time=any(timed)
    )


def reshaped(maker: Maker, where: str, x: Value, inner: tuple[int, ...]) -> Value:
    """Give a value another shape behind the batch; the time axis stays if it is the first."""
    rest = x.shape[2:]
    known = all(size is not None for size in rest)
    features = int(np.prod([size for size in rest if size is not None], dtype=np.int64))
    new = int(np.prod(inner[1:], dtype=np.int64)) if inner else 1
    first = inner[0] if inner else 0
    keeps = (
        x.time and known and -1 not in inner[1:] and new == features and first in (-1, x.shape[1])
    )
    if x.time and not keeps:
        maker.no_step(f"{where} mixes time with other axes")
    target = (-1, *inner[1:]) if keeps else inner
    sizes: list[int | None] = [None if size == -1 else size for size in target]
    if x.rank > 1 and None not in x.shape[1:] and not keeps and -1 in target:
        total = int(np.prod([size for size in x.shape[1:] if size is not None], dtype=np.int64))
        given = int(np.prod([size for size in target if size != -1], dtype=np.int64))
        sizes = [size if size is not None else total // max(1, given) for size in sizes]
    if keeps:
        sizes[0] = x.shape[1]

    def compute(array: Array) -> Array:
        sizes = (*(array.shape[1:2] if keeps else target[:1]), *target[1:])
        if -1 in sizes:
            # Of a batch without rows NumPy does not find it by itself.
            known = -prod(sizes)
            sizes = tuple(prod(array.shape[1:]) // known if n == -1 else n for n in sizes)
        return array.reshape(len(array), *sizes)

    return maker.emit(compute, x, shape=(x.shape[0], *sizes), time=keeps)


def permuted(maker: Maker, where: str, x: Value, axes: tuple[int, ...]) -> Value:
    """Exchange the axes of a value."""
    if x.time and axes[:2] != (0, 1):
        maker.no_step(f"{where} moves the time axis")
    return maker.emit(
        lambda a: a.transpose(axes),
        x,
        shape=tuple(x.shape[i] for i in axes),
        time=axes[1] == 1 and x.time,
    )
