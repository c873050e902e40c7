"""Values that are put together element by element."""

from __future__ import annotations

from typing import Any

import numpy as np

from seqstate.runtime.plan.maker import Maker
from seqstate.runtime.plan.value import Shape, Value

Array = Any


def spread(maker: Maker, where: str, values: list[Value]) -> tuple[Shape, bool]:
    """Give what comes of values that are put together element by element: shape, and time.

    The plan can't be stepped where a value without the time axis is laid along it.
    """
    rank = max(value.rank for value in values)
    time = any(value.time and value.rank == rank for value in values)
    shape: list[int | None] = []
    for i in range(rank):
        sizes = {
            value.shape[i - rank + value.rank] for value in values if i - rank + value.rank >= 0
        }
        sizes -= {1} if len(sizes) > 1 else set()
        shape.append(None if None in sizes else max(size for size in sizes if size is not None))
    if any(value.time for value in values):
        for value in values:
            along = value.shape[1] if value.rank == rank and rank > 1 else 1
            low = value.rank < rank and (value.rank >= 2 or value.time)
            if low or (not value.time and along != 1):
                maker.no_step(
                    f"{where} puts an array with the time axis together with one whose axis 1 is "
                    "something else"
                )
            elif maker.settled(value):
                maker.no_step(f"{where} puts what is known at the end together with each time step")
    return tuple(shape), time


def narrow(x: Array) -> Array:
    """Give float32 for float64, which NumPy makes of whole numbers and a fraction."""
    return x.astype(np.float32) if x.dtype == np.float64 else x
