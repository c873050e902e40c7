"""`Places`: where several keys stand, a row for each key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Array = np.ndarray
Rows = np.ndarray

# The number of a key that none was given for.
NO_NUMBER = -1
LARGEST_NUMBER = 2**62


@dataclass
class Places:
    """Where several keys stand.

    Attributes:
        leaves: the states, one array `[rows, *sizes]` for each leaf of the spec, in its order.
        number: `[rows]`, the sequence number of the last push, or `NO_NUMBER`.
        kept: `[rows, room, width]`, the outputs of the last pushes, that of number n at
            `n % room`; no room where no key has a number.
        count: `[rows]`, how many of `kept` there are.
    """

    leaves: list[Array]
    number: Rows
    kept: Array
    count: Rows

    def __len__(self) -> int:
        return len(self.number)

    def make_room(self, room: int) -> None:
        """See that outputs can be kept."""
        rows, have, width = self.kept.shape
        if not have:
            self.kept = np.zeros((rows, room, width), np.float32)

    def keep_outputs(self, rows: Rows, numbers: Rows, outputs: Array) -> None:
        """Note the numbers of pushes and keep their outputs.

        Args:
            rows: of the pushes; a row may come several times, its numbers rising by one.
            numbers: of the pushes.
            outputs: `[pushes, width]`.
        """
        room = self.kept.shape[1]
        # Where a place comes twice, the later value stays.
        self.kept[rows, numbers % room] = outputs
        self.number[rows] = numbers
        np.add.at(self.count, rows, 1)
        np.minimum(self.count, room, out=self.count)

    def in_order(self) -> Array:
        """Give the outputs that are kept, `[rows, room, width]`: the last `count` ones count."""
        rows, room, _ = self.kept.shape
        if room < 2:
            return self.kept
        at = (self.number[:, None] + np.arange(1, room + 1)) % room
        found: Array = self.kept[np.arange(rows)[:, None], at]
        return found


def empty(rows: int, like: Sequence[Array], room: int, width: int) -> Places:
    """Make room for keys; the states have no values yet.

    Args:
        rows: how many.
        like: a row of each leaf, `[1, *sizes]`.
        room: for how many pushes of a key outputs are kept.
        width: how many numbers an output has.
    """
    return Places(
        [np.empty((rows, *leaf.shape[1:]), leaf.dtype) for leaf in like],
        np.full(rows, NO_NUMBER, np.int64),
        np.zeros((rows, room, width), np.float32),
        np.zeros(rows, np.int64),
    )
