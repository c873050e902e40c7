"""What is refused, and that no state has moved then."""

import numpy as np
import pytest

from seqstate.errors import (
    ArgumentError,
    ConflictError,
    InputError,
    StateMismatchError,
    StoreError,
    UnknownKeyError,
)
from seqstate.runtime.streams import Streams
from seqstate.stores import open_store
from seqstate.stores.memory import MemoryStore

X = np.random.default_rng(3).normal(size=(20, 3)).astype("float32")
NAN = np.array([0, np.nan, 0], "float32")


class Failing(MemoryStore):
    """A store that is down when it is told so; it is no MemoryStore to those who look."""

    down = False

    def put_many(self, items):
        if self.down:
            raise StoreError("the store is down")
        return super().put_many(items)


class Remote:
    """Passes calls on, so that it counts as a store that outlives the process."""

    def __init__(self, inner):
        self.inner = inner

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def get_many(self, keys):
        return self.inner.get_many(keys)

    def put_many(self, items):
        return self.inner.put_many(items)

    def delete(self, keys):
        return self.inner.delete(keys)

    def keys(self, prefix=""):
        return self.inner.keys(prefix)

    def close(self):
        self.inner.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@pytest.fixture(params=["memory", "sqlite"])
def streams(request, model, tmp_path):
    url = None if request.param == "memory" else f"sqlite:///{tmp_path}/states.db"
    with Streams(model, url) as opened:
        opened.push_many(["a", "b"], X[:2])
        yield opened


@pytest.fixture
def untouched(streams):
    before = {key: streams.state(key) for key in ("a", "b")}
    yield
    assert list(streams) == ["a", "b"]
    for key, state in before.items():
        for name in "hc":
            assert np.array_equal(streams.state(key)["lstm"][name], state["lstm"][name])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.usefixtures("untouched")
def test_a_sample_that_is_no_number_is_refused_by_its_key(streams, value):
    bad = X[0].copy()
    bad[1] = value
    with pytest.raises(InputError, match="'a': the sample has"):
        streams.push("a", bad)
    with pytest.raises(InputError, match="'new': the sample has"):
        streams.push("new", bad)
    with pytest.raises(InputError, match="'b': the sample has"):
        streams.push_many(["a", "b", "new"], np.stack([X[0], bad, X[1]]))
    with pytest.raises(InputError, match="'a': the sample has"):
        streams.push_chunk("a", np.stack([X[0], bad]))


@pytest.mark.parametrize(
    "sample", [[1, 2], [1, 2, 3, 4], 5.0, "text", [1, 2, "x"], [[1, 2, 3]], None, [1, 2, None]]
)
@pytest.mark.usefixtures("untouched")
def test_a_sample_of_another_width_is_refused(streams, sample):
    with pytest.raises(InputError, match=r"expected shape \(3,\)"):
        streams.push("a", sample)
    with pytest.raises(InputError, match=r"key 'b'|2 keys"):
        streams.push_many(["a", "b"], [[1, 2, 3], sample])


@pytest.mark.usefixtures("untouched")
def test_as_many_samples_as_keys(streams):
    with pytest.raises(InputError, match="2 keys"):
        streams.push_many(["a", "b"], X[:3])
    with pytest.raises(ArgumentError, match="expected a list"):
        streams.push_many("ab", X[:2])


@pytest.mark.parametrize("key", ["", 5, None, "x" * 2000, "\ud800", ("a",), ["a"]])
@pytest.mark.usefixtures("untouched")
def test_what_can_not_be_a_key_is_refused(streams, key):
    with pytest.raises(ArgumentError, match="key"):
        streams.push(key, X[0])
    with pytest.raises(ArgumentError, match="key"):
        streams.push_many(["a", key], X[:2])


@pytest.mark.usefixtures("untouched")
def test_a_step_that_makes_nan_is_refused(streams, monkeypatch, model):
    step = model.step_of

    def broken(x, state):
        outputs, after = step(x, state)
        after["lstm"]["c"][-1, 2] = np.nan
        return outputs, after

    monkeypatch.setattr(model, "step_of", broken)
    with pytest.raises(InputError, match="'b': the step made NaN in the state lstm/c"):
        streams.push_many(["a", "b"], X[:2])
    with pytest.raises(InputError, match="'a': the step made NaN"):
        streams.push("a", X[0])
    with pytest.raises(InputError, match="'new': the step made NaN"):
        streams.push("new", X[0])


@pytest.mark.parametrize("large", [3e38, 1e30])
def test_large_numbers_are_no_infinities(streams, large):
    assert np.isfinite(streams.push("a", np.full(3, large, "float32"))).all()
    assert np.isfinite(streams.push_many(["a"], np.full((1, 3), large, "float32"))).all()


def test_a_store_that_is_down_moves_nothing(model):
    store = Failing()
    with Streams(model, Remote(store)) as streams, Streams(model) as plain:
        streams.push_many(["a", "b"], X[:2])
        store.down = True
        for call in (
            lambda: streams.push("a", X[2]),
            lambda: streams.push_many(["a", "b", "new", "a"], X[:4]),
            lambda: streams.reset("a"),
            lambda: streams.branch("a", "new"),
            lambda: streams.bookmark("a", "here"),
        ):
            with pytest.raises(StoreError, match="is down"):
                call()
        store.down = False
        assert list(streams) == ["a", "b"]
        assert streams.bookmarks("a") == []
        plain.push_many(["a", "b"], X[:2])
        assert np.array_equal(streams.push("a", X[2]), plain.push("a", X[2]))


def test_two_processes_can_not_both_move_a_key(model, tmp_path):
    url = f"sqlite:///{tmp_path}/states.db"
    with Streams(model, url) as one, Streams(model, url) as other, Streams(model) as plain:
        expected = plain.push_chunk("a", X[:4])
        one.push("a", X[0])
        other.push("a", X[1])
        with pytest.raises(ConflictError, match="another process moved 'a'") as raised:
            one.push_many(["b", "a"], X[:2])
        assert raised.value.keys == ("a",)
        assert "b" not in one
        # Once it was told, it goes on from what the other one wrote.
        assert np.array_equal(one.push("a", X[2]), expected[2])
        with pytest.raises(ConflictError):
            other.push("a", X[3])


def test_a_key_that_another_process_dropped_and_moved_as_often_is_not_written_over(model, tmp_path):
    url = f"sqlite:///{tmp_path}/states.db"
    with Streams(model, url) as one, Streams(model, url) as other, Streams(model) as plain:
        for sample in X[:3]:
            one.push("a", sample)
        other.drop("a")
        for sample in X[3:6]:
            other.push("a", sample)
        with pytest.raises(ConflictError, match="another process moved 'a'"):
            one.push("a", X[6])
        expected = plain.push_chunk("a", X[3:7])
        assert np.array_equal(one.push("a", X[6]), expected[3])


def test_a_state_of_another_model_is_refused(model, tmp_path, other_model):
    url = f"sqlite:///{tmp_path}/states.db"
    with Streams(other_model, url) as streams:
        streams.push("a", X[0])
    with Streams(model, url) as streams:
        with pytest.raises(StateMismatchError, match="another model"):
            streams.push("a", X[0])
        streams.push("b", X[0])


@pytest.mark.parametrize("call", ["state", "reset", "drop", "sequence", "bookmarks"])
def test_an_unknown_key_is_an_error(streams, call):
    with pytest.raises(UnknownKeyError, match="no key 'nobody'"):
        getattr(streams, call)("nobody")
    assert list(streams) == ["a", "b"]


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ({"lstm": {"h": np.zeros(5)}}, "lacks lstm/c"),
        ({"lstm": {"h": np.zeros(5), "c": np.zeros(6)}}, r"expected \(1, 5\)"),
        ({"lstm": {"h": np.zeros(5), "c": np.full(5, np.nan)}}, "NaN in lstm/c"),
        ({"gru": {}}, "unknown name 'gru'"),
        ({"lstm": {"h": np.zeros((2, 5)), "c": np.zeros((2, 5))}}, "has 2 rows; expected 1"),
    ],
)
@pytest.mark.usefixtures("untouched")
def test_a_state_that_does_not_fit_is_refused(streams, state, says):
    with pytest.raises(StateMismatchError, match=says):
        streams.set_state("a", state)
    with pytest.raises(StateMismatchError, match=says):
        streams.set_state("new", state)


def test_after_close_there_are_no_calls(model, tmp_path):
    for url in (None, f"sqlite:///{tmp_path}/states.db"):
        streams = Streams(model, url)
        streams.push("a", X[0])
        streams.close()
        streams.close()
        for call in (
            lambda s=streams: s.push("a", X[0]),
            lambda s=streams: s.state("a"),
            lambda s=streams: len(s),
            lambda s=streams: s.flush(),
        ):
            with pytest.raises(ArgumentError, match="closed"):
                call()


@pytest.mark.parametrize("name", ["max_live", "keep_outputs"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "2", True])
def test_limits_are_whole_numbers(model, name, value):
    with pytest.raises(ArgumentError, match=name):
        Streams(model, **{name: value})


def test_a_store_that_is_passed_stays_open_and_has_all(model):
    with open_store() as store:
        with Streams(model, store) as streams:
            made = streams.push_chunk("a", X[:3])
        with Streams(model, store) as streams, Streams(model) as plain:
            expected = plain.push_chunk("a", X[:4])
            assert np.array_equal(made, expected[:3])
            assert np.array_equal(streams.push("a", X[3]), expected[3])
