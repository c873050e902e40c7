"""Keras's layers for ours and back: `accelerate` and `to_keras`."""

import json
import warnings
import zipfile

import keras
import numpy as np
import pytest

import seqstate
import seqstate.layers
from cases import FEATURES, TOLERANCE, data
from frameworks import array, arrays
from models.zoo import MODELS, OF, STEPS, X, make
from seqstate import state as states
from seqstate.errors import ArgumentError
from seqstate.layers import GRU, LSTM, RNN, Bidirectional, LSTMCell
from subprocesses import python

K = keras.layers
GIVEN = [name for name in MODELS if name != "subclassed"]


def of_layers(model):
    """Give the packages of the recurrent layers and their cells."""
    cells = [getattr(layer, "cell", None) for layer in model._flatten_layers()]
    names = seqstate.layers.__all__
    found = [o for o in (*model._flatten_layers(), *cells) if type(o).__name__ in names]
    return {type(one).__module__.partition(".")[0] for one in found}


def compiled(model):
    model.compile(
        keras.optimizers.Adam(0.01), "mse", metrics=[[keras.metrics.MeanAbsoluteError(name="m")]]
        if len(model.outputs) == 1 else None,
    )  # fmt: skip
    return model


def targets_like(model, x):
    outputs = model.predict(x, verbose=0)
    return keras.tree.map_structure(lambda a: data(*a.shape, seed=4), outputs)


@pytest.mark.parametrize(("of", "change"), [("keras", "accelerate"), ("seqstate", "to_keras")])
@pytest.mark.parametrize("name", GIVEN)
def test_the_same_model_with_the_other_layers(name, of, change):
    model, x = make(name, of)
    y = targets_like(model, x)
    compiled(model).fit(x, y, verbose=0, shuffle=False)
    before = [array(v) for v in model.variables]
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*left alone.*")
        other = getattr(seqstate, change)(model)
    assert of_layers(other) == ({"keras", "seqstate"} - {of})
    assert of_layers(model) == {of}
    for value, held in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(array(value), held)
    assert [layer.name for layer in other.layers] == [layer.name for layer in model.layers]
    assert [w.name for w in other.weights] == [w.name for w in model.weights]
    for a, b in zip(arrays(other(x)), arrays(model(x)), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=TOLERANCE["float32"])
    # Training goes on from the same place: settings, metrics and the optimizer's memory.
    losses = [m.fit(x, y, verbose=0, shuffle=False).history for m in (model, other)]
    assert list(losses[0]) == list(losses[1])
    for key, value in losses[0].items():
        np.testing.assert_allclose(losses[1][key], value, rtol=1e-5, err_msg=key)
    for a, b in zip(other.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=5e-5)


@pytest.mark.parametrize("name", ["sequential", "encoder_decoder", "masked"])
def test_what_is_accelerated_saves_and_loads(name, tmp_path):
    model, x = make(name, "keras")
    fast = seqstate.accelerate(model)
    fast.save(tmp_path / "fast.keras")
    again = keras.saving.load_model(tmp_path / "fast.keras")
    assert of_layers(again) == {"seqstate"}
    for a, b in zip(arrays(again(x)), arrays(model(x)), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=TOLERANCE["float32"])


def test_what_went_back_to_keras_opens_where_seqstate_is_not_installed(tmp_path):
    model, x = make("encoder_decoder", "seqstate")
    plain = seqstate.to_keras(model)
    plain.save(tmp_path / "plain.keras")
    np.savez(tmp_path / "x.npz", a=x[0], b=x[1], wanted=array(model(x)["decoded"]))
    with zipfile.ZipFile(tmp_path / "plain.keras") as file:
        assert "seqstate" not in json.dumps(json.loads(file.read("config.json")))
    code = (
        "import sys; sys.modules['seqstate'] = None; import keras, numpy as np;"
        f"model = keras.saving.load_model({str(tmp_path / 'plain.keras')!r});"
        f"f = np.load({str(tmp_path / 'x.npz')!r});"
        "got = keras.ops.convert_to_numpy(model([f['a'], f['b']])['decoded']);"
        "print(float(np.abs(got - f['wanted']).max()))"
    )
    assert float(python(code, tmp_path, KERAS_BACKEND=keras.backend.backend())) < 1e-5


def test_states_that_are_carried_go_along():
    layers = [
        keras.Input(batch_shape=(5, None, FEATURES)),
        K.Bidirectional(K.LSTM(2, stateful=True), name="both"),
    ]
    model = keras.Sequential(layers)
    model(X)
    state = seqstate.get_state(model)
    for other in (seqstate.accelerate(model), seqstate.to_keras(seqstate.accelerate(model))):
        got = states.flatten(seqstate.get_state(other))
        for path, value in states.leaves(state):
            np.testing.assert_array_equal(got[path], value)


def softer(v):
    return keras.ops.tanh(v) / 2


def test_functions_inside_layers_go_along():
    model = keras.Sequential(
        [
            keras.Input((None, FEATURES)),
            K.GRU(3, activation=softer, name="gru"),
        ]
    )
    fast = seqstate.accelerate(model)
    np.testing.assert_allclose(array(fast(X)), array(model(X)), atol=TOLERANCE["float32"])


def halved(y, p):
    return keras.ops.mean((y - p) ** 2) / 2


def test_losses_that_are_functions_go_along():
    model = keras.Sequential([keras.Input((None, FEATURES)), K.GRU(3)])
    model.compile("sgd", halved, run_eagerly=True)
    fast = seqstate.accelerate(model)
    assert fast.loss is halved
    assert fast.run_eagerly
    assert fast.optimizer is not model.optimizer


class Mine(K.LSTM):
    pass


class Body(keras.Model):
    def __init__(self):
        super().__init__()
        self.inner = K.LSTM(2, name="inner")

    def call(self, x):
        return self.inner(x)

    def get_config(self):
        return {}


def test_what_is_left_alone_is_told_with_the_reason():
    model = keras.Sequential(
        [
            keras.Input((None, 3, 3, 1)),
            K.ConvLSTM2D(2, 2, return_sequences=True, name="images"),
            K.TimeDistributed(K.Flatten()),
            Mine(2, return_sequences=True, name="own"),
            K.GRU(2, name="gru"),
        ]
    )
    with pytest.warns(UserWarning, match="left alone") as told:
        fast = seqstate.accelerate(model)
    (text,) = [str(one.message) for one in told if "left alone" in str(one.message)]
    assert '"images" is left alone: the states of a ConvLSTM2D are images' in text
    assert '"own" is left alone: Mine is a class of its own' in text
    assert '"gru"' not in text
    x = data(2, 3, 3, 3, 1)
    np.testing.assert_allclose(array(fast(x)), array(model(x)), atol=TOLERANCE["float32"])


def test_a_subclassed_model_that_makes_its_own_layers_is_told():
    model = Body()
    model(X)
    with pytest.warns(UserWarning, match='"inner" is left alone: it is made by the code'):
        other = seqstate.accelerate(model)
    np.testing.assert_array_equal(array(other(X)), array(model(X)))


# Results by name on the way to Keras

INPUTS = (None, FEATURES)


def functional(made):
    x = keras.Input(INPUTS)
    return keras.Model(x, made(x))


BY_NAME = {
    "sequence": lambda x: LSTM(3, returns="sequence")(x)["sequence"],
    "output": lambda x: GRU(3, returns=("output", "states"))(x)["output"],
    "state c alone": lambda x: LSTM(3, returns="all")(x)["state"]["c"],
    "sequence, c, h": lambda x: [
        (r := LSTM(3, returns=("sequence", "state"))(x))["sequence"],
        r["state"]["c"],
        r["state"]["h"],
    ],
    "sequence and output": lambda x: [
        (r := LSTM(3, returns=("sequence", "output"))(x))["output"],
        K.Dense(1)(r["sequence"]),
    ],
    "both directions": lambda x: [
        (r := Bidirectional(LSTM(3, returns=("sequence", "state")))(x))["sequence"],
        r["state"]["backward"]["c"],
        r["state"]["forward"]["h"],
    ],
    "not merged": lambda x: [
        (r := Bidirectional(GRU(3, returns=("output", "state")), merge_mode=None)(x))["output"][
            "backward"
        ],
        r["state"]["forward"]["h"],
    ],
    "stack": lambda x: RNN([LSTMCell(2), LSTMCell(3)], returns=("state", "sequence"))(x)["state"][
        "cell_1"
    ]["c"],
    "into another": lambda x: LSTM(3)(
        x, initial_state={"c": (r := LSTM(3, returns="state")(x))["state"]["c"],
                          "h": r["state"]["h"]}
    ),
    "into another, both ways": lambda x: Bidirectional(LSTM(3))(
        x, initial_state=Bidirectional(LSTM(3, returns="state"))(x)["state"]
    ),
    "names used twice": lambda x: [
        LSTM(3, returns=("state", "sequence"), name="same")(x)["state"]["c"],
        keras.Sequential([keras.Input(INPUTS), LSTM(3, return_sequences=True, name="same")])(x),
    ],
}  # fmt: skip


@pytest.mark.parametrize("case", BY_NAME)
def test_results_by_name_become_flags(case):
    model = functional(BY_NAME[case])
    plain = seqstate.to_keras(model)
    assert of_layers(plain) == {"keras"}
    for a, b in zip(arrays(plain(X)), arrays(model(X)), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=TOLERANCE["float32"])


NOT_IN_KERAS = {
    "gates": (lambda x: LSTM(3, returns="gates", name="l")(x)["gates"]["input"], '"l" gives gates'),
    "learned": (lambda x: LSTM(3, learn_initial_state=True, name="l")(x), '"l" learns its initial'),
    "reset mask": (
        lambda x: LSTM(3, name="l")(x, reset_mask=x[..., 0] > 0),
        '"l" is called with reset_mask',
    ),
    "partial state": (
        lambda x: LSTM(3, name="l")(x, initial_state={"c": x[:, 0, :3]}),
        "an initial_state without h",
    ),
    "in a Sequential": (
        lambda x: keras.Sequential([keras.Input(INPUTS), LSTM(3, returns="all", name="l")])(x),
        "dict by name",
    ),
}


@pytest.mark.parametrize("case", NOT_IN_KERAS)
def test_what_keras_does_not_have_is_listed(case):
    made, says = NOT_IN_KERAS[case]
    with pytest.raises(ArgumentError, match=says):
        seqstate.to_keras(functional(made))


@pytest.mark.parametrize("change", [seqstate.accelerate, seqstate.to_keras])
def test_what_is_no_recurrent_model_is_refused(change):
    with pytest.raises(ArgumentError, match="no recurrent layer"):
        change(keras.Sequential([keras.Input((2,)), K.Dense(1)]))
    with pytest.raises(ArgumentError, match="got a str"):
        change("model.keras")


class NoConfig(keras.Model):
    def __init__(self, units):
        super().__init__()
        self.inner = OF["keras"].LSTM(units)

    def call(self, x):
        return self.inner(x)


def test_a_model_that_keras_can_not_make_anew_says_so():
    model = NoConfig(2)
    model(X)
    model.get_config = lambda: {"unknown": STEPS}
    with pytest.raises(ArgumentError, match="can't be made from its config"):
        seqstate.accelerate(model)
