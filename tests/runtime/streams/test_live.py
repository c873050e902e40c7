"""Which keys are in memory: at most `max_live`, the least recently used go to the store."""

import numpy as np
import pytest

from seqstate.runtime.streams import Streams
from seqstate.stores.memory import MemoryStore

X = np.random.default_rng(3).normal(size=(500, 3)).astype("float32")


class Counting(MemoryStore):
    """Counts what is written."""

    def __init__(self):
        super().__init__()
        self.written = []

    def put_many(self, items):
        self.written += [key for key, _, _ in items]
        return super().put_many(items)


def test_in_memory_nothing_is_written_until_a_key_is_pushed_out(model):
    store = Counting()
    with Streams(model, store, max_live=3) as streams:
        for key in "abc":
            streams.push(key, X[0])
        streams.push("a", X[1])
        assert store.written == []
        streams.push("d", X[0])
        assert store.written == ["b"]
        streams.push_many(["b", "a"], X[:2])
        assert store.written == ["b", "c"]
        assert "c" in streams  # it comes back, as it was written
        assert store.written == ["b", "c"]
    assert store.written == ["b", "c", "d", "a", "b"] or sorted(store.written[2:]) == [
        "a",
        "b",
        "d",
    ]


def test_flush_writes_what_has_moved_and_no_more(model):
    store = Counting()
    with Streams(model, store) as streams:
        streams.push_many(["a", "b"], X[:2])
        streams.flush()
        assert sorted(store.written) == ["a", "b"]
        streams.push("b", X[2])
        streams.flush()
        assert sorted(store.written) == ["a", "b", "b"]
    assert len(store.written) == 3


@pytest.mark.parametrize("max_live", [1, 7, 100])
@pytest.mark.parametrize("store", ["memory", "sqlite"])
def test_keys_go_and_come_back_with_the_same_bits(model, tmp_path, max_live, store):
    rng = np.random.default_rng(1)
    url = None if store == "memory" else f"sqlite:///{tmp_path}/states.db"
    with Streams(model, url, max_live=max_live) as streams, Streams(model) as plain:
        for _ in range(25):
            keys = [f"k{i}" for i in rng.integers(0, 60, size=20)]
            samples = X[rng.integers(0, len(X), size=20)]
            assert np.array_equal(streams.push_many(keys, samples), plain.push_many(keys, samples))
            assert len(streams._engine.live) <= max_live
        assert list(streams) == list(plain)
        for key in plain:
            for name in "hc":
                mine, theirs = streams.state(key)["lstm"][name], plain.state(key)["lstm"][name]
                assert np.array_equal(mine, theirs)


def test_rows_of_keys_that_are_gone_are_used_again(model):
    with Streams(model) as streams:
        first = streams.push("a", X[0])
        for i in range(200):
            streams.push(f"k{i}", X[i])
            streams.drop(f"k{i}")
        assert len(streams._engine.live.packed[0]) <= 16
        assert np.array_equal(streams.push("new", X[0]), first)
