"""Our layers among Keras's own: models, training, callbacks, files, other layers."""

import keras
import numpy as np
import pytest

import seqstate.layers
from cases import FEATURES, TOLERANCE, UNITS, data
from frameworks import array, arrays
from seqstate.layers import GRU, LSTM, RNN, Bidirectional, GRUCell, LSTMCell

K = keras.layers
ROWS, STEPS = 4, 6
X = data(ROWS, STEPS, FEATURES)
IDS = np.array([[1, 2, 3, 0, 0, 0], [4, 0, 0, 0, 0, 0], [1, 1, 2, 2, 3, 3], [2, 3, 0, 1, 0, 0]])

# Each takes a module with the recurrent layers and gives a model and its input.
MODELS = {
    "sequential": lambda m: (
        keras.Sequential([keras.Input((None, FEATURES)), m.LSTM(5), K.Dense(2)]),
        X,
    ),
    "stacked": lambda m: (
        keras.Sequential(
            [
                keras.Input((STEPS, FEATURES)),
                m.LSTM(5, return_sequences=True),
                m.GRU(4, return_sequences=True),
                m.SimpleRNN(3),
            ]
        ),
        X,
    ),
    "embedding with a mask": lambda m: (
        keras.Sequential(
            [
                keras.Input((None,), dtype="int32"),
                K.Embedding(5, FEATURES, mask_zero=True),
                m.Bidirectional(m.LSTM(3, return_sequences=True)),
                K.TimeDistributed(K.Dense(2)),
            ]
        ),
        IDS,
    ),
    "masking": lambda m: (
        keras.Sequential(
            [
                keras.Input((None, FEATURES)),
                K.Masking(0.0),
                m.GRU(3, return_sequences=True),
                m.LSTM(2),
            ]
        ),
        X * (IDS != 0)[..., None],
    ),
    "repeat vector": lambda m: (
        keras.Sequential(
            [
                keras.Input((STEPS, FEATURES)),
                m.LSTM(4),
                K.RepeatVector(3),
                m.LSTM(4, return_sequences=True),
                K.TimeDistributed(K.Dense(1)),
            ]
        ),
        X,
    ),
    "time distributed": lambda m: (
        keras.Sequential([keras.Input((2, STEPS, FEATURES)), K.TimeDistributed(m.GRU(3))]),
        np.stack([X, X[::-1]], axis=1),
    ),
    "encoder and decoder": lambda m: (encoder_decoder(m), [X, X[:, ::-1]]),
    "stack of cells": lambda m: (
        keras.Sequential([keras.Input((STEPS, FEATURES)), m.RNN([m.LSTMCell(4), m.GRUCell(3)])]),
        X,
    ),
}


def encoder_decoder(m):
    source, target = keras.Input((None, FEATURES)), keras.Input((None, FEATURES))
    _, h, c = m.LSTM(4, return_state=True)(source)
    decoded = m.LSTM(4, return_sequences=True)(target, initial_state=[h, c])
    return keras.Model([source, target], K.Dense(2)(decoded))


def models(name):
    """Give the model of Keras's layers and the model of ours, with the same weights."""
    theirs, x = MODELS[name](keras.layers)
    keras.utils.clear_session()
    ours, _ = MODELS[name](seqstate.layers)
    weights = [data(*w.shape, seed=i) * 0.4 for i, w in enumerate(theirs.weights)]
    for model in (theirs, ours):
        model.set_weights(weights)
        model.compile(keras.optimizers.SGD(0.1, momentum=0.5), "mse")
    return theirs, ours, x


@pytest.mark.parametrize("name", MODELS)
def test_a_model_trains_and_predicts_as_with_keras(name):
    theirs, ours, x = models(name)
    expected = theirs.predict(x, verbose=0)
    np.testing.assert_allclose(ours.predict(x, verbose=0), expected, atol=TOLERANCE["float32"])
    y = data(*expected.shape, seed=3)
    losses = [
        m.fit(x, y, epochs=3, batch_size=2, shuffle=False, verbose=0).history["loss"]
        for m in (theirs, ours)
    ]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)
    for e, g in zip(theirs.get_weights(), ours.get_weights(), strict=True):
        np.testing.assert_allclose(g, e, rtol=0, atol=5e-5)  # six steps of SGD add up


@pytest.mark.parametrize("name", MODELS)
def test_a_model_comes_back_from_disk_and_moves_to_keras(name, tmp_path):
    _, ours, x = models(name)
    expected = ours.predict(x, verbose=0)
    ours.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras", compile=False)
    np.testing.assert_array_equal(again.predict(x, verbose=0), expected)
    of = {type(layer).__module__.partition(".")[0] for layer in again.layers}
    assert "seqstate" in of or name == "time distributed"
    ours.save_weights(tmp_path / "m.weights.h5")
    theirs, _ = MODELS[name](keras.layers)
    theirs.load_weights(tmp_path / "m.weights.h5")
    np.testing.assert_allclose(theirs.predict(x, verbose=0), expected, atol=TOLERANCE["float32"])


def test_a_model_takes_input_of_another_length():
    model = keras.Sequential([keras.Input((None, FEATURES)), LSTM(UNITS, return_sequences=True)])
    long = model.predict(X, verbose=0)
    np.testing.assert_allclose(model.predict(X[:, :2], verbose=0), long[:, :2], atol=1e-6)
    assert model.predict(X[:, :1], verbose=0).shape == (ROWS, 1, UNITS)


def test_callbacks_and_validation_work():
    model = keras.Sequential([keras.Input((STEPS, FEATURES)), GRU(5, dropout=0.1), K.Dense(1)])
    model.compile("adam", "mse", metrics=["mae"])
    seen = []
    history = model.fit(
        X,
        X[:, -1, :1],
        epochs=4,
        validation_data=(X, X[:, -1, :1]),
        verbose=0,
        callbacks=[
            keras.callbacks.EarlyStopping(monitor="val_loss", patience=1),
            keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(logs)),
        ],
    )
    assert set(seen[0]) == {"loss", "mae", "val_loss", "val_mae"}
    assert history.history["loss"][-1] < history.history["loss"][0]


def test_the_dropout_differs_from_batch_to_batch_and_is_off_in_prediction():
    layer = LSTM(8, dropout=0.5, recurrent_dropout=0.5)
    first, second = (array(layer(X, training=True)) for _ in range(2))
    assert np.abs(first - second).max() > 1e-3
    np.testing.assert_array_equal(array(layer(X)), array(layer(X, training=False)))


def test_the_mask_of_dropout_is_the_same_at_every_step():
    """With an identity for a kernel, the output shows which features were dropped."""
    layer = seqstate.layers.SimpleRNN(
        FEATURES, activation=None, use_bias=False, dropout=0.5, seed=1, return_sequences=True
    )
    layer.build((ROWS, STEPS, FEATURES))
    layer.set_weights([np.eye(FEATURES), np.zeros((FEATURES, FEATURES))])
    kept = array(layer(np.ones((ROWS, STEPS, FEATURES), "float32"), training=True)) != 0
    assert (kept == kept[:, :1]).all()
    assert 0 < kept.mean() < 1


def test_a_part_of_a_model_can_start_at_what_return_state_gave():
    x = keras.Input((STEPS, FEATURES))
    output, h, c = LSTM(4, return_state=True)(x)
    both = keras.Model(x, [output, h, c])
    state_in = keras.Model([h, c], K.Dense(1)(K.Concatenate()([h, c])))
    values = both.predict(X, verbose=0)
    assert state_in.predict(values[1:], verbose=0).shape == (ROWS, 1)
    np.testing.assert_array_equal(values[0], values[1])


def test_weights_given_to_bidirectional_are_used():
    first = Bidirectional(GRU(3))
    first.build(X.shape)
    second = Bidirectional(GRU(3), weights=first.get_weights())
    np.testing.assert_array_equal(array(second(X)), array(first(X)))


def test_keras_wraps_our_layers_too():
    layer = keras.layers.Bidirectional(LSTM(3, return_sequences=True))
    ours = Bidirectional(LSTM(3, return_sequences=True))
    ours.build(X.shape)
    layer.build(X.shape)
    ours.set_weights(layer.get_weights())
    np.testing.assert_allclose(array(layer(X)), array(ours(X)), atol=1e-6)
    mine = Bidirectional(keras.layers.LSTM(3, return_state=True))
    assert [tuple(t.shape) for t in mine(X)] == [(ROWS, 6)] + [(ROWS, 3)] * 4


def test_float64_is_computed_in_float64():
    if keras.backend.backend() == "jax":
        import jax

        jax.config.update("jax_enable_x64", True)
    try:
        layer = LSTM(3, dtype="float64", return_state=True)
        assert {str(a.dtype) for a in arrays(layer(X.astype("float64")))} == {"float64"}
    finally:
        if keras.backend.backend() == "jax":
            jax.config.update("jax_enable_x64", False)


def test_a_cell_of_another_precision_than_the_layer():
    layer = RNN(GRUCell(3, dtype="mixed_bfloat16"), dtype="float32")
    plain = RNN(GRUCell(3), dtype="float32")
    for made in (layer, plain):
        made.build(X.shape)
    plain.set_weights(layer.get_weights())
    assert keras.backend.standardize_dtype(layer(X).dtype) == "float32"
    np.testing.assert_allclose(
        array(layer(X)), array(plain(X)), rtol=0, atol=TOLERANCE["mixed_bfloat16"]
    )


def test_a_subclassed_cell_keeps_its_own_step():
    class Doubled(LSTMCell):
        def call(self, inputs, states, training=False):
            output, new = super().call(inputs, states, training=training)
            return 2 * output, new

    plain, doubled = RNN(LSTMCell(3)), RNN(Doubled(3))
    for layer in (plain, doubled):
        layer.build(X.shape)
    doubled.set_weights(plain.get_weights())
    np.testing.assert_allclose(array(doubled(X)), 2 * array(plain(X)), atol=1e-6)


@keras.saving.register_keras_serializable(package="tests")
class Scaled(LSTMCell):
    def __init__(self, units, scale=2.0, **kwargs):
        super().__init__(units, **kwargs)
        self.scale = scale

    def get_config(self):
        return {**super().get_config(), "scale": self.scale}


def test_a_subclassed_cell_with_a_constructor_of_its_own_keeps_its_config(tmp_path):
    x = keras.Input((None, FEATURES))
    model = keras.Model(x, RNN(Scaled(3, scale=3.0, activation="relu", use_bias=False))(x))
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    assert again.layers[1].cell.get_config() == model.layers[1].cell.get_config()


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="Keras has no jit on torch")
@pytest.mark.parametrize("steps", [STEPS, None])
def test_a_model_trains_when_it_is_compiled_by_xla(steps):
    # A native kernel is a call that XLA can't compile on TensorFlow: Keras says so, and goes on.
    kernel = "portable" if keras.backend.backend() == "tensorflow" else "auto"
    losses = []
    for jit in (True, False):
        keras.utils.set_random_seed(1)
        x = keras.Input((steps, FEATURES))
        named = LSTM(3, returns=("sequence", "gates"), kernel=kernel)(x)
        y = GRU(2, kernel=kernel)(
            keras.layers.Concatenate()([named["sequence"], named["gates"]["forget"]])
        )
        model = keras.Model(x, y)
        model.compile("sgd", "mse", jit_compile=jit)
        losses.append(model.fit(X, np.ones((ROWS, 2)), epochs=2, verbose=0).history["loss"])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)


def test_nested_stacks_and_symbolic_states_have_the_shapes_of_eager_ones():
    layer = RNN([RNN([LSTMCell(2), GRUCell(3)]).cell, GRUCell(4)], return_state=True)
    symbolic = layer(keras.Input((None, FEATURES)))
    shapes = keras.tree.map_structure(lambda t: tuple(t.shape)[1:], symbolic)
    assert shapes == keras.tree.map_structure(lambda t: tuple(t.shape)[1:], layer(X))


def test_the_penalty_of_a_named_layer_survives_its_config():
    layer = RNN(GRUCell(3), returns="output", activity_regularizer=keras.regularizers.L2(0.1))
    again = RNN.from_config(layer.get_config())
    again(X)
    assert float(array(again.losses[0])) > 0
