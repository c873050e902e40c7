"""The native path of the layers gives what the portable one gives, and what Keras gives.

These tests need the native code: where it is missing, they fail.
"""

import keras
import numpy as np
import pytest

import seqstate
import seqstate.layers
from cases import BATCH, FEATURES, LAYERS, MASKS, TIME, TOLERANCE, UNITS, data, ids, pairs
from frameworks import BACKEND, array, arrays, values_and_gradients
from seqstate import config
from seqstate.errors import ArgumentError
from seqstate.kernels import choice, frameworks
from seqstate.layers import GRU, LSTM, RNN, Bidirectional, GRUCell, LSTMCell, SimpleRNNCell

X = data(BATCH, TIME, FEATURES)
ATOL = TOLERANCE["float32"]
K = keras.layers
RESETS = np.zeros((BATCH, TIME), bool)
RESETS[0, [1, 3]] = RESETS[1, 0] = RESETS[2, 4] = True
FLAGS = ("return_sequences", "return_state")
KERNELS = ("native", "portable")


def with_weights(layer):
    """Build a layer and give it weights without zeros, so that every one of them matters."""
    layer.build((BATCH, TIME, FEATURES))
    layer.set_weights([data(*w.shape, seed=i) * 0.5 for i, w in enumerate(layer.weights)])
    return layer


def made(kind, kernel, **how):
    keras.utils.set_random_seed(1)
    return with_weights(getattr(seqstate.layers, kind)(UNITS, kernel=kernel, **how))


def state_for(layer):
    leaves = arrays(layer.get_initial_state(BATCH))
    return [data(*leaf.shape, seed=9 + i) for i, leaf in enumerate(leaves)]


def same(make, called, x=X, given=lambda layer: []):
    """Compare values, and the gradients by weights, input and initial states, on both paths."""
    found = []
    for kernel in KERNELS:
        layer = make(kernel)

        def run(tensors, layer=layer):
            x, *state = tensors
            more = {"initial_state": state} if state else {}
            return layer(x, **more, **called)

        values, gradients = values_and_gradients(layer, run, [x, *given(layer)])
        assert all(np.isfinite(v).all() for v in (*values, *gradients))
        found.append([*values, *gradients])
    native, portable = found
    assert len(native) == len(portable)
    for got, expected in zip(native, portable, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=ATOL)


def test_the_native_kernels_are_here():
    assert frameworks.why_not() is None


# All cases of the table


@pytest.mark.parametrize(("kind", "case"), pairs(), ids=ids(pairs()))
def test_all_results_and_their_gradients_are_those_of_the_portable_path(kind, case):
    how = {name: value for name, value in case.made.items() if name not in FLAGS}
    called = dict(case.called)
    states = state_for if called.pop("initial_state", False) else lambda layer: []
    same(lambda kernel: made(kind, kernel, returns="all", **how), called, given=states)


@pytest.mark.parametrize(("kind", "case"), pairs(), ids=ids(pairs()))
def test_each_case_is_covered_and_gives_what_keras_gives(kind, case):
    keras.utils.set_random_seed(1)
    theirs = with_weights(getattr(keras.layers, kind)(UNITS, **case.made))
    ours = made(kind, "native", **case.made)
    called = dict(case.called)
    if called.pop("initial_state", False):
        called["initial_state"] = state_for(ours)
    for got, expected in zip(arrays(ours(X, **called)), arrays(theirs(X, **called)), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=ATOL)
    assert choice.path_of(ours.steps) == ("native", None)


# What Keras's layers can't be asked for

BEYOND = {
    "resets": ({}, {"reset_mask": RESETS}),
    "resets, backwards": ({"go_backwards": True}, {"reset_mask": RESETS}),
    "resets, mask": ({}, {"reset_mask": RESETS, "mask": MASKS["with holes"]}),
    "resets, mask, backwards, zeroed": (
        {"go_backwards": True, "zero_output_for_mask": True},
        {"reset_mask": RESETS, "mask": MASKS["with holes"]},
    ),
    "lengths": ({}, {"lengths": [5, 0, 3]}),
    "lengths, backwards": ({"go_backwards": True}, {"lengths": [5, 0, 3]}),
    "learned start": ({"learn_initial_state": True}, {"reset_mask": RESETS}),
    "resets, dropouts": (
        {"dropout": 0.3, "recurrent_dropout": 0.4, "seed": 3},
        {"reset_mask": RESETS, "training": True},
    ),
    "a mask a block": ({"dropout": 0.3, "implementation": 1, "seed": 3}, {"training": True}),
}


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("case", BEYOND)
def test_what_is_beyond_keras_is_the_same_on_both_paths(kind, case):
    how, called = BEYOND[case]
    if kind == "SimpleRNN" and "implementation" in how:
        how = {k: v for k, v in how.items() if k != "implementation"}
    same(lambda kernel: made(kind, kernel, returns="all", **how), called)


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("given", ["mask", "lengths"])
def test_what_stands_in_the_padding_reaches_neither_results_nor_gradients(kind, given):
    mask = MASKS["right padded"]
    x = np.where(mask[..., None], X, np.nan).astype("float32")
    called = {"mask": mask} if given == "mask" else {"lengths": mask.sum(1)}
    same(lambda kernel: made(kind, kernel, returns="all"), called, x=x)


@pytest.mark.parametrize("wanted", ["output", "sequence", "state", "states", "gates"])
@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_each_result_alone_has_its_gradient(kind, wanted):
    same(
        lambda kernel: made(kind, kernel, returns=wanted),
        {"mask": MASKS["with holes"], "initial_state": {"h": 0.5}},
    )


# Layers made of layers


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("merge_mode", ["concat", "mul", None])
def test_both_directions(kind, merge_mode):
    def make(kernel):
        layer = getattr(seqstate.layers, kind)(UNITS, returns="all", kernel=kernel)
        return with_weights(Bidirectional(layer, merge_mode=merge_mode))

    same(make, {"mask": MASKS["right padded"], "reset_mask": RESETS})


@pytest.mark.parametrize("backwards", [False, True])
def test_a_stack(backwards):
    def make(kernel):
        keras.utils.set_random_seed(1)
        cells = [
            LSTMCell(4, dropout=0.3, seed=3),
            GRUCell(5, recurrent_dropout=0.4, seed=4),
            SimpleRNNCell(UNITS),
        ]
        return with_weights(RNN(cells, returns="all", go_backwards=backwards, kernel=kernel))

    called = {"mask": MASKS["with holes"], "reset_mask": RESETS, "training": True}
    same(make, called)


@pytest.mark.parametrize("kind", LAYERS)
def test_a_carried_state_goes_on(kind):
    got = {}
    for kernel in KERNELS:
        layer = made(kind, kernel, stateful=True, return_sequences=True)
        pieces = [array(layer(X)), array(layer(X, mask=MASKS["left padded"]))]
        layer.reset_state(rows=[1])
        got[kernel] = [*pieces, array(layer(X)), *layer.get_state().values()]
    for native, portable in zip(*got.values(), strict=True):
        np.testing.assert_allclose(native, portable, rtol=1e-5, atol=ATOL)


def model_of(kernel):
    keras.utils.set_random_seed(1)
    x = keras.Input((None, FEATURES))
    mask = keras.layers.Masking()(x)
    y = Bidirectional(LSTM(UNITS, return_sequences=True, kernel=kernel))(mask)
    y = GRU(UNITS, dropout=0.2, recurrent_dropout=0.2, seed=3, kernel=kernel)(y)
    model = keras.Model(x, keras.layers.Dense(1)(y))
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model


def test_training_goes_the_same_way():
    found = []
    for kernel in KERNELS:
        model = model_of(kernel)
        losses = model.fit(X, X[:, 0, :1], epochs=3, batch_size=2, shuffle=False, verbose=0)
        found.append([*losses.history["loss"], *model.predict(X, verbose=0), *model.get_weights()])
    for native, portable in zip(*found, strict=True):
        np.testing.assert_allclose(native, portable, rtol=1e-4, atol=ATOL)


def test_an_accelerated_model_is_native_and_gives_what_keras_gave():
    model = keras.Sequential(
        [
            keras.Input((None, FEATURES)),
            K.Masking(),
            K.Bidirectional(K.LSTM(UNITS, return_sequences=True)),
            K.GRU(UNITS, reset_after=False, return_sequences=True),
            K.RNN([K.LSTMCell(2), K.SimpleRNNCell(UNITS)]),
        ]
    )
    fast = seqstate.accelerate(model)
    with config.using_kernel("native"):
        got = fast.predict(X, verbose=0)
    np.testing.assert_allclose(got, model.predict(X, verbose=0), rtol=1e-5, atol=ATOL)


def test_the_choice_is_kept_in_a_file_and_left_out_for_keras(tmp_path):
    model = model_of("native")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    ours = [layer for layer in loaded._flatten_layers() if isinstance(layer, RNN)]
    assert [layer.kernel for layer in ours] == ["native"] * 3
    plain = seqstate.to_keras(model)
    np.testing.assert_allclose(
        plain.predict(X, verbose=0), model.predict(X, verbose=0), rtol=1e-5, atol=ATOL
    )


# What is not covered


@pytest.mark.parametrize("kind", LAYERS)
def test_an_activation_of_ones_own_gives_the_same_numbers_on_the_portable_path(kind):
    def own(x):
        return keras.activations.tanh(x)

    ours, custom = made(kind, "native", returns="all"), made(kind, "auto", returns="all")
    custom.cell.activation = own
    assert choice.path_of(custom.steps)[0] == "portable"
    for got, expected in zip(arrays(custom(X)), arrays(ours(X)), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=ATOL)
    with config.using_kernel("native"), pytest.raises(ArgumentError, match="activation is own"):
        custom(X)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="a function of TensorFlow")
def test_a_function_that_xla_compiles_takes_the_portable_path():
    import tensorflow as tf

    layer = made("LSTM", "auto", return_sequences=True)
    expected = array(layer(X))
    compiled = tf.function(layer, jit_compile=True, autograph=False)
    np.testing.assert_allclose(array(compiled(X)), expected, rtol=1e-5, atol=ATOL)
    layer.kernel = "native"
    with pytest.raises(ArgumentError, match="XLA compiles the TensorFlow function around it"):
        tf.function(layer, jit_compile=True, autograph=False)(X)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="a file of TensorFlow")
def test_an_export_of_tensorflow_calls_no_python(tmp_path):
    import tensorflow as tf

    model = keras.Sequential([keras.Input((TIME, FEATURES)), made("LSTM", "auto")])
    expected = model.predict(X, verbose=0)
    model.export(tmp_path / "model", verbose=False)
    served = tf.saved_model.load(tmp_path / "model").signatures["serving_default"]
    assert "PyFunc" not in str(served.graph.as_graph_def())
    got = next(iter(served(tf.constant(X)).values()))
    np.testing.assert_allclose(array(got), expected, rtol=1e-5, atol=ATOL)


@pytest.mark.skipif(BACKEND != "torch", reason="ways of torch")
def test_exports_and_transforms_of_torch_take_the_portable_path():
    import torch

    layer = made("LSTM", "auto", return_sequences=True)
    x = torch.tensor(X)
    expected = array(layer(x))
    exported = torch.export.export(layer, (x,), strict=False)
    assert "seqstate" not in str(exported.graph)
    gradient = torch.func.grad(lambda x: layer(x).sum())(x)
    np.testing.assert_allclose(array(exported.module()(x)), expected, rtol=1e-5, atol=ATOL)
    wanted = x.clone().requires_grad_()
    layer(wanted).sum().backward()
    np.testing.assert_allclose(array(gradient), array(wanted.grad), rtol=1e-5, atol=ATOL)


@pytest.mark.skipif(BACKEND != "jax", reason="ways of JAX")
def test_an_export_of_jax_takes_the_portable_path():
    import jax

    layer = made("LSTM", "auto", return_sequences=True)
    exported = jax.export.export(jax.jit(lambda x: layer(x)))(X)
    assert "seqstate_forward" not in exported.mlir_module()
    np.testing.assert_allclose(array(exported.call(X)), array(layer(X)), rtol=1e-5, atol=ATOL)
    assert "seqstate_forward" in jax.jit(lambda x: layer(x)).lower(X).as_text()


def test_call_takes_bare_arrays_as_it_does_on_the_portable_path():
    layer = made("GRU", "auto")
    np.testing.assert_allclose(array(layer.call(X)), array(layer(X)), rtol=1e-5, atol=ATOL)


# What torch itself loads for it.
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
@pytest.mark.skipif(BACKEND != "torch", reason="ways of torch")
def test_forward_mode_of_torch_has_the_tangent_of_the_portable_path():
    import torch
    from torch.autograd import forward_ad

    tangents = []
    for kernel in ("auto", "portable"):
        layer = made("LSTM", kernel)
        layer.trainable = False
        with forward_ad.dual_level():
            x = forward_ad.make_dual(torch.tensor(X), torch.ones(X.shape))
            tangents.append(array(forward_ad.unpack_dual(layer(x)).tangent))
    assert np.abs(tangents[0]).max() > 0
    np.testing.assert_allclose(tangents[0], tangents[1], rtol=1e-5, atol=ATOL)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="ways of TensorFlow")
def test_forward_mode_of_tensorflow_has_the_tangent_of_the_portable_path():
    import tensorflow as tf

    tangents = []
    for kernel in ("auto", "portable"):
        layer = made("LSTM", kernel)
        x = tf.constant(X)
        with tf.autodiff.ForwardAccumulator(x, tf.ones_like(x)) as forward:
            y = layer(x)
        tangents.append(array(forward.jvp(y)))
    assert np.abs(tangents[0]).max() > 0
    np.testing.assert_allclose(tangents[0], tangents[1], rtol=1e-5, atol=ATOL)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="ways of TensorFlow")
def test_a_function_of_unknown_time_takes_no_step_at_all():
    import tensorflow as tf

    layer = made("LSTM", "auto", return_state=True)
    signature = [tf.TensorSpec((None, None, FEATURES)), tf.TensorSpec((None, UNITS))]
    run = tf.function(
        lambda x, h: layer(x, initial_state={"h": h}), input_signature=signature, autograph=False
    )
    h = tf.constant(np.random.default_rng(0).normal(size=(2, UNITS)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(h)
        output, last, _ = run(tf.zeros((2, 0, FEATURES)), h)
    np.testing.assert_array_equal(array(output), array(h))
    np.testing.assert_array_equal(array(last), array(h))
    np.testing.assert_array_equal(array(tape.gradient(last, h)), np.ones((2, UNITS)))
