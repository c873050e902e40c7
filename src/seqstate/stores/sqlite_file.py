"""The file of a SQLite store: made, recognized, opened; and what its errors mean."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seqstate.errors import ArgumentError, DataError, StoreError, message
from seqstate.files import existing_file

APPLICATION_ID = 0x53715374  # "SqSt"; the command `file` shows it
SYNCHRONOUS = {"full": "FULL", "normal": "NORMAL", "none": "OFF"}

# A row is some hundred bytes and a batch hits pages all over the file: small pages mean less to
# write for each row. Rows stand in the order of their first writing and are found by an index that
# an update leaves alone; in the order of the keys, each new key would split a page.
_PAGE_BYTES = 2048
_STATES = """CREATE TABLE states (
    key TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL, data BLOB NOT NULL)"""
# What holds for the whole store, by name. "floor": the highest version that a deleted key had.
_META = "CREATE TABLE meta (name TEXT NOT NULL PRIMARY KEY, value INTEGER NOT NULL)"
# What each layout adds to the one before. An older file is brought up when it is opened; a seqstate
# that reads older layouts alone refuses it from then on: it would not keep to the floor.
_LAYOUTS = (_STATES, _META)
SCHEMA_VERSION = len(_LAYOUTS)
# Pages are written to the log first, and to the file when so many have gathered: one that was
# written several times by then goes there once.
_LOG_PAGES = 16_384
_CACHE_KIB = 16_384
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def connect(path: Path, durability: str, timeout: float, create: bool) -> sqlite3.Connection:
    """Open the file of a store, and make it where it isn't there.

    Args:
        path: of the file.
        durability: "full", "normal" or "none".
        timeout: how many seconds to wait for another process that writes.
        create: whether a new file may be made.

    Raises:
        DataError: the file is not there and may not be made, is damaged, belongs to another
            program or to a later seqstate.
        ArgumentError: there is no such folder.
        StoreError: it can't be opened, or another process holds it for too long.
    """
    where = name(path)
    if not create or path.is_dir():
        existing_file(path, where)
    if not path.parent.is_dir():
        raise ArgumentError(
            message(where, f'the folder "{path.parent}" is not there.', "Make it first.")
        )
    with explained(where, "Nothing was changed."):
        # SQLite alone may open the file: to close it anywhere else in the process would drop the
        # locks of the connections that are there.
        connection = sqlite3.connect(
            path, timeout=timeout, isolation_level=None, check_same_thread=False
        )
        try:
            _prepare(connection, where, timeout)
            connection.execute(f"PRAGMA synchronous={SYNCHRONOUS[durability]}")
            connection.execute(f"PRAGMA wal_autocheckpoint={_LOG_PAGES}")
            connection.execute(f"PRAGMA journal_size_limit={_LOG_PAGES * _PAGE_BYTES * 2}")
            connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
        except BaseException:
            connection.close()
            raise
    return connection


def name(path: Path) -> str:
    """Give the words that stand for the store in messages."""
    return f'SQLite store "{path}"'


@contextmanager
def explained(where: str, written: str) -> Iterator[None]:
    """Raise what SQLite reports as an error of seqstate.

    Args:
        where: the store.
        written: a sentence on what was written, if the block fails.
    """
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code == sqlite3.SQLITE_NOTADB:
            raise _refused(where, "is no SQLite database, or it is damaged") from error
        if code in _DAMAGED:
            raise DataError(
                message(
                    where,
                    f"the file is damaged: {error}. {written}",
                    "Put a copy in its place, or rescue what is readable with the program "
                    "sqlite3 and its command .recover.",
                )
            ) from error
        todo = "Check that there is room, and that the file and its folder can be written to."
        if code in _BUSY:
            todo = (
                "Another process was writing for all of the timeout. Try again, or give more "
                "seconds with ?timeout=60 in the URL."
            )
        raise StoreError(message(where, f"{error}. {written}", todo)) from error
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(
            message(
                where,
                f"{error.strerror or error}. {written}",
                "Pass a file that you can read and write.",
            )
        ) from error


def _prepare(connection: sqlite3.Connection, where: str, timeout: float) -> None:
    if _layout(connection, where) < SCHEMA_VERSION:
        connection.execute(f"PRAGMA page_size={_PAGE_BYTES}")  # of a new file; others keep theirs
        _use_log(connection, where, timeout)
        connection.execute("BEGIN IMMEDIATE")
        # Asked again: another process may have been faster.
        for missing in _LAYOUTS[_layout(connection, where) :]:
            connection.execute(missing)
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        connection.execute("COMMIT")
    _use_log(connection, where, timeout)
    connection.execute("SELECT key, version, data FROM states LIMIT 0")
    connection.execute("SELECT name, value FROM meta LIMIT 0")


def _layout(connection: sqlite3.Connection, where: str) -> int:
    """Give the layout of the file, 0 for an empty one, and refuse one that is not a store's."""
    # In this order: another process may be making the file, all of it in one transaction.
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    (owner,) = connection.execute("PRAGMA application_id").fetchone()
    if owner == APPLICATION_ID:
        (schema,) = connection.execute("PRAGMA user_version").fetchone()
        if not 1 <= schema <= SCHEMA_VERSION:
            raise _refused(
                where,
                f"has layout {schema}, and this seqstate reads layouts up to {SCHEMA_VERSION}",
                "Update seqstate.",
            )
        return int(schema)
    if owner or tables:
        raise _refused(where, "is a database of another program")
    return 0


def _use_log(connection: sqlite3.Connection, where: str, timeout: float) -> None:
    """Switch to the write-ahead log, for which SQLite itself does not wait."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
            if mode != "wal":
                (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
            continue
        if mode == "wal":
            return
        raise StoreError(
            message(
                where,
                f'the file system does not bear a write-ahead log (SQLite stays in mode "{mode}").',
                "Put the file on a local disk.",
            )
        )


def _refused(
    where: str, what: str, todo: str = "Pass a file that is new or that seqstate made."
) -> DataError:
    return DataError(message(where, f"the file {what}. It was left as it is.", todo))
