"""However pushes are cut, mixed and kept, a key gets the bits that it gets alone."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import seqstate
from seqstate.runtime.streams import Streams
from seqstate.state import flatten

KEYS = ("a", "b", "c", "d")
FEATURES = 3
DATA = {
    key: np.random.default_rng(i).normal(size=(40, FEATURES)).astype("float32")
    for i, key in enumerate(KEYS)
}

CALLS = st.lists(
    st.one_of(
        st.tuples(st.just("push"), st.sampled_from(KEYS)),
        st.tuples(st.just("push_many"), st.lists(st.sampled_from(KEYS), max_size=8)),
        st.tuples(st.just("push_chunk"), st.sampled_from(KEYS), st.integers(1, 5)),
        st.tuples(st.just("peek"), st.sampled_from(KEYS)),
    ),
    max_size=14,
)


def alone(model, key, count):
    """The outputs and the state of a key after so many samples, by `run`."""
    if not count:
        return np.empty((0, 5), "float32"), model.initial_state(1)
    outputs, state = model.run(DATA[key][None, :count])
    return outputs[0], state


def play(streams, calls, numbered):
    """Make the calls; give for each key the outputs of its pushes."""
    outputs = {key: [] for key in KEYS}

    def take(key):
        number = len(outputs[key])
        outputs[key].append(None)
        return DATA[key][number], number if numbered else None

    for call, *given_ in calls:
        if call == "push":
            (key,) = given_
            sample, number = take(key)
            outputs[key][-1] = streams.push(key, sample, number)
        elif call == "push_many":
            keys = given_[0]
            taken = [take(key) for key in keys]
            places = [len(outputs[key]) for key in keys]
            samples = np.array([one for one, _ in taken]).reshape(-1, FEATURES)
            made = streams.push_many(keys, samples, [n for _, n in taken] if numbered else None)
            left = {key: keys.count(key) for key in keys}
            for key, output, end in zip(keys, made, places, strict=True):
                del end
                outputs[key][len(outputs[key]) - left[key]] = output
                left[key] -= 1
        elif call == "push_chunk":
            key, count = given_
            first = len(outputs[key])
            samples = np.array([take(key)[0] for _ in range(count)])
            made = streams.push_chunk(key, samples, first if numbered else None)
            outputs[key][first:] = list(made)
        else:
            streams.peek(given_[0], np.full(FEATURES, 0.5, "float32"))
    return outputs


@pytest.mark.parametrize("store", ["memory", "sqlite"])
@pytest.mark.parametrize("numbered", [False, True], ids=["plain", "numbered"])
def test_any_mix_of_pushes_gives_a_key_what_it_gets_alone(model, tmp_path, store, numbered):
    count = 0

    @settings(max_examples=60 if store == "memory" else 15)
    @given(calls=CALLS, max_live=st.sampled_from([None, 1, 2]), keep=st.integers(1, 3))
    def check(calls, max_live, keep):
        nonlocal count
        count += 1
        url = None if store == "memory" else f"sqlite:///{tmp_path}/{count}.db"
        durability = None if store == "memory" else "none"
        with Streams(model, url, durability, max_live=max_live, keep_outputs=keep) as streams:
            outputs = play(streams, calls, numbered)
            for key in KEYS:
                expected, state = alone(model, key, len(outputs[key]))
                assert np.array_equal(np.reshape(outputs[key], (-1, 5)), expected)
                assert (key in streams) == bool(len(outputs[key]))
                if outputs[key]:
                    found = streams.state(key)
                    for name in "hc":
                        assert np.array_equal(found["lstm"][name], state["lstm"][name])
                    assert streams.sequence(key) == (len(outputs[key]) - 1 if numbered else None)
            assert list(streams) == [key for key in KEYS if outputs[key]]

    check()


def test_a_thousand_keys_in_one_call_equal_one_call_a_key(model):
    rng = np.random.default_rng(5)
    keys = [f"k{i}" for i in rng.permutation(1000)]
    samples = rng.normal(size=(3, 1000, FEATURES)).astype("float32")
    with Streams(model) as together, Streams(model) as apart:
        for turn in samples:
            many = together.push_many(keys, turn)
            each = [apart.push(key, sample) for key, sample in zip(keys, turn, strict=True)]
            assert np.array_equal(many, each)


def test_outputs_are_the_users_own(model):
    with Streams(model) as streams:
        first = streams.push("a", DATA["a"][0])
        kept = first.copy()
        again = streams.push("a", DATA["a"][1])
        assert np.array_equal(first, kept)
        again[:] = 7
        state = streams.state("a")
        state["lstm"]["h"][:] = 7
        expected, _ = alone(model, "a", 3)
        assert np.array_equal(streams.push("a", DATA["a"][2]), expected[2])


def windows():
    return [keras.layers.Conv1D(4, 3, padding="causal"), keras.layers.GRU(3, return_sequences=True)]


MODELS = {
    "each step": lambda: [keras.layers.LSTM(4, return_sequences=True), keras.layers.Dense(2)],
    "the last step": lambda: [keras.layers.LSTM(4), keras.layers.Dense(2)],
    "windows": windows,
    "the mean so far": lambda: [*windows(), keras.layers.GlobalAveragePooling1D()],
}


@pytest.mark.parametrize("name", MODELS)
def test_a_chunk_is_its_pushes(name, tmp_path):
    keras.Sequential([keras.Input((None, FEATURES)), *MODELS[name]()]).save(tmp_path / "m.keras")
    model = seqstate.load(tmp_path / "m.keras")
    with Streams(model) as chunks, Streams(model) as pushes:
        for cut in (slice(0, 1), slice(1, 8), slice(8, 40)):
            found = chunks.push_chunk("a", DATA["a"][cut])
            expected = [pushes.push("a", sample) for sample in DATA["a"][cut]]
            assert np.array_equal(found, expected)
        found, expected = (flatten(one.state("a")) for one in (chunks, pushes))
        assert found.keys() == expected.keys()
        for path, leaf in found.items():
            assert np.array_equal(leaf, expected[path])
