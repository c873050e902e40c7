"""`Keeping`: what of the keys is in memory, what is in the store, and what is written when."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

import numpy as np

from seqstate.errors import ConflictError, message
from seqstate.runtime.streams.places import Places, Rows
from seqstate.runtime.streams.records import Bookmarks, Records
from seqstate.runtime.streams.rows import LiveRows
from seqstate.stores import Store
from seqstate.stores.checks import check_keys

# So many keys are written or read in one call of the store.
AT_ONCE = 1000
# When keys are pushed out, so much of `max_live` goes at once: to find them takes a look at all.
_SHARE = 16


class Keeping:
    """Brings keys from the store into memory and back.

    Attributes:
        live: the keys in memory.
        marks: of those that have some: the bookmarks.
        store: where the others are.
        writes_through: whether the store has a move before the call that made it returns.
    """

    def __init__(
        self,
        live: LiveRows,
        records: Records,
        store: Store,
        writes_through: bool,
        max_live: int | None,
    ) -> None:
        self.live = live
        self.marks: dict[str, dict[str, Places]] = {}
        self.store = store
        self.writes_through = writes_through
        self._records = records
        self._max_live = max_live

    def bring(self, keys: Sequence[str], where: str, fresh: list[str]) -> Rows:
        """Give the rows of keys.

        Args:
            keys: which ones.
            where: the call, for messages.
            fresh: is told which of them are new, before they are there: they begin at the start
                state.

        Raises:
            ArgumentError: a key that can't be one.
            DataError: what the store has of a key is damaged.
            StateMismatchError: it is the state of another model.
        """
        try:
            found = list(map(self.live.index.get, keys))
        except TypeError:
            check_keys(keys, where)
            raise
        if None not in found:
            return np.array(found, np.int64)
        missing = list(
            dict.fromkeys(key for key, row in zip(keys, found, strict=True) if row is None)
        )
        check_keys(missing, where)
        for start in range(0, len(missing), AT_ONCE):
            fresh += self._load(missing[start : start + AT_ONCE])
        if fresh:
            self.live.add(fresh)
        return np.array([self.live.index[key] for key in keys], np.int64)

    def bring_over(self, keys: Sequence[str], where: str, fresh: list[str]) -> Rows:
        """Give the rows of keys that are put elsewhere: what the store has of them is not read.

        Args:
            keys: which ones.
            where: the call, for messages.
            fresh: is told which of them are in memory from now on, before they are.

        Raises:
            ArgumentError: a key that can't be one.
        """
        check_keys(keys, where)
        missing = [key for key in keys if key not in self.live.index]
        fresh += missing
        for start in range(0, len(missing), AT_ONCE):
            some = missing[start : start + AT_ONCE]
            entries = self.store.get_many(some)
            self._forget_marks(some)
            self.live.add(some, None, [entry.version if entry else 0 for entry in entries])
        return np.array([self.live.index[key] for key in keys], np.int64)

    def _load(self, keys: Sequence[str]) -> list[str]:
        """Bring those of some keys that the store has, and give the others."""
        entries = self.store.get_many(keys)
        there = [(key, entry) for key, entry in zip(keys, entries, strict=True) if entry]
        if there:
            names = [key for key, _ in there]
            places, marks = self._records.unpack(names, [entry.data for _, entry in there])
            self._forget_marks(names)
            self.marks.update(marks)
            self.live.add(names, places, [entry.version for _, entry in there])
        return [key for key, entry in zip(keys, entries, strict=True) if not entry]

    def forget(self, keys: Iterable[str]) -> None:
        """Take keys out of memory as they are."""
        keys = list(keys)
        self.live.forget(keys)
        self._forget_marks(keys)

    def forget_new(self, keys: Iterable[str]) -> None:
        """Take those of some new keys out of memory that were not moved."""
        live = self.live
        there = [(key, live.index[key]) for key in keys if key in live.index]
        self.forget(key for key, row in there if not (live.version[row] or live.unwritten[row]))

    def _forget_marks(self, keys: Sequence[str]) -> None:
        if self.marks:
            for key in keys:
                self.marks.pop(key, None)

    def write(
        self,
        keys: Sequence[str],
        places: Places,
        marks: Mapping[str, Bookmarks],
        versions: Sequence[int],
        where: str,
    ) -> list[int]:
        """Write where keys stand, all or none, and give the new versions.

        Raises:
            ConflictError: another process moved some of them.
            StoreError: the store can't be reached.
        """
        data = self._records.pack(keys, places, marks)
        try:
            return self.store.put_many(list(zip(keys, data, versions, strict=True)))
        except ConflictError as error:
            shown = ", ".join(map(repr, error.keys[:5])) or "some of the keys"
            new = ConflictError(
                message(
                    where,
                    f"another process moved {shown}{' ...' * (len(error.keys) > 5)} since this "
                    "one read it. No state was moved.",
                    "Push again: that goes on from what the other one wrote. One process should "
                    "own a key.",
                )
            )
            new.keys = error.keys
            raise new from error

    def push_out(self, where: str) -> None:
        """Take the least recently used keys out of memory where there are too many."""
        if self._max_live is None or len(self.live) <= self._max_live:
            return
        over = len(self.live) - self._max_live + self._max_live // _SHARE
        rows = self.live.least_used(over)
        self.flush(rows[self.live.unwritten[rows]], where)
        self.forget([self._name(row) for row in rows.tolist()])

    def flush(self, rows: Rows, where: str) -> None:
        """Write rows that have moved since they were written."""
        live = self.live
        for start in range(0, len(rows), AT_ONCE):
            some = rows[start : start + AT_ONCE]
            names = [self._name(row) for row in some.tolist()]
            versions = live.version[some].tolist()
            try:
                new = self.write(names, live.places(some), self.marks, versions, where)
                live.version[some] = new
                live.unwritten[some] = False
            except (KeyboardInterrupt, MemoryError):
                # It may have been written; nobody else writes to a store in memory.
                found = self.store.get_many(names)
                live.version[some] = [entry.version if entry else 0 for entry in found]
                raise

    def unwritten(self) -> Rows:
        """Give the rows that have moved since they were written."""
        top = len(self.live.names)
        in_use = np.fromiter(self.live.index.values(), np.int64, len(self.live))
        return np.sort(in_use[self.live.unwritten[:top][in_use]])

    def all_records(self) -> tuple[list[str], list[bytes]]:
        """Give all keys and the bytes of each."""
        keys: list[str] = []
        data: list[bytes] = []
        waiting = iter(list(self.keys()))
        while some := list(islice(waiting, AT_ONCE)):
            own = [key for key in some if key in self.live.index]
            rows = np.array([self.live.index[key] for key in own], np.int64)
            keys += own
            data += self._records.pack(own, self.live.places(rows), self.marks)
            others = [key for key in some if key not in self.live.index]
            for key, entry in zip(others, self.store.get_many(others), strict=True):
                if entry:  # another process may have dropped it
                    keys.append(key)
                    data.append(entry.data)
        return keys, data

    def unpack(
        self, keys: Sequence[str], data: Sequence[bytes]
    ) -> tuple[Places, dict[str, dict[str, Places]]]:
        """Read the bytes of keys; see `Records.unpack`."""
        return self._records.unpack(keys, data)

    def keys(self) -> Iterator[str]:
        """Give all keys, sorted: those in memory and those in the store."""
        if self.writes_through:
            return self.store.keys()
        live = self.live
        own = [key for key, row in live.index.items() if not live.version[row]]
        return heapq.merge(sorted(own), self.store.keys())

    def set_marks(self, key: str, marks: dict[str, Places]) -> None:
        """Replace the bookmarks of a key in memory."""
        if marks:
            self.marks[key] = dict(marks)
        else:
            self.marks.pop(key, None)

    def _name(self, row: int) -> str:
        name = self.live.names[row]
        if name is None:
            raise KeyError(row)
        return name
