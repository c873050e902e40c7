"""States in the store that can't be read: what is refused, and the ways out that are named."""

from threading import Thread

import numpy as np
import pytest

from seqstate.errors import DataError, StateMismatchError, UnknownKeyError
from seqstate.runtime.streams import Streams
from seqstate.stores import open_store

X = np.random.default_rng(3).normal(size=(4, 3)).astype("float32")


@pytest.fixture
def url(model, tmp_path):
    """A store with the keys a, b and c, of which b is damaged."""
    url = f"sqlite:///{tmp_path}/states.db"
    with Streams(model, url) as streams:
        streams.push_many(list("abc"), X[:3])
        streams.snapshot(tmp_path / "all.safetensors")
    with open_store(url) as store:
        (entry,) = store.get_many(["b"])
        damaged = bytearray(entry.data)
        damaged[-20] ^= 4
        store.put_many([("b", bytes(damaged), entry.version)])
    return url


def test_a_damaged_state_stops_its_key_alone(model, url):
    with Streams(model, url) as streams:
        before = streams.state("a")
        with pytest.raises(DataError, match=r"key 'b'.* checksum"):
            streams.push_many(["a", "b"], X[:2])
        assert np.array_equal(streams.state("a")["lstm"]["h"], before["lstm"]["h"])
        streams.push_many(["a", "c"], X[:2])
        assert "b" in streams


def test_a_damaged_state_can_be_dropped(model, url):
    with Streams(model, url) as streams:
        streams.drop("b")
        assert list(streams) == ["a", "c"]
        with pytest.raises(UnknownKeyError):
            streams.drop("b")
        expected, _ = model.run(X[None, :1])
        assert np.array_equal(streams.push("b", X[0]), expected[0, 0])


def test_a_damaged_state_can_be_restored_from_a_snapshot(model, url, tmp_path):
    with Streams(model, url) as streams:
        streams.restore(tmp_path / "all.safetensors")
        expected, _ = model.run(X[None, [1, 3]])
        assert np.array_equal(streams.push("b", X[3]), expected[0, 1])


def test_states_of_another_model_can_be_dropped(other_model, url):
    with Streams(other_model, url) as streams:
        with pytest.raises(StateMismatchError, match="seqstate state migrate"):
            streams.push("a", X[0])
        streams.drop("a")
        streams.push("a", X[0])


def test_an_empty_snapshot_restores_nothing(model, tmp_path):
    with Streams(model, f"sqlite:///{tmp_path}/other.db") as streams:
        streams.snapshot(tmp_path / "none.safetensors")
        streams.push("a", X[0])
        streams.restore(tmp_path / "none.safetensors")
        assert list(streams) == ["a"]


def test_who_looks_at_all_keys_keeps_no_more_than_max_live(model, tmp_path):
    with Streams(model, f"sqlite:///{tmp_path}/other.db", max_live=2) as streams:
        streams.push_many(list("abcdef"), np.repeat(X[:1], 6, axis=0), [0] * 6)
        for look in (streams.state, streams.sequence, streams.bookmarks, streams.__contains__):
            for key in streams:
                look(key)
                assert len(streams._engine.live) <= 2
        streams.push_many(list("abcdef"), np.repeat(X[:1], 6, axis=0), [0] * 6)  # all repeats
        assert len(streams._engine.live) <= 2


def test_a_state_is_that_of_its_key_though_others_push_it_out(model, tmp_path, monkeypatch):
    with Streams(model, f"sqlite:///{tmp_path}/other.db", max_live=1) as streams:
        streams.push("a", X[0])
        expected = streams.state("a")["lstm"]["h"]
        known = streams._engine._known
        others = []

        def slow(key):
            rows = known(key)
            others.append(Thread(target=streams.push, args=("b", X[1])))
            others[0].start()
            others[0].join(0.3)
            return rows

        monkeypatch.setattr(streams._engine, "_known", slow)
        assert np.array_equal(streams.state("a")["lstm"]["h"], expected)
        others[0].join()
