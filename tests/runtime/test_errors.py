"""What is passed to a model is checked; a message says what came, and what to do."""

import tempfile

import numpy as np
import pytest

import seqstate
from runtime.saved import both, outputs, rows
from runtime.zoo import IDS, STEPS, X
from seqstate.errors import ArgumentError, InputError, StateMismatchError
from seqstate.state import map_leaves

STATE = {"h": np.zeros((3, 5), "float32"), "c": np.zeros((3, 5), "float32")}
RUNS = {
    "one step": (lambda m: m.run(X[:, 0]), "one time step goes to `step`"),
    "one sequence": (lambda m: m.run(X[0]), "one sequence is x"),
    "another width": (lambda m: m.run(X[..., :3]), r"expected \(batch, any, 4\)"),
    "no time": (lambda m: m.run(X[:, :0]), "its time axis is empty"),
    "text": (lambda m: m.run(np.full((1, 2, 4), "a")), "expected numbers"),
    "ragged": (lambda m: m.run([[[1, 2, 3, 4]], [[1]]]), "is no array"),
    "unknown input": (lambda m: m.run({"y": X}), "x has 'y'"),
    "mask": (lambda m: m.run(X, mask=np.ones((3, 2))), r"mask has shape \(3, 2\)"),
    "lengths": (lambda m: m.run(X, lengths=[1, 2, 8]), r"whole numbers from 0 to 7"),
    "lengths of one": (lambda m: m.run(X, lengths=[1]), "expected 3 whole numbers"),
    "a sequence for a step": (lambda m: m.step(X, None), "whole sequences go to `run`"),
    "no mask": (lambda m: m.run(X, mask=[[1, 0], [1]]), "mask is no array"),
    "a wide step": (lambda m: m.step(X[:, 0, :3], None), r"expected \(batch, 4\)"),
}
STATES = {
    "a list": ([1, 2], "the state is a list"),
    "unknown layer": ({"gru": {}}, "unknown name 'gru'"),
    "unknown state": ({"lstm": {"s": 1.0}}, "unknown name 's'"),
    "rows": ({"lstm": {"h": np.zeros((2, 5))}}, "has 2 rows; expected 3"),
    "units": ({"lstm": {"h": np.zeros((3, 4))}}, r"has shape \(3, 4\)"),
}


def lstm():
    """Give a loaded model whose one layer is called lstm."""
    _, loaded, _ = both("named")
    return loaded


@pytest.fixture(autouse=True, scope="module")
def _named():
    import keras

    from runtime.tables import with_weights
    from runtime.zoo import MODELS

    def make():
        layers = [keras.Input((None, 4)), keras.layers.LSTM(5, name="lstm")]
        return with_weights(keras.Sequential(layers)), X

    MODELS["named"] = make
    yield
    del MODELS["named"]


@pytest.mark.parametrize(("call", "text"), RUNS.values(), ids=RUNS)
def test_inputs(call, text):
    with pytest.raises(InputError, match=text):
        call(lstm())


@pytest.mark.parametrize(("state", "text"), STATES.values(), ids=STATES)
def test_states(state, text):
    with pytest.raises(StateMismatchError, match=text):
        lstm().run(X, state)
    if isinstance(state, dict):
        with pytest.raises((StateMismatchError, InputError)):
            lstm().step(X[:, 0], state)


PARTIAL = {
    "nothing": ({}, "'lstm/h' is not in the state; a step needs whole states"),
    "one of two": ({"lstm": {"h": STATE["h"]}}, "'lstm/c' is not in the state"),
}
# One row would be spread over all rows by NumPy, and float64 gives other bits.
UNFIT = ("one row", "float64", "a list")


@pytest.mark.parametrize(("state", "text"), PARTIAL.values(), ids=PARTIAL)
def test_a_partial_state_is_not_for_a_step(state, text):
    with pytest.raises(StateMismatchError, match=text):
        lstm().step(X[:, 0], state)


@pytest.mark.parametrize("unfit", UNFIT)
@pytest.mark.parametrize("name", ["keras LSTM", "LSTM, silu", "seen so far", "causal", "RWA"])
def test_states_that_a_step_refuses(name, unfit):
    _, loaded, _ = both(name)
    change = {
        "one row": lambda leaf: leaf[:1],
        "float64": lambda leaf: leaf.astype("float64"),
        "a list": lambda leaf: leaf.tolist(),
    }[unfit]
    with pytest.raises((StateMismatchError, InputError)):
        loaded.step(X[:, 0], map_leaves(change, loaded.initial_state(3)))


@pytest.mark.parametrize("batch", [-1, 2.5, "3", None])
def test_no_number_of_rows(batch):
    with pytest.raises(ArgumentError, match="expected a whole number from 0 on"):
        lstm().initial_state(batch)


LENGTHS = [
    "bias for each step",
    "BatchNormalization over time",
    "LayerNormalization over time",
    "slopes for each step",
    "permuted and dense",
    "as many rows as columns",
]


@pytest.mark.parametrize("length", [1, STEPS - 1, 2 * STEPS])
@pytest.mark.parametrize("name", LENGTHS)
def test_another_length_is_not_spread(name, length):
    _, loaded, _ = both(name)
    with pytest.raises(InputError, match="it was trained with"):
        loaded.run(np.ones((STEPS, length, X.shape[2]), "float32"))


@pytest.mark.parametrize("name", ["windows, then a layer", "Conv1D valid", "MaxPooling1D valid"])
def test_too_short_for_a_window(name):
    _, loaded, _ = both(name)
    with pytest.raises(InputError, match="there are 2 time steps; its window needs 3"):
        loaded.run(X[:, :2])


NO_ROWS = ["keras LSTM", "causal", "flat", "reshaped", "products", "Softmax", "UnitNormalization"]


@pytest.mark.parametrize("name", NO_ROWS)
def test_no_rows(name):
    _, loaded, x = both(name)
    some, none = loaded.run(x)[0], loaded.run(rows(x, slice(0)))[0]
    for one, other in zip(outputs(none), outputs(some), strict=True):
        assert one.shape == (0, *other.shape[1:])


NO_IDS = {
    "past the type": IDS.astype("int64") + 2**32,
    "fractions": IDS + 0.5,
    "NaN": np.where(IDS == 0, np.nan, IDS),
}


@pytest.mark.parametrize("ids", NO_IDS.values(), ids=NO_IDS)
def test_ids_are_not_rounded(ids):
    _, loaded, _ = both("tokens")
    with pytest.raises(InputError, match="holds numbers that int32 does not"):
        loaded.run(ids)


def test_a_partial_state():
    loaded = lstm()
    wanted, _ = loaded.run(X, {"lstm": {**STATE, "c": STATE["c"] + 1}})
    for state in ({"lstm": {"c": 1.0}}, {"lstm": {"c": np.ones(5)}}, {"lstm": {"c": [1.0] * 5}}):
        found, _ = loaded.run(X, state)
        np.testing.assert_array_equal(found, wanted)


def test_why_no_step():
    _, loaded, x = both("both ways")
    assert "reads the sequence from its end" in loaded.why_no_step
    with pytest.raises(ArgumentError, match=r"can't be run a step at a time: .*Bidirectional"):
        loaded.step(x[:, 0], None)
    _, state = loaded.run(x)
    with pytest.raises(ArgumentError, match="can't be carried on from a state"):
        loaded.run(x, state)


def test_ids_that_are_none():
    _, loaded, _ = both("tokens")
    for wrong in (5, -1):
        with pytest.raises(InputError, match="there are 0 to 4"):
            loaded.run(np.full_like(IDS, wrong))


def test_a_length_that_is_not_the_trained_one():
    _, loaded, _ = both("flat")
    with pytest.raises(InputError, match=r"trained with \(7, 4\)"):
        loaded.run(X[:, : STEPS - 1])
    _, loaded, _ = both("tokens of one length")
    loaded.run(IDS[:, :2])


@pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask")
def test_lengths_and_masks_are_those_of_keras():
    model, loaded, _ = both("two layers")
    mask = np.arange(STEPS) < np.array([7, 3, 5])[:, None]
    wanted = np.asarray(model(X, mask=mask))
    for how in ({"mask": mask}, {"lengths": [7, 3, 5]}, {"mask": mask, "lengths": [7, 7, 7]}):
        found, state = loaded.run(X, **how)
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    alone, short = loaded.run(X[1:2, :3])
    np.testing.assert_array_equal(found[1:2], alone)
    for layer, leaves in short.items():
        for name, leaf in leaves.items():
            np.testing.assert_array_equal(state[layer][name][1:2], leaf)


def test_several_inputs():
    _, loaded, x = both("merged")
    with pytest.raises(InputError, match="the model has 2 inputs"):
        loaded.run(X)
    with pytest.raises(InputError, match="the inputs have"):
        loaded.run({**x, "row": x["row"][:2]})
    listed = loaded.run([x[one.name] for one in loaded.inputs])[0]
    for name, values in loaded.run(x)[0].items():
        np.testing.assert_array_equal(listed[name], values)


@pytest.mark.filterwarnings("ignore:When providing `inputs` as a dict")
def test_several_inputs_by_key_and_nested():
    import keras

    def load(inputs, outputs, path):
        keras.Model(inputs, outputs).save(path)
        return seqstate.load(path)

    with tempfile.TemporaryDirectory() as folder:
        a, b, c = (keras.Input((None, 4), name=name) for name in "bac")
        joined = keras.layers.Concatenate()([a, b, c])
        keyed = load({"x": a, "y": b, "z": c}, joined, f"{folder}/keyed.keras")
        nested = load([a, [b, c]], joined, f"{folder}/nested.keras")
    wanted = np.concatenate([X, 2 * X, 3 * X], -1)
    for given in ({"x": X, "y": 2 * X, "z": 3 * X}, {"b": X, "a": 2 * X, "c": 3 * X}):
        np.testing.assert_array_equal(keyed.run(given)[0], wanted)
    for given in ([X, [2 * X, 3 * X]], [X, 2 * X, 3 * X]):
        np.testing.assert_array_equal(nested.run(given)[0], wanted)


def test_lengths_without_time():
    import keras

    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/m.keras"
        keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(path)
        loaded = seqstate.load(path)
    with pytest.raises(InputError, match="no input with a time axis"):
        loaded.run(X[:, 0], lengths=[1, 1, 1])
