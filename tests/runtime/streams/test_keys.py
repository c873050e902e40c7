"""What can be done with the state of a key, and with all keys at once."""

import numpy as np
import pytest

from seqstate.errors import ArgumentError, DataError, StateMismatchError, UnknownKeyError
from seqstate.runtime.streams import Streams

X = np.random.default_rng(3).normal(size=(20, 3)).astype("float32")


@pytest.fixture(params=["memory", "sqlite", "few live"])
def streams(request, model, tmp_path):
    url = None if request.param == "memory" else f"sqlite:///{tmp_path}/states.db"
    with Streams(model, url, max_live=1 if request.param == "few live" else None) as opened:
        yield opened


def same(one, other):
    return all(np.array_equal(one["lstm"][name], other["lstm"][name]) for name in "hc")


def test_a_state_goes_out_to_run_and_comes_back(model, streams):
    streams.push_chunk("a", X[:3])
    outputs, state = model.run(X[None, 3:6], streams.state("a"))
    streams.set_state("b", state)
    streams.set_state("a", {"lstm": {name: leaf[0] for name, leaf in state["lstm"].items()}})
    assert same(streams.state("a"), state)
    expected, _ = model.run(X[None, :7])
    assert np.array_equal(outputs[0], expected[0, 3:6])
    for key in "ab":
        assert np.array_equal(streams.push(key, X[6]), expected[0, 6])


def test_a_state_with_a_number_goes_on_from_it(model, streams):
    streams.push_chunk("a", X[:3], 0)
    streams.set_state("a", model.initial_state(1), sequence=9)
    assert streams.sequence("a") == 9
    with pytest.raises(ArgumentError, match=r"expected 10\. It was applied before"):
        streams.push("a", X[0], 9)
    streams.push("a", X[0], 10)
    streams.set_state("a", model.initial_state(1))
    assert streams.sequence("a") is None


def test_peek_gives_what_a_push_would_and_moves_nothing(streams):
    streams.push("a", X[0])
    seen = streams.peek("a", X[1])
    assert np.array_equal(streams.peek("a", X[1]), seen)
    assert np.array_equal(streams.push("a", X[1]), seen)
    new = streams.peek("b", X[0])
    assert list(streams) == ["a"]
    assert np.array_equal(streams.push("b", X[0]), new)


def test_reset_begins_anew(model, streams):
    first = streams.push("a", X[0], 5)
    streams.bookmark("a", "early")
    streams.push("a", X[1], 6)
    streams.reset("a")
    assert same(streams.state("a"), model.initial_state(1))
    assert streams.sequence("a") is None
    assert streams.bookmarks("a") == ["early"]
    assert np.array_equal(streams.push("a", X[0], 0), first)


def test_drop_forgets_a_key_and_its_bookmarks(streams):
    first = streams.push("a", X[0])
    streams.bookmark("a", "here")
    streams.drop("a")
    assert "a" not in streams
    assert len(streams) == 0
    assert np.array_equal(streams.push("a", X[0]), first)
    assert streams.bookmarks("a") == []


def test_a_branch_goes_its_own_way(streams):
    made = streams.push_chunk("a", X[:2], 0)
    streams.branch("a", "b")
    assert np.array_equal(streams.push("b", X[1], 1), made[1])
    before = streams.state("a")
    streams.push("b", X[2], 2)
    assert same(streams.state("a"), before)
    assert np.array_equal(streams.push("a", X[2], 2), streams.push("b", X[2], 2))
    with pytest.raises(ArgumentError, match="'b' is there already"):
        streams.branch("a", "b")
    with pytest.raises(UnknownKeyError):
        streams.branch("nobody", "c")
    assert list(streams) == ["a", "b"]


def test_rewind_goes_back_to_a_bookmark_with_its_number(streams):
    made = streams.push_chunk("a", X[:2], 0)
    streams.bookmark("a", "two")
    rest = streams.push_chunk("a", X[2:6], 2)
    streams.push("b", X[0])
    for _ in range(2):
        streams.rewind("a", "two")
        assert streams.sequence("a") == 1
        assert np.array_equal(streams.push("a", X[1], 1), made[1])
        assert np.array_equal(streams.push_chunk("a", X[2:6], 2), rest)
    streams.bookmark("a", "two")
    streams.bookmark("a", "six")
    assert streams.bookmarks("a") == ["two", "six"]
    streams.unmark("a", "six")
    streams.rewind("a", "two")
    assert streams.sequence("a") == 5
    for call in (streams.rewind, streams.unmark):
        with pytest.raises(UnknownKeyError, match="no bookmark 'six'; it has 'two'"):
            call("a", "six")


@pytest.mark.parametrize("name", ["", 5, None])
def test_a_bookmark_has_a_name(streams, name):
    streams.push("a", X[0])
    with pytest.raises(ArgumentError, match="name is"):
        streams.bookmark("a", name)


def test_bookmarks_are_there_after_a_restart(model, tmp_path):
    url = f"sqlite:///{tmp_path}/states.db"
    with Streams(model, url) as streams:
        streams.push_chunk("a", X[:2], 0)
        streams.bookmark("a", "two")
        streams.bookmark("a", "zwei ≤ drei")
        expected = streams.push_chunk("a", X[2:5], 2)
    with Streams(model, url) as streams:
        assert streams.bookmarks("a") == ["two", "zwei ≤ drei"]
        streams.rewind("a", "two")
        assert np.array_equal(streams.push_chunk("a", X[2:5], 2), expected)


def test_keys_are_sorted_and_counted(streams):
    for key in ("c", "a", "d", "b"):
        streams.push(key, X[0])
    streams.push("a", X[1])
    streams.drop("d")
    assert list(streams.keys()) == ["a", "b", "c"]
    assert len(streams) == 3
    assert "a" in streams
    assert "d" not in streams


def test_a_snapshot_brings_all_keys_back(model, streams, tmp_path):
    path = tmp_path / "all.safetensors"
    streams.push_many(["a", "b", "c"], X[:3], [0, None, 7])
    streams.bookmark("a", "start")
    before = {key: streams.state(key) for key in streams}
    streams.snapshot(path)
    expected = streams.push_many(["a", "b", "c"], X[3:6], [1, None, 8])
    streams.push("d", X[0])
    streams.drop("b")
    streams.restore(path)
    assert list(streams) == ["a", "b", "c", "d"]
    assert all(same(streams.state(key), state) for key, state in before.items())
    assert [streams.sequence(key) for key in "abc"] == [0, None, 7]
    assert streams.bookmarks("a") == ["start"]
    assert np.array_equal(streams.push_many(["a", "b", "c"], X[3:6], [1, None, 8]), expected)
    with Streams(model) as other:
        other.restore(path)
        assert np.array_equal(other.push_many(["a", "b", "c"], X[3:6], [1, None, 8]), expected)


def test_a_snapshot_of_nothing(model, tmp_path):
    path = tmp_path / "all.safetensors"
    with Streams(model) as streams:
        streams.snapshot(path)
        streams.restore(path)
        assert len(streams) == 0


def test_a_file_that_is_no_snapshot_moves_nothing(model, other_model, streams, tmp_path):
    path = tmp_path / "all.safetensors"
    with Streams(other_model) as others:
        others.push("a", X[0])
        others.snapshot(path)
    streams.push("a", X[0])
    before = streams.state("a")
    with pytest.raises(StateMismatchError, match="another model"):
        streams.restore(path)
    data = path.read_bytes()
    for damaged in (data[:-5], data[:100], b"", b"x" * 50, data[:-5] + b"12345"):
        path.write_bytes(damaged)
        with pytest.raises(DataError):
            streams.restore(path)
    with pytest.raises(DataError, match="is not there"):
        streams.restore(tmp_path / "nowhere.safetensors")
    assert same(streams.state("a"), before)
