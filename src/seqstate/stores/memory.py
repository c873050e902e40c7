"""A store in memory: as fast as a dict, gone with the process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from threading import Lock

from seqstate.stores.checks import OpenHere, check_items, check_keys, check_prefix, conflict
from seqstate.stores.store import Entry, Item, Store

WHERE = "memory store"


class MemoryStore(Store):
    """Entries in a dict.

    Example:
        >>> with MemoryStore() as store:
        ...     store.put_many([("a", b"1", 0), ("b", b"2", 0)])
        ...     store.put_many([("a", b"3", 1)])
        ...     store.get_many(["a", "c"])
        [1, 1]
        [2]
        [Entry(data=b'3', version=2), None]
    """

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._floor = 0  # the highest version that a deleted key had
        self._lock = Lock()
        self._here = OpenHere(WHERE)

    def get_many(self, keys: Sequence[str]) -> list[Entry | None]:
        """Give what is under each key, as `Store` says."""
        self._here.check()
        check_keys(keys, WHERE)
        with self._lock:
            return [self._entries.get(key) for key in keys]

    def put_many(self, items: Sequence[Item]) -> list[int]:
        """Write all items or none, as `Store` says."""
        self._here.check()
        check_items(items, WHERE)
        nothing = Entry(b"", 0)
        with self._lock:
            there = [self._entries.get(key, nothing).version for key, _, _ in items]
            moved = [
                (key, read, now)
                for (key, _, read), now in zip(items, there, strict=True)
                if read != now
            ]
            if moved:
                raise conflict(WHERE, moved)
            new = [(version or self._floor) + 1 for version in there]
            for (key, data, _), version in zip(items, new, strict=True):
                self._entries[key] = Entry(data, version)
        return new

    def delete(self, keys: Sequence[str]) -> int:
        """Remove keys, as `Store` says."""
        self._here.check()
        check_keys(keys, WHERE)
        with self._lock:
            gone = [self._entries.pop(key) for key in keys if key in self._entries]
            self._floor = max([self._floor, *(entry.version for entry in gone)])
        return len(gone)

    def keys(self, prefix: str = "") -> Iterator[str]:
        """Give the keys that begin with a prefix, as `Store` says."""
        self._here.check()
        check_prefix(prefix, WHERE)
        with self._lock:
            found = [key for key in self._entries if key.startswith(prefix)]
        return iter(sorted(found))

    def close(self) -> None:
        """Forget everything."""
        self._here.open = False
        self._entries.clear()
