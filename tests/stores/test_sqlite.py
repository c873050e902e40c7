"""What is SQLite's own: the file, its durability, writers that wait for each other."""

import sqlite3
import subprocess
import sys
import time
from threading import Thread

import pytest

from seqstate.errors import ArgumentError, ConflictError, DataError, StoreError
from seqstate.stores import Entry, open_store
from seqstate.stores.sqlite import SQLiteStore
from subprocesses import python


@pytest.fixture
def path(tmp_path):
    return tmp_path / "states.db"


def waiting(store, count):
    while len(store._waiting) < count:
        time.sleep(0.001)


@pytest.mark.parametrize(
    ("durability", "synchronous"), [("full", 2), ("normal", 1), ("none", 0), (None, 1)]
)
def test_durability_is_what_sqlite_is_told(durability, synchronous, path):
    with open_store(f"sqlite:///{path}", durability) as store:
        assert store._writer.execute("PRAGMA synchronous").fetchone() == (synchronous,)
        assert store._writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_the_file_says_whose_it_is_and_has_plain_tables(path):
    with SQLiteStore(path) as store:
        store.put_many([("a", b"1", 0), ("b", b"1", 0)])
        store.put_many([("b", b"2", 1)])
        store.delete(["b"])
    with sqlite3.connect(path) as plain:
        assert plain.execute("PRAGMA application_id").fetchone() == (int.from_bytes(b"SqSt"),)
        assert plain.execute("PRAGMA user_version").fetchone() == (2,)
        assert plain.execute("SELECT * FROM states").fetchall() == [("a", 1, b"1")]
        assert plain.execute("SELECT * FROM meta").fetchall() == [("floor", 2)]
    plain.close()


def of_layout_1(path):
    """Make a file as it was before stores remembered what they had deleted."""
    with sqlite3.connect(path) as old:
        old.execute("PRAGMA journal_mode=WAL")
        old.execute(
            "CREATE TABLE states "
            "(key TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL, data BLOB NOT NULL)"
        )
        old.execute("INSERT INTO states VALUES ('a', 7, x'31')")
        old.execute(f"PRAGMA application_id={int.from_bytes(b'SqSt')}")
        old.execute("PRAGMA user_version=1")
    old.close()


def test_an_older_file_is_brought_up_and_goes_on(path):
    of_layout_1(path)
    with SQLiteStore(path, create=False) as store, SQLiteStore(path) as other:
        assert store.get_many(["a"]) == [Entry(b"1", 7)]
        assert store.put_many([("a", b"2", 7), ("b", b"1", 0)]) == [8, 1]
        assert other.delete(["a"]) == 1
        assert store.put_many([("a", b"3", 0)]) == [9]
    with sqlite3.connect(path) as plain:
        assert plain.execute("PRAGMA user_version").fetchone() == (2,)
    plain.close()


def test_a_delete_that_fails_leaves_the_floor_too(path):
    with SQLiteStore(path) as store:
        store.put_many([("a", b"1", 0)])
        store._writer.execute(
            "CREATE TEMP TRIGGER refuse BEFORE DELETE ON states "
            "BEGIN SELECT raise(ABORT, 'it is kept'); END"
        )
        with pytest.raises(StoreError, match=r"it is kept\. Nothing was written"):
            store.delete(["a"])
        assert store.get_many(["a"]) == [Entry(b"1", 1)]
        assert store._reader.execute("SELECT * FROM meta").fetchall() == []


def put_at_once(store, given):
    """Put from a thread each, all of which wait for the one before; give the transactions."""
    seen, errors = [], []

    def put(name, version):
        try:
            store.put_many([(name, b"2", version), (f"{name}-more", b"2", 0)])
        except ConflictError as error:
            errors.append(error.keys)

    threads = [Thread(target=put, args=each) for each in given]
    store._writer.set_trace_callback(seen.append)
    with store._writing:
        for number, thread in enumerate(threads, 1):
            thread.start()
            waiting(store, number)
    for thread in threads:
        thread.join()
    store._writer.set_trace_callback(None)
    return seen.count("COMMIT"), errors


def test_writers_that_wait_share_one_transaction(path):
    with SQLiteStore(path) as store:
        assert put_at_once(store, [("a", 0), ("b", 0), ("c", 0)]) == (1, [])
        assert list(store.keys()) == ["a", "a-more", "b", "b-more", "c", "c-more"]


def test_a_conflict_takes_no_other_writer_with_it(path):
    with SQLiteStore(path) as store:
        store.put_many([("old", b"1", 0)])
        commits, errors = put_at_once(store, [("a", 0), ("old", 5), ("b", 0), ("old", 1)])
        assert (commits, errors) == (3, [("old",)])
        assert list(store.keys()) == ["a", "a-more", "b", "b-more", "old", "old-more"]
        assert store.get_many(["old"]) == [Entry(b"2", 2)]


def test_another_process_that_writes_is_waited_for_and_then_named(path):
    with SQLiteStore(path, timeout=0.05) as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        for call in (lambda: store.put_many([("a", b"1", 0)]), lambda: store.delete(["a"])):
            with pytest.raises(StoreError, match=r"locked. Nothing was written.\n .*timeout=60"):
                call()
        assert store.get_many(["a"]) == [None]
        other.execute("ROLLBACK")
        other.close()
        assert store.put_many([("a", b"1", 0)]) == [1]


def test_a_full_disk_writes_nothing_of_the_call(path):
    with SQLiteStore(path) as store:
        store.put_many([("a", b"1", 0)])
        store._writer.execute("PRAGMA max_page_count=20")
        with pytest.raises(StoreError, match=r"full\. Nothing was written\."):
            store.put_many([("a", b"2", 1), *[(f"k{i}", bytes(2_000), 0) for i in range(50)]])
        assert store.get_many(["a", "k0"]) == [Entry(b"1", 1), None]
        store.put_many([("a", b"2", 1)])


def test_ctrl_c_in_the_thread_that_writes_leaves_nothing_half_done(path, monkeypatch):
    with SQLiteStore(path) as store:
        apply = store._apply

        def interrupted(write):
            apply(write)
            raise KeyboardInterrupt

        monkeypatch.setattr(store, "_apply", interrupted)
        with pytest.raises(KeyboardInterrupt):
            store.put_many([("a", b"1", 0)])
        monkeypatch.undo()
        assert store.get_many(["a"]) == [None]
        assert store.put_many([("a", b"1", 0)]) == [1]


KILLED = """
import os, signal, sys
from pathlib import Path
from seqstate.stores.sqlite import SQLiteStore

def killed_at(number):
    left = number
    def statement(_):
        nonlocal left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
    with SQLiteStore(path) as store:
        store._writer.set_trace_callback(statement)
        store.put_many([*[(key, b"2", 1) for key in "abc"], ("d", b"2", 0), ("e", b"2", 0)])
    os._exit(0)

for number in range(100):
    path = Path(sys.argv[1], f"{number}.db")
    with SQLiteStore(path) as store:
        store.put_many([(key, b"1", 0) for key in "abc"])
    child = os.fork() or killed_at(number)
    _, status = os.waitpid(child, 0)
    with SQLiteStore(path) as store:
        entries = store.get_many(list("abcde"))
    print(os.WIFSIGNALED(status), *[entry and entry.data.decode() for entry in entries])
    if not os.WIFSIGNALED(status):
        break
"""


def test_killed_at_any_statement_of_a_call_all_of_it_is_written_or_nothing(tmp_path):
    *killed, done = python(KILLED, tmp_path, str(tmp_path)).splitlines()
    assert set(killed) == {"True 1 1 1 None None"}
    assert len(killed) >= 7  # the beginning, five items, the end
    assert done == "False 2 2 2 2 2"


TAKE_ALL = """
import sqlite3, sys
try:
    sqlite3.connect(sys.argv[1], timeout=0).execute("PRAGMA journal_mode=DELETE")
except sqlite3.OperationalError as error:
    print(error)
"""


def test_opening_a_store_again_leaves_the_locks_of_the_first(path):
    # To open and close the file by other means would drop them: another process that ends would
    # then take the log for its own, and remove it.
    with SQLiteStore(path) as store:
        store.put_many([("a", b"1", 0)])
        SQLiteStore(path).close()
        command = [sys.executable, "-c", TAKE_ALL, path]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout == "database is locked\n"


def foreign(path):
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE notes (text)")
    other.close()


def of_another_program(path):
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA application_id=77")
    other.close()


def later(path):
    SQLiteStore(path).close()
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA user_version=3")
    other.close()


def without_table(path):
    SQLiteStore(path).close()
    with sqlite3.connect(path) as other:
        other.execute("DROP TABLE states")
    other.close()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: path.write_text("just a text\n" * 300), "is no SQLite database, or it is"),
        (foreign, "is a database of another program. It was left as it is"),
        (of_another_program, "is a database of another program"),
        (later, "has layout 3, and this seqstate reads layouts up to 2"),
        (without_table, "the file is damaged: no such table"),
    ],
)
def test_what_is_no_store_is_refused_and_left_as_it_is(make, says, path):
    make(path)
    before = path.read_bytes()
    with pytest.raises(DataError, match=says) as raised:
        SQLiteStore(path)
    assert str(path) in str(raised.value)
    assert path.read_bytes() == before


def test_a_damaged_file_is_named_when_the_damage_is_met(path):
    with SQLiteStore(path) as store:
        store.put_many([(f"k{i:04}", bytes(300), 0) for i in range(2_000)])
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    with SQLiteStore(path) as store, pytest.raises(DataError, match=r"damaged: .* malformed"):
        store.get_many([f"k{i:04}" for i in range(2_000)])


@pytest.mark.parametrize(
    ("make", "options", "error", "says"),
    [
        (lambda p: p, {"create": False}, DataError, "is not there"),
        (lambda p: p.parent, {}, DataError, "is a directory"),
        (lambda p: p.parent / "missing" / "s.db", {}, ArgumentError, "the folder .* is not there"),
        (lambda p: p, {"durability": "some"}, ArgumentError, "expected one of full, normal, none"),
    ],
)
def test_a_place_that_can_not_be_used(make, options, error, says, path):
    with pytest.raises(error, match=says):
        SQLiteStore(make(path), **options)
    assert not path.exists()
