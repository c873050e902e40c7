"""What is passed to a model is checked; a message says what came, and what to do."""

import numpy as np
import pytest

from runtime.saved import both
from runtime.zoo import IDS, STEPS, X
from seqstate.errors import ArgumentError, InputError, StateMismatchError

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

    from runtime.zoo import MODELS, with_weights

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
