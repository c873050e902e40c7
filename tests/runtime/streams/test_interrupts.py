"""Ctrl-C at any line: a key is where it was or where the call puts it, and the next call goes on.

A trace function raises KeyboardInterrupt at the n-th line that runs in the package, for every n.
"""

import linecache
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import seqstate
from seqstate.runtime.streams import Streams
from seqstate.stores.sqlite import SQLiteStore

FILES = tuple(
    str(Path(seqstate.__file__).parent / folder) for folder in ("runtime/streams", "stores")
)
X = np.random.default_rng(3).normal(size=(6, 3)).astype("float32")


class Interrupt:
    """Raises KeyboardInterrupt once, at the n-th line of the streams or the stores."""

    def __init__(self, at):
        self.left = at

    def __call__(self, frame, event, arg):
        if not frame.f_code.co_filename.startswith(FILES):
            return None
        # `with` takes and lets go of a lock without a look at signals.
        line = linecache.getline(frame.f_code.co_filename, frame.f_lineno).lstrip()
        if event == "line" and not line.startswith("with "):
            self.left -= 1
            if self.left == 0:
                sys.settrace(None)
                raise KeyboardInterrupt
        return self

    def __enter__(self):
        sys.settrace(self)

    def __exit__(self, *_):
        sys.settrace(None)


@pytest.fixture(scope="module")
def stands(model):
    """Name the number of samples of X that lead to a state."""
    known = {}
    state = model.initial_state(1)
    for count in range(len(X)):
        known[state["lstm"]["h"].tobytes() + state["lstm"]["c"].tobytes()] = count
        _, state = model.run(X[None, count : count + 1], state)
    return lambda state: known[state["lstm"]["h"].tobytes() + state["lstm"]["c"].tobytes()]


def one(streams):
    streams.push("a", X[2])


def numbered(streams):
    streams.push("a", X[2], 2)


def several(streams):
    streams.push_many(["a", "b", "c"], np.stack([X[2], X[2], X[0]]))


CASES = [
    (one, {"a"}, "memory", None),
    (numbered, {"a"}, "memory", None),
    (several, {"a", "b", "c"}, "memory", None),
    (several, {"a", "b", "c"}, "memory", 1),
    (several, {"a", "b", "c"}, "sqlite", None),
    (several, {"a", "b", "c"}, "sqlite", 1),
]


@pytest.mark.parametrize(("call", "moved", "store", "max_live"), CASES)
def test_an_interrupted_call_leaves_every_key_whole(
    model, stands, tmp_path, call, moved, store, max_live
):
    url = None if store == "memory" else f"sqlite:///{tmp_path}/states.db"
    ended = at = 0
    while not ended:
        at += 1
        with Streams(model, url, None if url is None else "none", max_live) as streams:
            for key in "abc":
                if key in streams:
                    streams.drop(key)
            for key in "ab":
                streams.push_chunk(key, X[:2], 0)
            try:
                with Interrupt(at):
                    call(streams)
                ended = True
            except KeyboardInterrupt:
                pass
            found = {key: stands(streams.state(key)) for key in streams}
            before = {"a": 2, "b": 2}
            after = before | {key: before.get(key, 0) + 1 for key in moved}
            assert found in (before, after)
            streams.push_many(list("abc"), [X[found.get(key, 0)] for key in "abc"])
            for key in "abc":
                assert stands(streams.state(key)) == found.get(key, 0) + 1
    assert found == after
    assert at > 15


def in_thread(call):
    """Start a call; `join` gives what it raised."""

    class Running(threading.Thread):
        raised = None

        def run(self):
            try:
                call()
            except BaseException as error:
                self.raised = error

    thread = Running()
    thread.start()
    return thread


def test_who_waited_for_a_call_that_was_interrupted_does_not_hang(model, tmp_path, monkeypatch):
    with Streams(model, f"sqlite:///{tmp_path}/states.db") as streams:
        with streams._engine.held(["a"]):
            waiting = in_thread(lambda: streams.push("a", X[0]))
            closing = Interrupt(12)  # while it waits for the other thread
            with pytest.raises(KeyboardInterrupt), closing:
                streams.snapshot(tmp_path / "all.safetensors")
        waiting.join(10)
        assert not waiting.is_alive()
        assert waiting.raised is None
        streams.push("a", X[1])


def test_a_write_that_was_taken_along_and_interrupted_is_not_acknowledged(tmp_path, monkeypatch):
    with SQLiteStore(tmp_path / "states.db") as store:
        commit = store._commit
        calls = []

        def interrupted(together):
            calls.append(len(together))
            if len(calls) == 1:
                raise KeyboardInterrupt
            commit(together)

        monkeypatch.setattr(store, "_commit", interrupted)
        with store._writing:
            threads = [in_thread(lambda k=k: store.put_many([(k, b"x", 0)])) for k in "ab"]
            while len(store._waiting) < 2:
                pass
        for thread in threads:
            thread.join(10)
        assert calls[0] == 2
        raised = {type(thread.raised).__name__ for thread in threads}
        assert raised == {"KeyboardInterrupt", "StoreError"}
        assert store.put_many([("a", b"x", 0), ("b", b"x", 0)]) == [1, 1]


def test_a_write_that_was_interrupted_while_it_waited_is_not_written_later(tmp_path):
    with SQLiteStore(tmp_path / "states.db") as store:
        with pytest.raises(KeyboardInterrupt), Interrupt(24):
            store.put_many([("a", b"x", 0)])
        store.put_many([("b", b"x", 0)])
        assert list(store.keys()) == ["b"]
