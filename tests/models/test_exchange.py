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
from models.zoo import MODELS, OF, STEPS, Body, X, make, of_layers, same
from seqstate import state as states
from seqstate.errors import ArgumentError
from subprocesses import python

K = keras.layers
GIVEN = [name for name in MODELS if name != "subclassed"]


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


# Functions and classes of the model's author


def scaled(k):
    def act(v):
        return k * keras.ops.tanh(v)

    return act


def lag(k):
    return lambda v: keras.ops.roll(v, k, axis=1)


OWN_FUNCTIONS = {
    "closures": lambda: [
        K.LSTM(3, activation=scaled(0.5), return_sequences=True),
        K.LSTM(3, activation=scaled(3.0)),
    ],
    "closures in cells": lambda: [
        K.RNN([K.LSTMCell(2, activation=scaled(2.0)), K.GRUCell(2, activation=scaled(0.1))]),
    ],
    "in a wrapper": lambda: [
        K.TimeDistributed(K.Dense(3, activation=scaled(0.3))),
        K.GRU(3, activation=scaled(2.0)),
    ],
    "lambdas": lambda: [
        K.Lambda(lag(1)),
        K.LSTM(3, return_sequences=True),
        K.Lambda(lag(2)),
        K.GRU(2, go_backwards=True),
    ],
    "globals": lambda: [
        K.LSTM(3, return_sequences=True),
        K.Lambda(lambda v: keras.ops.sum(v, 1)),
    ],
    "lambda as activation": lambda: [K.LSTM(3, activation=lambda v: keras.ops.tanh(v) / 3)],
}


@pytest.mark.parametrize("case", OWN_FUNCTIONS)
def test_each_layer_keeps_its_own_function(case):
    model = keras.Sequential([keras.Input((STEPS, FEATURES)), *OWN_FUNCTIONS[case]()])
    fast = seqstate.accelerate(model)
    same(model, fast, seqstate.to_keras(fast))
    held = [getattr(layer, "activation", None) for layer in model.layers]
    assert [getattr(layer, "activation", None) for layer in fast.layers] == held
    assert all(one.__name__ in ("act", "tanh", "<lambda>") for one in held if one)


def dense_times(k, register):
    class Times(K.Dense):
        def call(self, x):
            return super().call(x) * k

    return keras.saving.register_keras_serializable("tests")(Times) if register else Times


@pytest.mark.parametrize("register", [False, True])
def test_a_class_that_was_defined_anew_since_is_not_taken(register):
    first, _ = dense_times(2, register), dense_times(3, register)
    model = keras.Sequential([keras.Input((None, FEATURES)), first(2), K.GRU(2)])
    fast = seqstate.accelerate(model)
    same(model, fast)
    assert type(fast.layers[0]) is first


def test_two_classes_of_one_name_are_refused():
    parts = [dense_times(2, False)(2), dense_times(3, False)(2), K.GRU(2)]
    with pytest.raises(ArgumentError, match='two different objects have the name "Times"'):
        seqstate.accelerate(keras.Sequential([keras.Input((None, FEATURES)), *parts]))


def test_messages_show_no_bytes_of_functions():
    model = NoConfig(2)
    model(X)

    def fails():
        raise ValueError("identifier: {'value': ('" + "4wEA" * 60 + "\\n')}")

    model.get_config = fails
    with pytest.raises(ArgumentError, match="identifier") as caught:
        seqstate.accelerate(model)
    assert "4wEA" not in str(caught.value)


# How a model is compiled


class Constant(keras.metrics.Metric):
    def __init__(self, k, name="constant"):
        super().__init__(name=name)
        self.k = k

    def update_state(self, y, p, sample_weight=None):
        pass

    def result(self):
        return keras.ops.convert_to_tensor(self.k)


class Slower(keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self, rate):
        self.rate = rate

    def __call__(self, step):
        return self.rate / (1.0 + keras.ops.cast(step, "float32"))

    def get_config(self):
        return {"rate": self.rate}


class OwnCompile(keras.Sequential):
    def compile(self, a, b):
        super().compile(a, b)


class OwnCompileThatIsSaved(OwnCompile):
    def get_compile_config(self):
        return {"a": "sgd", "b": "mae"}

    def compile_from_config(self, config):
        self.compile(**config)


def two_layers(kind=keras.Sequential):
    return kind(
        [
            keras.Input((STEPS, FEATURES)),
            K.LSTM(3, return_sequences=True, name="lstm"),
            K.GRU(2, name="gru"),
        ]
    )


Y = data(*X.shape[:1], 2, seed=7)


def train(model, epochs=1):
    return model.fit(X, Y, verbose=0, shuffle=False, epochs=epochs).history


COMPILED = {
    "function in a metric": lambda: {
        "metrics": [keras.metrics.MeanMetricWrapper(lambda y, p: y - p, name="m"), "mae"]
    },
    "schedule of one's own": lambda: {"optimizer": keras.optimizers.Adam(Slower(0.1))},
    "rate from a lambda": lambda: {"optimizer": keras.optimizers.SGD(lambda: 0.1)},
    "lambda as loss": lambda: {"loss": lambda y, p: keras.ops.abs(y - p)},
}


@pytest.mark.parametrize("case", COMPILED)
def test_what_was_compiled_with_objects_of_ones_own_trains_on(case):
    model = two_layers()
    model.compile(**{"optimizer": "adam", "loss": "mse", **COMPILED[case]()})
    train(model)
    fast = seqstate.accelerate(model)
    losses = train(model, 2), train(fast, 2)
    assert list(losses[0]) == list(losses[1])
    for key, value in losses[0].items():
        np.testing.assert_allclose(losses[1][key], value, rtol=1e-4, err_msg=key)


def test_a_compiled_model_inside_goes_along():
    inner = two_layers()
    inner.compile("adam", halved)
    train(inner)
    model = keras.Sequential([keras.Input((STEPS, FEATURES)), inner])
    fast = seqstate.accelerate(model)
    assert fast.layers[0].loss is halved
    assert int(fast.layers[0].optimizer.iterations) == int(inner.optimizer.iterations) > 0


def test_a_metric_that_can_not_be_copied_is_left_out_and_told():
    model = two_layers()
    model.compile("adam", "mse", metrics=[Constant(3.0), "mae"])
    with pytest.warns(UserWarning, match='the metric "constant" \\(Constant\\)'):
        fast = seqstate.accelerate(model)
    assert set(train(fast)) == {"loss", "mae"}


def test_a_model_with_a_compile_of_its_own():
    model = two_layers(OwnCompile)
    model.compile("adam", "mse")
    with pytest.warns(UserWarning, match="OwnCompile has a compile of its own"):
        fast = seqstate.accelerate(model)
    assert not fast.compiled
    assert model.compiled
    model = two_layers(OwnCompileThatIsSaved)
    model.compile("sgd", "mae")
    assert seqstate.accelerate(model).loss == "mae"


def test_a_model_without_an_optimizer():
    model = two_layers()
    model.compile(optimizer=None, loss="mse")
    fast = seqstate.accelerate(model)
    assert fast.optimizer is None
    np.testing.assert_allclose(
        fast.evaluate(X, Y, verbose=0), model.evaluate(X, Y, verbose=0), 1e-5
    )


@pytest.mark.parametrize("again", [False, True])
def test_the_optimizer_keeps_its_memory_after_layers_were_frozen(again):
    model = two_layers()
    model.compile(keras.optimizers.Adam(0.1), "mse")
    train(model)
    model.layers[0].trainable = False
    if again:
        model.compile(model.optimizer, "mse")
    fast = seqstate.accelerate(model)
    for new, old in zip(fast.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(array(new), array(old))
    # Each memory belongs to the same weight as before.
    places = [{id(v): i for i, v in enumerate(m.weights)} for m in (model, fast)]
    old, new = (
        [place[id(v)] for v in m.optimizer._trainable_variables]
        for m, place in zip((model, fast), places, strict=True)
    )
    assert old == new
    assert len(old) == 6


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
