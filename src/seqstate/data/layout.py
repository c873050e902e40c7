"""Where each piece of each sequence goes: the packing of `chunks`, as numbers alone."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

IDLE = -1


@dataclass(frozen=True)
class Layout:
    """Which steps of which sequence stand in each row of each chunk.

    Attributes:
        steps: time steps of a chunk.
        sequence: `[chunks, rows]`, the number of the sequence, `IDLE` where there is none.
        start: `[chunks, rows]`, the step of the sequence that the row begins with.
        count: `[chunks, rows]`, how many steps are of the sequence; the rest is padding.
    """

    steps: int
    sequence: np.ndarray
    start: np.ndarray
    count: np.ndarray

    @property
    def resets(self) -> np.ndarray:
        """`[chunks, rows]`, True where the state must start anew before the chunk.

        The first chunk starts all rows anew, the idle ones as well, so that nothing of an earlier
        run is left.
        """
        starts = (self.start == 0) & (self.sequence != IDLE)
        starts[0] = True
        return starts


def pack(lengths: Sequence[int], steps: int, rows: int) -> Layout:
    """Lay sequences out in rows: each takes, in order, the row that gets free first.

    Sequences that are equally long and as many as there are rows stand side by side: chunk `k`
    is `x[:, k * steps : (k + 1) * steps]`.

    Args:
        lengths: steps of each sequence, at least one.
        steps: time steps of a chunk.
        rows: rows of a batch.

    >>> pack([5, 2, 3], steps=2, rows=2).sequence
    array([[0, 1],
           [0, 2],
           [0, 2]])
    """
    free = [(0, row) for row in range(rows)]  # (chunk, row): the row is free from that chunk on
    places = []
    for number, length in enumerate(lengths):
        first, row = free[0]
        size = -(-length // steps)
        heapq.heapreplace(free, (first + size, row))
        places.append((number, row, first, size))
    total = max(chunk for chunk, _ in free)
    sequence = np.full((total, rows), IDLE)
    start = np.zeros((total, rows), dtype=int)
    count = np.zeros((total, rows), dtype=int)
    for number, row, first, size in places:
        mine = slice(first, first + size), row
        sequence[mine] = number
        start[mine] = np.arange(size) * steps
        count[mine] = np.minimum(lengths[number] - start[mine], steps)
    return Layout(steps, sequence, start, count)
