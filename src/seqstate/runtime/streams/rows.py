"""`LiveRows`: the states of the keys that are in memory, packed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from seqstate.kernels import rows as packing
from seqstate.runtime.streams.places import NO_NUMBER, Array, Places, Rows

FIRST = 16
# The last use of a row that must stay: it is free, or a call works on it.
STAYS = np.iinfo(np.int64).max


class LiveRows:
    """The states of live keys, a row for each in one packed array a leaf.

    Attributes:
        index: from key to row.
        names: from row to key, None where the row is free.
        packed: one array `[capacity, numbers of a row]` for each leaf.
        version: `[capacity]`, the version of the store's entry that a row stands for; 0: none.
        unwritten: `[capacity]`, whether a row has moved since.
        used: `[capacity]`, when a row was last used: a count of uses, or `STAYS`.
    """

    def __init__(self, start: Sequence[Array], room: int, width: int) -> None:
        """Begin without keys.

        Args:
            start: of each leaf the row that a new key starts from, `[1, *sizes]`.
            room: for how many pushes of a key outputs are kept.
            width: how many numbers an output has.
        """
        self.start = list(start)
        self._read_row, self._write_row = packing.row_calls()
        self.room, self.width = room, width
        # Whether each leaf has one axis, as it is packed.
        self._plain = all(leaf.ndim == 2 for leaf in start)
        self.index: dict[str, int] = {}
        self.names: list[str | None] = []
        self.packed = [np.empty((0, leaf.size), np.float32) for leaf in start]
        self.number = np.empty(0, np.int64)
        self.count = np.empty(0, np.int64)
        self.version = np.empty(0, np.int64)
        self.used = np.empty(0, np.int64)
        self.unwritten = np.empty(0, np.bool_)
        # Outputs are kept of keys with numbers alone, and most have none.
        self._kept: Array | None = None
        self._free: list[int] = []
        self._uses = 0

    def __len__(self) -> int:
        return len(self.index)

    # Keys

    # Ctrl-C may come between any two lines here. So a key is in the index only while all else that
    # is said of its row is true; a row that is in the index no more and not yet free is lost.

    def add(
        self,
        keys: Sequence[str],
        places: Places | None = None,
        versions: Sequence[int] | None = None,
    ) -> Rows:
        """Give rows to keys that have none.

        Args:
            keys: of the rows.
            places: where they stand; None: at the start state.
            versions: of the store's entries that they stand for; None: there are none.
        """
        self._grow(len(keys))
        rows = np.array([self._free.pop() for _ in keys], np.int64)
        if places is None:
            for leaf, start in zip(self.packed, self.start, strict=True):
                leaf[rows] = start.ravel()
            self.number[rows], self.count[rows] = NO_NUMBER, 0
        else:
            self.put_places(rows, places)
        self.version[rows] = 0 if versions is None else versions
        self.unwritten[rows] = False
        for key, row in zip(keys, rows.tolist(), strict=True):
            self.names[row] = key
            self.index[key] = row
        self.touch(rows)
        return rows

    def forget(self, keys: Iterable[str]) -> None:
        """Take the rows of keys away; those that have none don't matter."""
        for key in keys:
            row = self.index.get(key)
            if row is not None:
                self.used[row] = STAYS
                del self.index[key]
                self.names[row] = None
                self._free.append(row)

    def touch(self, rows: Rows) -> bool:
        """Note that rows are used, in this order, and tell whether each comes once."""
        now = np.arange(self._uses, self._uses + len(rows))
        self._uses += len(rows)
        self.used[rows] = now
        return bool((self.used[rows] == now).all())

    def hold(self, rows: Rows) -> None:
        """Keep rows in memory until they are touched."""
        self.used[rows] = STAYS

    def touch_one(self, row: int) -> None:
        """Note that a row is used."""
        self.used[row] = self._uses
        self._uses += 1

    def least_used(self, count: int) -> Rows:
        """Give the rows that were not used for the longest time, at most as many as may go."""
        top = len(self.names)
        count = min(count, int((self.used[:top] != STAYS).sum()))
        if count <= 0:
            return np.empty(0, np.int64)
        return np.argpartition(self.used[:top], count - 1)[:count]

    # Places

    def leaves_of(self, rows: Rows) -> list[Array]:
        """Give the states of some rows, copied."""
        return [
            packing.gather(leaf, rows).reshape(len(rows), *start.shape[1:])
            for leaf, start in zip(self.packed, self.start, strict=True)
        ]

    def leaves_at(self, row: int) -> list[Array]:
        """Give the states of one row, copied."""
        leaves = self._read_row(self.packed, row)
        if self._plain:
            return leaves
        return [one.reshape(start.shape) for one, start in zip(leaves, self.start, strict=True)]

    def put_leaves_at(self, row: int, leaves: list[Array]) -> bool:
        """Replace the states of one row, and tell that it was done: not where there is NaN."""
        if not self._plain:
            leaves = [one.reshape(1, -1) for one in leaves]
        return self._write_row(self.packed, row, leaves) < 0

    def put_leaves(self, rows: Rows, leaves: Sequence[Array]) -> None:
        """Replace the states of some rows."""
        for leaf, values in zip(self.packed, leaves, strict=True):
            packing.scatter(leaf, rows, values.reshape(len(rows), leaf.shape[1]))

    def places(self, rows: Rows) -> Places:
        """Give where some rows stand, copied."""
        kept = np.empty((len(rows), 0, self.width), np.float32)
        if self._kept is not None:
            kept = self._kept[rows]
        return Places(self.leaves_of(rows), self.number[rows], kept, self.count[rows])

    def put_places(self, rows: Rows, places: Places) -> None:
        """Replace where some rows stand."""
        # What takes memory comes first, and changes nothing.
        if self._kept is None and (places.number != NO_NUMBER).any():
            self._kept = np.zeros((len(self.number), self.room, self.width), np.float32)
        if self._kept is not None:
            places.make_room(self.room)
            self._kept[rows] = places.kept
        self.put_leaves(rows, places.leaves)
        self.number[rows], self.count[rows] = places.number, places.count

    def _grow(self, more: int) -> None:
        """Make room for more keys; memory is taken as it is written to."""
        have = len(self.number)
        while len(self._free) + have - len(self.names) < more:
            have = max(FIRST, 2 * have)
        if have > len(self.number):
            self.packed = [_longer(leaf, have) for leaf in self.packed]
            if self._kept is not None:
                self._kept = _longer(self._kept, have)
            # The one whose length counts comes last: memory may be short, or Ctrl-C come.
            for name in ("count", "version", "used", "unwritten", "number"):
                setattr(self, name, _longer(getattr(self, name), have))
        wanted = more - len(self._free)
        if wanted > 0:
            first = len(self.names)
            self.used[first : first + wanted] = STAYS
            self.names += [None] * wanted
            self._free += range(first + wanted - 1, first - 1, -1)


def _longer(array: Array, rows: int) -> Any:
    made = np.empty((rows, *array.shape[1:]), array.dtype)
    made[: len(array)] = array
    return made
