"""A store in a SQLite file: several threads and processes, and a choice of durability."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from sqlite3 import Connection
from threading import Lock

from seqstate.errors import ArgumentError, SeqstateError, StoreError, message
from seqstate.stores.checks import (
    NOTHING,
    OpenHere,
    check_items,
    check_keys,
    check_prefix,
    conflict,
)
from seqstate.stores.sqlite_file import SYNCHRONOUS, connect, explained, name
from seqstate.stores.store import Entry, Item, Store

_INSERT = "INSERT INTO states (key, version, data) VALUES (?, ?, ?) ON CONFLICT (key) DO NOTHING"
_UPDATE = "UPDATE states SET data = ?, version = version + 1 WHERE key = ? AND version = ?"
_DELETE = "DELETE FROM states WHERE key = ?"
_FLOOR = "SELECT coalesce(max(value), 0) FROM meta WHERE name = 'floor'"
_RAISE_FLOOR = """INSERT INTO meta (name, value) SELECT 'floor', version FROM states WHERE key = ?
    ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)"""
_KEYS = "SELECT key FROM states WHERE key > ? ORDER BY key LIMIT 1000"
# Few lengths, so that few statements are prepared; a shorter list is filled up with NULL.
_AT_ONCE = (1, 16, 256)
_SELECTS = {
    n: f"SELECT key, data, version FROM states WHERE key IN ({', '.join('?' * n)})"
    for n in _AT_ONCE
}


class SQLiteStore(Store):
    """Entries in a table of a SQLite file, with its write-ahead log.

    One thread writes at a time. The writes of all threads that wait meanwhile go into one
    transaction, which makes them durable together. Other processes may have the same file open.

    Args:
        path: of the file; made if it isn't there.
        durability: what a write that returned survives. "normal": the end of the process in any
            way, but a power cut may take the last writes. "full": a power cut too. "none": the end
            of the process, but a power cut may damage the file.
        timeout: how many seconds to wait for another process that writes.
        create: whether a new file may be made.

    Raises:
        DataError: the file is damaged, of another program, of a later seqstate, or not there and
            may not be made.
        ArgumentError: another durability, or a folder that is not there.
        StoreError: the file can't be opened.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "states.db"
        >>> with SQLiteStore(path) as store:
        ...     store.put_many([("pump-1", b"its state", 0)])
        [1]
        >>> with SQLiteStore(path) as store:
        ...     store.get_many(["pump-1"])
        [Entry(data=b'its state', version=1)]
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        durability: str = "normal",
        timeout: float = 10.0,
        create: bool = True,
    ) -> None:
        file = Path(path)
        self._where = name(file)
        if durability not in SYNCHRONOUS:
            raise ArgumentError(
                message(
                    self._where,
                    f"durability is {durability!r}; expected one of {', '.join(SYNCHRONOUS)}.",
                    'Take "full" to survive power cuts, "normal" to survive the process.',
                )
            )
        self.durability = durability
        self._writer = connect(file, durability, timeout, create)
        self._reader = connect(file, durability, timeout, create=False)
        self._here = OpenHere(self._where)
        self._waiting: list[_Write] = []
        self._queue, self._writing, self._reading = Lock(), Lock(), Lock()

    def get_many(self, keys: Sequence[str]) -> list[Entry | None]:
        """Give what is under each key, as `Store` says."""
        self._here.check()
        check_keys(keys, self._where)
        found: dict[str, Entry] = {}
        with self._reading, explained(self._where, NOTHING):
            self._here.check()
            for start in range(0, len(keys), _AT_ONCE[-1]):
                wanted: list[str | None] = [*keys[start : start + _AT_ONCE[-1]]]
                size = next(n for n in _AT_ONCE if n >= len(wanted))
                wanted += [None] * (size - len(wanted))
                for key, data, version in self._reader.execute(_SELECTS[size], wanted):
                    found[key] = Entry(data, version)
        return [found.get(key) for key in keys]

    def put_many(self, items: Sequence[Item]) -> list[int]:
        """Write all items or none, as `Store` says."""
        self._here.check()
        check_items(items, self._where)
        if not items:
            return []
        write = _Write(items)
        try:
            with self._queue:
                self._waiting.append(write)
            with self._writing:
                if not write.done:
                    # The one before has ended: what gathered meanwhile goes into one transaction.
                    with self._queue:
                        together, self._waiting = self._waiting, []
                    self._commit(together)
        except BaseException:
            # Ctrl-C: what still waits shall not be written by the next call.
            with self._queue:
                if write in self._waiting:
                    self._waiting.remove(write)
            raise
        if not write.done:
            raise _interrupted(self._where)
        if write.error is not None:
            raise write.error
        return [(version or write.floor) + 1 for _, _, version in items]

    def delete(self, keys: Sequence[str]) -> int:
        """Remove keys, as `Store` says."""
        self._here.check()
        check_keys(keys, self._where)
        with self._writing, explained(self._where, NOTHING):
            self._here.check()
            try:
                self._roll_back()
                self._writer.execute("BEGIN IMMEDIATE")
                rows = [(key,) for key in keys]
                self._writer.executemany(_RAISE_FLOOR, rows)
                gone = self._writer.executemany(_DELETE, rows).rowcount
                self._writer.execute("COMMIT")
            finally:
                self._roll_back()
        return max(gone, 0)

    def keys(self, prefix: str = "") -> Iterator[str]:
        """Give the keys that begin with a prefix, as `Store` says."""
        self._here.check()
        check_prefix(prefix, self._where)
        return self._pages(prefix)

    def close(self) -> None:
        """Close the file, after what is being written."""
        if not self._here.mine():
            return  # to close it here would take the parent's locks
        with self._writing, self._reading:
            self._here.open = False
            self._reader.close()
            self._writer.close()

    def _pages(self, prefix: str) -> Iterator[str]:
        # A page at a time: a statement that stays open would keep the log from being emptied.
        if prefix and self.get_many([prefix])[0] is not None:
            yield prefix
        last = prefix
        while True:
            with self._reading, explained(self._where, NOTHING):
                self._here.check()
                page = [key for (key,) in self._reader.execute(_KEYS, (last,))]
            for key in page:
                if not key.startswith(prefix):
                    return
                yield key
            if not page:
                return
            last = page[-1]

    def _commit(self, together: Sequence[_Write]) -> None:
        """Write what waits in one transaction; where there is a conflict, each call in its own."""
        try:
            self._here.check()
            with explained(self._where, NOTHING):
                if not self._transact(together):
                    for write in together:
                        self._write_alone(write)
        except SeqstateError as error:
            for write in together:
                if not write.done:
                    write.error = type(error)(str(error))
        finally:
            for write in together:
                if not (write.done or write.error):
                    write.error = _interrupted(self._where)  # by Ctrl-C in this thread
                write.done = True

    def _write_alone(self, write: _Write) -> None:
        while not self._transact([write]):
            # Another process may have removed what it had moved: then nothing is in the way.
            moved = _moved(self._writer, write.items)
            if moved:
                write.error = conflict(self._where, moved)
                write.done = True
                return

    def _transact(self, writes: Sequence[_Write]) -> bool:
        """Write all of it and tell that it was written; nothing where a version is another."""
        try:
            self._roll_back()  # Ctrl-C may have cut short the one before
            self._writer.execute("BEGIN IMMEDIATE")
            if not all(self._apply(write) for write in writes):
                return False
            self._writer.execute("COMMIT")
        finally:
            self._roll_back()
        for write in writes:
            write.done = True
        return True

    def _apply(self, write: _Write) -> bool:
        known = [(data, key, version) for key, data, version in write.items if version]
        count = 0
        if len(known) < len(write.items):
            (write.floor,) = self._writer.execute(_FLOOR).fetchone()
            first = write.floor + 1
            new = [(key, first, data) for key, data, version in write.items if not version]
            count = self._writer.executemany(_INSERT, new).rowcount
        count += self._writer.executemany(_UPDATE, known).rowcount if known else 0
        return count == len(write.items)

    def _roll_back(self) -> None:
        if self._writer.in_transaction:
            self._writer.execute("ROLLBACK")


class _Write:
    """The items of one call, while they wait to be written.

    Attributes:
        floor: when it is done: what the versions of its new keys were counted from.
    """

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = items
        self.floor = 0
        self.done = False
        self.error: SeqstateError | None = None


def _moved(writer: Connection, items: Sequence[Item]) -> list[tuple[str, int, int]]:
    moved = []
    for key, _, read in items:
        row = writer.execute("SELECT version FROM states WHERE key = ?", (key,)).fetchone()
        now = row[0] if row else 0
        if now != read:
            moved.append((key, read, now))
    return moved


def _interrupted(where: str) -> StoreError:
    return StoreError(
        message(
            where,
            "another thread was interrupted while it wrote this together with its own.",
            "Either all items of the call were written or none: get them again.",
        )
    )
