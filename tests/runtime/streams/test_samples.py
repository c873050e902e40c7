"""What counts as a sample, on models of several kinds."""

import keras
import numpy as np
import pytest

import seqstate
from seqstate.errors import ArgumentError, InputError
from seqstate.runtime.streams import Streams

NO_SAMPLES = {
    "texts": ["1", "2", "3"],
    "complex": np.ones(3, complex),
    "dates": np.zeros(3, "datetime64[s]"),
    "durations": np.zeros(3, "timedelta64[s]"),
    "too large for a float": [10**400, 1, 1],
    "too large for float32": [1e39, 0, 0],
    "nothing": None,
    "rows": np.ones((1, 3)),
}


@pytest.mark.parametrize("sample", NO_SAMPLES.values(), ids=NO_SAMPLES)
def test_push_and_push_many_refuse_the_same(model, sample):
    with Streams(model) as streams:
        with pytest.raises(InputError, match="No state was moved"):
            streams.push("a", sample)
        with pytest.raises(InputError, match="No state was moved"):
            streams.push_many(["a"], [sample])
        assert "a" not in streams


@pytest.mark.parametrize("kind", ["float64", "float32", "float16", "int8", "uint64", "bool"])
def test_numbers_of_any_type_are_taken_as_float32(model, kind):
    sample = np.array([1, 0, 1], kind)
    with Streams(model) as streams:
        first = streams.push("a", sample)
        assert np.array_equal(first, streams.push("b", sample.tolist()))
        assert np.array_equal(first, streams.push_many(["c"], sample[None])[0])


@pytest.mark.parametrize("nothing", [[], np.empty((0, 3))], ids=["list", "array"])
def test_no_samples_move_nothing(model, nothing):
    with Streams(model) as streams:
        assert streams.push_many([], nothing).shape == (0, 5)
        assert streams.push_many([], nothing, []).shape == (0, 5)
        assert streams.push_chunk("a", nothing).shape == (0, 5)
        assert list(streams) == []


@pytest.mark.parametrize(
    ("keys", "sequences", "says"),
    [
        (5, None, "keys is 5; expected a list"),
        (None, None, "keys is None; expected a list"),
        ("ab", None, "keys is 'ab'; expected a list"),
        (["a", "b"], 5, "sequences is 5; expected a list"),
        (["a", "b"], "01", "the sequence number of key 'a' is '0'"),
    ],
)
def test_what_is_no_list(model, keys, sequences, says):
    with Streams(model) as streams, pytest.raises(ArgumentError, match=says):
        streams.push_many(keys, np.ones((2, 3)), sequences)


@pytest.mark.parametrize("number", [True, np.True_, "1", [1], 1.0, -1, 2**62])
def test_the_number_of_a_chunk_is_checked_as_that_of_a_push(model, number):
    with Streams(model) as streams:
        with pytest.raises(ArgumentError, match="expected a whole number from 0"):
            streams.push_chunk("a", np.ones((2, 3)), number)
        assert "a" not in streams


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "tokens.keras"
    layers = [keras.Input((None,), dtype="int32"), keras.layers.Embedding(10, 4)]
    keras.Sequential([*layers, keras.layers.GRU(5, return_sequences=True)]).save(path)
    return seqstate.load(path)


def test_tokens(tokens, tmp_path):
    words = np.array([3, 1, 4, 1])
    expected, _ = tokens.run(words[None])
    with Streams(tokens, f"sqlite:///{tmp_path}/states.db") as streams:
        assert np.array_equal([streams.push("a", word) for word in words], expected[0])
        assert np.array_equal(streams.push_chunk("b", words.tolist()), expected[0])
        assert np.array_equal(streams.push_many(["c", "d"], [3, 3])[1], expected[0, 0])
        assert np.array_equal(streams.peek("e", np.uint8(3)), expected[0, 0])
        with pytest.raises(InputError, match=f"key 'd': {2**32 + 1} came; the model reads int32"):
            streams.push_many(["a", "d"], [1, 2**32 + 1])


def test_a_model_without_states(tmp_path):
    keras.Sequential([keras.Input((None, 3)), keras.layers.Dense(2)]).save(tmp_path / "m.keras")
    model = seqstate.load(tmp_path / "m.keras")
    x = np.ones((2, 3), "float32")
    expected, _ = model.run(x[None])
    with Streams(model, f"sqlite:///{tmp_path}/states.db", max_live=1) as streams:
        assert np.array_equal(streams.push_many(["a", "b"], x, [0, 0]), expected[0])
    with Streams(model, f"sqlite:///{tmp_path}/states.db", max_live=1) as streams:
        assert np.array_equal(streams.push("a", x[0], 0), expected[0, 0])
        assert streams.state("a") == {}
