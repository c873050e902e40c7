"""Same weights in, same values and gradients out as Keras's own layers, for every argument."""

import inspect

import keras
import numpy as np
import pytest

import seqstate.layers
from cases import BATCH, BOTH, FEATURES, LAYERS, MASKS, TIME, TOLERANCE, UNITS, data, ids, pairs
from frameworks import BACKEND, arrays, values_and_gradients

X = data(BATCH, TIME, FEATURES)


def make(module, layer, **made):
    """Make a layer with the same weights whatever its module."""
    keras.utils.set_random_seed(1)
    made_layer = getattr(module, layer)(UNITS, **made)
    made_layer.build((BATCH, TIME, FEATURES))
    return with_weights(made_layer)


def with_weights(layer):
    """Give a built layer weights without zeros, so that every one of them matters."""
    layer.set_weights([data(*w.shape, seed=i) * 0.5 for i, w in enumerate(layer.weights)])
    return layer


def compare(theirs, ours, called, states=0, tolerance=TOLERANCE["float32"]):
    """Compare values and the gradients by weights, input and initial states."""
    called = dict(called)
    given = [data(BATCH, UNITS, seed=9 + i) for i in range(states)]
    if not called.pop("initial_state", False):
        given = []

    def function(layer):
        def run(tensors):
            x, *state = tensors
            more = {"initial_state": state} if state else {}
            return layer(x, **more, **called)

        return run

    expected, got = (
        values_and_gradients(layer, function(layer), [X, *given]) for layer in (theirs, ours)
    )
    for e, g in zip((*expected[0], *expected[1]), (*got[0], *got[1]), strict=True):
        np.testing.assert_allclose(g, e, rtol=1e-5, atol=tolerance)


@pytest.mark.parametrize(("layer", "case"), pairs(), ids=ids(pairs()))
def test_values_and_gradients(layer, case):
    theirs, ours = (make(m, layer, **case.made) for m in (keras.layers, seqstate.layers))
    compare(theirs, ours, case.called, states=len(arrays(ours.get_initial_state(1))))


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(layer, policy):
    theirs, ours = (make(m, layer, dtype=policy, **BOTH) for m in (keras.layers, seqstate.layers))
    expected, got = theirs(X), ours(X)
    types = [keras.backend.standardize_dtype(t.dtype) for t in keras.tree.flatten(got)]
    assert types == [keras.backend.standardize_dtype(t.dtype) for t in expected]
    for e, g in zip(arrays(expected), arrays(got), strict=True):
        np.testing.assert_allclose(
            g.astype("float32"), e.astype("float32"), rtol=0, atol=TOLERANCE[policy]
        )


MERGES = ("concat", "sum", "ave", "mul", None)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("merge_mode", MERGES)
@pytest.mark.parametrize("mask", [None, "with holes"])
def test_bidirectional(layer, merge_mode, mask):
    made = {} if mask is None else BOTH
    theirs, ours = (
        bidirectional(m, getattr(m, layer)(UNITS, **made), merge_mode=merge_mode)
        for m in (keras.layers, seqstate.layers)
    )
    compare(theirs, ours, {} if mask is None else {"mask": MASKS[mask]})


@pytest.mark.parametrize("layer", LAYERS)
def test_bidirectional_with_its_own_backward_layer_and_an_initial_state(layer):
    theirs, ours = (
        bidirectional(
            m,
            getattr(m, layer)(UNITS, **BOTH),
            backward_layer=getattr(m, layer)(UNITS, activation="relu", go_backwards=True, **BOTH),
        )
        for m in (keras.layers, seqstate.layers)
    )
    count = 2 * len(arrays(ours.forward_layer.get_initial_state(1)))
    compare(theirs, ours, {"initial_state": True}, states=count)


def bidirectional(module, layer, **made):
    wrapped = module.Bidirectional(layer, **made)
    wrapped.build((BATCH, TIME, FEATURES))
    return with_weights(wrapped)


STACKS = {
    "three kinds": lambda m: [m.LSTMCell(4), m.GRUCell(5), m.SimpleRNNCell(UNITS)],
    "dropout": lambda m: [
        m.LSTMCell(4, dropout=0.3, seed=3),
        m.GRUCell(UNITS, dropout=0.2, recurrent_dropout=0.3, seed=3),
    ],
}


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("mask", [None, "with holes"])
def test_stacked_cells(stack, mask):
    theirs, ours = (rnn(m, STACKS[stack](m)) for m in (keras.layers, seqstate.layers))
    called = {"training": True}
    compare(theirs, ours, called if mask is None else {**called, "mask": MASKS[mask]})


@pytest.mark.parametrize("cell", ["SimpleRNNCell", "GRUCell", "LSTMCell"])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_cell_of_one_library_runs_in_the_other(cell, dropout):
    def made(m):
        return getattr(m, cell)(UNITS, dropout=dropout, recurrent_dropout=dropout, seed=3)

    theirs = rnn(keras.layers, made(keras.layers))
    compare(theirs, rnn(seqstate.layers, made(keras.layers)), {"training": True})
    if not dropout:  # Keras draws dropout masks ahead of its loop for its own cells only
        compare(theirs, rnn(keras.layers, made(seqstate.layers)), {})


@pytest.mark.parametrize("cell", ["GRUCell", "LSTMCell"])
def test_implementation_1_draws_a_mask_for_each_gate(cell):
    # Through RNN, because Keras's own GRU and LSTM raise for this with dropout.
    theirs, ours = (
        rnn(m, getattr(m, cell)(UNITS, implementation=1, dropout=0.4, seed=3))
        for m in (keras.layers, seqstate.layers)
    )
    compare(theirs, ours, {"training": True})


def rnn(module, cell):
    layer = module.RNN(cell, **BOTH)
    layer.build((BATCH, TIME, FEATURES))
    return with_weights(layer)


@pytest.mark.parametrize("layer", LAYERS)
def test_a_cell_called_by_itself(layer):
    states = [data(BATCH, UNITS, seed=i) for i in range(2 if layer == "LSTM" else 1)]
    results = []
    for module in (keras.layers, seqstate.layers):
        cell = getattr(module, f"{layer}Cell")(UNITS)
        cell.build((BATCH, FEATURES))
        results.append(arrays(with_weights(cell)(X[:, 0], states)))
    for e, g in zip(*results, strict=True):
        np.testing.assert_allclose(g, e, rtol=0, atol=TOLERANCE["float32"])


# The contract around the numbers

RNN_TAKES_TOO = ["returns", "learn_initial_state", "kernel", "result_order"]
NAMES = ("SimpleRNN", "GRU", "LSTM", "SimpleRNNCell", "GRUCell", "LSTMCell", "RNN")


@pytest.mark.parametrize("name", [*NAMES, "StackedRNNCells", "Bidirectional"])
def test_the_constructor_takes_the_same_arguments(name):
    theirs, ours = (
        {
            p.name: p.default
            for p in inspect.signature(getattr(m, name)).parameters.values()
            if p.kind is not p.VAR_KEYWORD
        }
        for m in (keras.layers, seqstate.layers)
    )
    added = [n for n in ours if n not in theirs]
    assert added == (RNN_TAKES_TOO if name == "RNN" else [])
    assert list(theirs.items()) == [(n, d) for n, d in ours.items() if n in theirs]


@pytest.mark.parametrize("layer", LAYERS)
def test_the_call_takes_the_same_arguments_first(layer):
    theirs, ours = (
        list(inspect.signature(getattr(m, layer).call).parameters)
        for m in (keras.layers, seqstate.layers)
    )
    assert ours == [*theirs, "reset_mask", "lengths"]


@pytest.mark.parametrize("layer", LAYERS)
def test_the_same_seed_draws_the_same_weights(layer):
    drawn = []
    for module in (keras.layers, seqstate.layers):
        keras.utils.set_random_seed(7)
        made = getattr(module, layer)(UNITS)
        made.build((BATCH, TIME, FEATURES))
        drawn.append(made.get_weights())
    for theirs, ours in zip(*drawn, strict=True):
        np.testing.assert_array_equal(ours, theirs)


SET = {
    "units": 7,
    "activation": "relu",
    "recurrent_activation": "hard_sigmoid",
    "use_bias": False,
    "kernel_initializer": keras.initializers.RandomNormal(seed=1),
    "recurrent_initializer": keras.initializers.RandomNormal(seed=2),
    "bias_initializer": keras.initializers.Ones(),
    "unit_forget_bias": False,
    "kernel_regularizer": keras.regularizers.L2(0.1),
    "recurrent_regularizer": keras.regularizers.L1(0.1),
    "bias_regularizer": keras.regularizers.L2(0.2),
    "activity_regularizer": keras.regularizers.L2(0.3),
    "kernel_constraint": keras.constraints.MaxNorm(2),
    "recurrent_constraint": keras.constraints.NonNeg(),
    "bias_constraint": keras.constraints.MaxNorm(3),
    "dropout": 0.1,
    "recurrent_dropout": 0.2,
    "reset_after": False,
    "return_sequences": True,
    "return_state": True,
    "go_backwards": True,
    "stateful": True,
    "unroll": True,
    "zero_output_for_mask": True,
    "name": "mine",
    "dtype": "mixed_bfloat16",
    "trainable": False,
}


@pytest.mark.parametrize("name", NAMES[:-1])
@pytest.mark.parametrize("arguments", ["default", "set"])
def test_the_config_and_the_attributes_are_the_same(name, arguments):
    theirs_class, ours_class = getattr(keras.layers, name), getattr(seqstate.layers, name)
    known = set(inspect.signature(theirs_class).parameters)
    extra = {"name", "dtype", "trainable"} | (set() if "Cell" in name else {"zero_output_for_mask"})
    made = {"units": 7}
    if arguments == "set":
        made = {k: v for k, v in SET.items() if k in known | extra}
    keras.utils.set_random_seed(1)
    theirs = theirs_class(**made)
    keras.utils.clear_session()
    keras.utils.set_random_seed(1)
    ours = ours_class(**made)
    expected = theirs.get_config()
    if name == "SimpleRNN":  # Keras drops it there
        expected["activity_regularizer"] = ours.get_config()["activity_regularizer"]
    assert ours.get_config() == expected
    assert ours_class.from_config(ours.get_config()).get_config() == expected
    assert theirs_class.from_config(ours.get_config()).get_config().keys() == expected.keys()
    for attribute in (known | extra) - {"kwargs", "seed", "use_cudnn", "dtype"}:
        if not hasattr(theirs, attribute):
            continue
        expected_value, value = getattr(theirs, attribute), getattr(ours, attribute)
        if hasattr(expected_value, "get_config"):
            expected_value, value = expected_value.get_config(), value.get_config()
        if not (name == "SimpleRNN" and attribute == "activity_regularizer"):
            assert value == expected_value, attribute
    assert ours.state_size == theirs.state_size


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("wrapped", [False, True], ids=["plain", "bidirectional"])
def test_weights_have_the_same_names_shapes_and_order(layer, wrapped):
    described = []
    for module in (keras.layers, seqstate.layers):
        keras.utils.clear_session()
        made = getattr(module, layer)(UNITS, dropout=0.1)
        model = keras.Sequential(
            [keras.Input((TIME, FEATURES)), module.Bidirectional(made) if wrapped else made]
        )
        described.append([(v.path, v.shape, v.trainable) for v in model.variables])
    assert described[0] == described[1]


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("merge_mode", [*MERGES, "plain"])
@pytest.mark.parametrize("flags", [(a, b) for a in (False, True) for b in (False, True)])
def test_the_output_shape_is_the_same(layer, merge_mode, flags):
    shapes = []
    for module in (keras.layers, seqstate.layers):
        made = getattr(module, layer)(UNITS, return_sequences=flags[0], return_state=flags[1])
        if merge_mode != "plain":
            made = module.Bidirectional(made, merge_mode=merge_mode)
        symbolic = keras.tree.map_structure(lambda t: t.shape, made(keras.Input((None, FEATURES))))
        shapes.append((made.compute_output_shape((2, None, FEATURES)), symbolic))
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("layer", LAYERS)
def test_penalties_and_constraints_act(layer):
    losses, weights = [], []
    made = {
        name: SET[name]
        for name in SET
        if name.endswith(("_regularizer", "_constraint")) and name != "activity_regularizer"
    }
    for module in (keras.layers, seqstate.layers):
        model = keras.Sequential([keras.Input((TIME, FEATURES)), make(module, layer, **made)])
        model.compile(keras.optimizers.SGD(0.5), "mse")
        losses.append(model.evaluate(X, np.ones((BATCH, UNITS)), verbose=0))
        model.fit(X, np.ones((BATCH, UNITS)), verbose=0, shuffle=False)
        weights.append(model.get_weights())
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    for theirs, ours in zip(*weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE["float32"])
    assert weights[1][1].min() >= 0


@pytest.mark.parametrize("layer", ["GRU", "LSTM"])
def test_the_activity_penalty_is_the_same(layer):
    sums = []
    for module in (keras.layers, seqstate.layers):
        made = make(module, layer, activity_regularizer=keras.regularizers.L2(0.3), **BOTH)
        made(X)
        sums.append(float(sum(arrays(made.losses))))
    assert sums[1] == pytest.approx(sums[0], rel=1e-5)


# Where the two differ, as docs/concepts/differs-from-keras.md says


def test_skipped_steps_at_the_start_repeat_the_output_that_belongs_to_the_state():
    state = [data(BATCH, UNITS, seed=3), data(BATCH, UNITS, seed=4)]
    mask = MASKS["left padded"]
    theirs, ours = (make(m, "LSTM", **BOTH) for m in (keras.layers, seqstate.layers))
    expected, got = (
        arrays(layer(X, mask=mask, initial_state=state))[0] for layer in (theirs, ours)
    )
    np.testing.assert_array_equal(got[1, :2], np.stack([state[0][1]] * 2))
    if BACKEND == "jax":
        np.testing.assert_allclose(got, expected, rtol=0, atol=TOLERANCE["float32"])
    else:
        assert not expected[1, :2].any()
    np.testing.assert_allclose(got[mask], expected[mask], rtol=0, atol=TOLERANCE["float32"])


def test_the_activity_penalty_of_simple_rnn_is_not_lost():
    made = make(seqstate.layers, "SimpleRNN", activity_regularizer=keras.regularizers.L2(0.3))
    output = arrays(made(X))[0]
    assert float(sum(arrays(made.losses))) == pytest.approx(0.3 * (output**2).sum() / BATCH)


def test_a_stack_of_one_cell_runs():
    made = rnn(seqstate.layers, [seqstate.layers.LSTMCell(UNITS)])
    plain = make(seqstate.layers, "LSTM", **BOTH)
    plain.set_weights(made.get_weights())
    for stacked, one in zip(arrays(made(X)), arrays(plain(X)), strict=True):
        np.testing.assert_array_equal(stacked, one)
