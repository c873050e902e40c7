"""The data that a trace is made of: what fits, and what is refused before anything runs."""

import keras
import numpy as np
import pytest

import seqstate
from cases import FEATURES, data
from models.zoo import OF, ROWS, STEPS, X, make
from seqstate.errors import ArgumentError, InputError, UnknownLayerError
from seqstate.layers import LSTM

K = keras.layers

NAN = X.copy()
NAN[1, 2, 3] = np.nan
MODEL = "sequential"
BAD = {
    "no model": (lambda m: seqstate.trace("model.keras", X), ArgumentError, "got a str"),
    "no recurrent layer": (
        lambda m: seqstate.trace(keras.Sequential([K.Dense(2, name="head")]), X),
        ArgumentError,
        "has no recurrent layer; its layers: head",
    ),
    "unknown layer": (
        lambda m: seqstate.trace(m, X, "abov"),
        UnknownLayerError,
        "there is no recurrent layer 'abov'; there are: below, above.\n  Did you mean \"above\"",
    ),
    "no layers": (lambda m: seqstate.trace(m, X, []), ArgumentError, "layers is empty"),
    "layers as a number": (lambda m: seqstate.trace(m, X, 0), UnknownLayerError, "layer 0"),
    "what as a number": (lambda m: seqstate.trace(m, X, what=3), ArgumentError, "what=3"),
    "unknown what": (
        lambda m: seqstate.trace(m, X, what="cells"),
        ArgumentError,
        "what='cells'; expected some of 'sequence', 'state', 'states', 'gates'",
    ),
    "rank": (
        lambda m: seqstate.trace(m, X[0]),
        InputError,
        r"x has shape \(4, 4\); the model takes \(None, None, 4\).\n  One sample is x\[None\]",
    ),
    "width": (
        lambda m: seqstate.trace(m, X[..., :3]),
        InputError,
        r"x has shape \(5, 4, 3\).*\n.*reads 4 features a step",
    ),
    "nan": (
        lambda m: seqstate.trace(m, NAN),
        InputError,
        "x has 1 values that are NaN or infinite, the first at sample 1, time 2, feature 3",
    ),
    "no samples": (lambda m: seqstate.trace(m, X[:0]), InputError, "at least one sample"),
    "no steps": (lambda m: seqstate.trace(m, X[:, :0]), InputError, "and one time step"),
    "ragged": (
        lambda m: seqstate.trace(m, [[[1.0]], [[1.0], [2.0]]]),
        InputError,
        "can't be made an array",
    ),
    "text": (lambda m: seqstate.trace(m, "data.npy"), InputError, "Load the file first"),
    "too many inputs": (lambda m: seqstate.trace(m, [X, X]), InputError, "x has 2 arrays"),
    "batch size": (lambda m: seqstate.trace(m, X, batch_size=0), ArgumentError, "batch_size=0"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_and_the_model_stays_as_it_was(case):
    model, _ = make(MODEL, "keras")
    bad, error, says = BAD[case]
    with pytest.raises(error, match=says):
        bad(model)
    assert "call" not in vars(model.get_layer("below"))
    assert list(seqstate.trace(model, X)) == ["below", "above"]


def test_numbers_in_lists_are_data_too():
    model, _ = make(MODEL, "keras")
    got = seqstate.trace(model, X.tolist())
    np.testing.assert_array_equal(got.inputs, X)
    wanted = seqstate.trace(model, X)["above"].state["h"]
    np.testing.assert_array_equal(got["above"].state["h"], wanted)


def test_inputs_by_name():
    a, b = keras.Input((None, 2), name="a"), keras.Input((None, 2), name="b")
    model = keras.Model({"a": a, "b": b}, K.GRU(3, name="gru")(a + 2 * b))
    x = {"b": X[..., 2:], "a": X[..., :2]}
    wanted = seqstate.trace(_gru_like(model), x["a"] + 2 * x["b"])["gru"].states["h"]
    np.testing.assert_allclose(seqstate.trace(model, x)["gru"].states["h"], wanted, atol=1e-6)
    with pytest.raises(InputError, match="Add b"):
        seqstate.trace(model, {"a": x["a"]})
    with pytest.raises(InputError, match=r"has 4 samples; x\['a'\] has 5"):
        seqstate.trace(model, {"a": x["a"], "b": x["b"][:4]})


@pytest.mark.filterwarnings("ignore:When providing `inputs` as a dict")
def test_inputs_by_the_names_of_the_dict_that_the_model_was_made_with():
    a, b = keras.Input((None, 2)), keras.Input((None, 2))
    model = keras.Model({"one": a, "two": b}, K.GRU(3, name="gru")(a + 2 * b))
    x = {"one": X[..., :2], "two": X[..., 2:]}
    trace = seqstate.trace(model, x)
    np.testing.assert_allclose(trace.outputs, model.predict(x, verbose=0), atol=1e-6)
    with pytest.raises(InputError, match="Add two"):
        seqstate.trace(model, {"one": x["one"]})


def _gru_like(model):
    plain = keras.Sequential([keras.Input((None, 2)), K.GRU(3, name="gru")])
    plain.set_weights(model.get_weights())
    return plain


@pytest.mark.parametrize("of", OF)
def test_a_subclassed_model_refuses_data_of_another_width(of):
    model, _ = make("subclassed", of)
    with pytest.raises(ValueError, match=r"features|shape") as raised:
        seqstate.trace(model, X[..., :3])
    assert "4" in str(raised.value)
    assert list(seqstate.trace(model, X)) == ["first/inner", "second/inner", "last"]


def test_nan_that_a_model_masks_may_pass():
    inputs, lengths = keras.Input((None, FEATURES)), keras.Input((), dtype="int32")
    model = keras.Model([inputs, lengths], LSTM(3, name="lstm")(inputs, lengths=lengths))
    x = X.copy()
    x[:, 2:] = np.nan
    counts = np.full(ROWS, 2)
    trace = seqstate.trace(model, [x, counts], allow_nan=True)
    wanted = seqstate.trace(model, [X, counts])
    np.testing.assert_array_equal(trace["lstm"].states["c"], wanted["lstm"].states["c"])


def test_a_stateful_model_takes_whole_batches_only():
    layers = [keras.Input(batch_shape=(2, None, FEATURES)), LSTM(3, stateful=True)]
    model = keras.Sequential(layers)
    with pytest.raises(InputError, match="5 samples; the model is made for batches of 2"):
        seqstate.trace(model, X)
    with pytest.raises(ArgumentError, match="Leave batch_size out"):
        seqstate.trace(model, X[:4], batch_size=4)


def test_one_feature_may_come_without_its_axis_only_where_that_is_clear():
    fixed = keras.Sequential([keras.Input((STEPS, 1)), LSTM(2, name="lstm")])
    free = keras.Sequential([keras.Input((None, 1)), LSTM(2, name="lstm")])
    free.set_weights(fixed.get_weights())
    wanted = seqstate.trace(free, X[..., :1])
    got = seqstate.trace(fixed, X[..., 0])
    np.testing.assert_array_equal(got["lstm"].state["h"], wanted["lstm"].state["h"])
    with pytest.raises(InputError, match=r"x\[None\].*x\[..., None\]"):
        seqstate.trace(free, X[0, :, :1])


def test_a_fixed_length_says_what_to_do():
    model = keras.Sequential([keras.Input((STEPS, FEATURES)), LSTM(2)])
    with pytest.raises(InputError, match="fixes the number of time steps"):
        seqstate.trace(model, data(1, STEPS + 3, FEATURES))
