"""Cells side by side, whose states are mixed: against a loop in NumPy, in files, in training."""

import keras
import numpy as np
import pytest
from keras import ops
from keras.layers import Dense

import seqstate
from cases import BATCH, FEATURES, MASKS, TIME, data
from frameworks import array, values_and_gradients
from in_chunks import whole_and_step_by_step
from seqstate.errors import ArgumentError, StateMismatchError
from seqstate.kernels.reference import lstm_step
from seqstate.layers import (
    RNN,
    RWA,
    Bidirectional,
    CoupledCells,
    FeedbackCell,
    GRUCell,
    LSTMCell,
    RWACell,
    SimpleRNNCell,
)

X = data(BATCH, TIME, FEATURES)
UNITS = 3
HOW = {"activation": "tanh", "recurrent_activation": "sigmoid"}


@keras.saving.register_keras_serializable(package="tests")
def average_of_c(states):
    c = (states["left"]["c"] + states["right"]["c"]) / 2
    return {name: {**state, "c": c} for name, state in states.items()}


@keras.saving.register_keras_serializable(package="tests")
def exchange_h(states):
    left, right = states["left"], states["right"]
    return {"left": {**left, "h": right["h"]}, "right": {**right, "h": left["h"]}}


@keras.saving.register_keras_serializable(package="tests")
class Blend(keras.layers.Layer):
    """Each `c` takes a trained share of the other one."""

    def build(self, states_shape):
        units = states_shape["left"]["c"][-1]
        self.kernel = self.add_weight(shape=(units, units), name="kernel")

    def call(self, states):
        left, right = states["left"], states["right"]
        difference = ops.matmul(right["c"] - left["c"], self.kernel)
        return {
            "left": {**left, "c": left["c"] + difference},
            "right": {**right, "c": right["c"] - difference},
        }


def pair(mix=None, **made):
    return CoupledCells({"left": LSTMCell(UNITS), "right": LSTMCell(UNITS)}, mix=mix, **made)


def built(mix=None, returns="all", **made):
    layer = RNN(pair(mix, **made), returns=returns)
    layer.build(X.shape)
    rng = np.random.default_rng(1)
    layer.set_weights([rng.normal(size=w.shape) for w in layer.weights])
    return layer


def by_hand(layer, mix, reads, mask=None):
    """Give the states of each step, from a loop over the equations of an LSTM."""
    weights = {
        name: {
            weight.name: array(weight.value).astype("float64") for weight in cell.trainable_weights
        }
        for name, cell in layer.cell.cells.items()
    }
    zeros = np.zeros((BATCH, UNITS))
    state = {name: {"h": zeros, "c": zeros} for name in weights}
    found = []
    for t in range(TIME):
        new = {
            name: lstm_step(reads[name][:, t], state[name], w, **HOW)[0]
            for name, w in weights.items()
        }
        mixed = mix(new)
        counts = np.ones((BATCH, 1), bool) if mask is None else mask[:, t, None]
        state = {
            name: {key: np.where(counts, mixed[name][key], before) for key, before in one.items()}
            for name, one in state.items()
        }
        found.append(state)
    return keras.tree.map_structure(lambda *steps: np.stack(steps, axis=1), *found)


MIXES = {
    "none": (None, lambda states: states),
    "the average of c": (average_of_c, average_of_c),
    "h exchanged": (exchange_h, exchange_h),
}


@pytest.mark.parametrize("mask", [None, "with holes"])
@pytest.mark.parametrize("mix", MIXES)
def test_each_step_is_the_step_of_the_cells_and_then_the_mix(mix, mask):
    mix, in_numpy = MIXES[mix]
    layer = built(mix)
    called = {} if mask is None else {"mask": MASKS[mask]}
    r = layer(X, **called)
    expected = by_hand(layer, in_numpy, {"left": X, "right": X}, **called)
    for name in ("left", "right"):
        for state in ("h", "c"):
            got = array(r["states"][name][state])
            np.testing.assert_allclose(got, expected[name][state], atol=1e-5)
    # The output is the state that it equals, after the mix.
    side_by_side = np.concatenate([expected["left"]["h"], expected["right"]["h"]], axis=-1)
    np.testing.assert_allclose(array(r["sequence"]), side_by_side, atol=1e-5)
    assert list(r["gates"]["right"]) == ["input", "forget", "candidate", "output"]


def test_each_cell_reads_its_own_part():
    layer = built(average_of_c, features={"left": 1, "right": FEATURES - 1})
    r = layer(X)
    expected = by_hand(layer, average_of_c, {"left": X[..., :1], "right": X[..., 1:]})
    np.testing.assert_allclose(array(r["states"]["left"]["c"]), expected["left"]["c"], atol=1e-5)


MERGED = {
    "sum": lambda a, b: a + b,
    "ave": lambda a, b: (a + b) / 2,
    "mul": lambda a, b: a * b,
    "right": lambda a, b: b,
}


@pytest.mark.parametrize("merge_mode", MERGED)
def test_how_the_outputs_become_one(merge_mode):
    r = built(merge_mode=merge_mode, returns=("sequence", "states"))(X)
    h = [array(r["states"][name]["h"]) for name in ("left", "right")]
    np.testing.assert_allclose(array(r["sequence"]), MERGED[merge_mode](*h), atol=1e-6)
    assert r["sequence"].shape[-1] == UNITS


def test_an_output_that_is_no_state_is_not_mixed():
    class Doubled(keras.layers.Layer):
        state_size = {"level": FEATURES}

        def call(self, inputs, states):
            level = states["level"] + inputs
            return 2 * level, {"level": level}

    def zero(states):
        return {"one": {"level": ops.zeros_like(states["one"]["level"])}}

    r = RNN(CoupledCells({"one": Doubled()}, mix=zero), returns=("sequence", "states"))(X)
    np.testing.assert_allclose(array(r["sequence"]), 2 * X, atol=1e-6)
    assert not array(r["states"]["one"]["level"]).any()


def test_a_trained_mix_learns_and_is_saved_with_the_model(tmp_path):
    model = keras.Sequential(
        [keras.Input((TIME, FEATURES)), RNN(pair(Blend()), name="pair"), Dense(1)]
    )
    mix = model.get_layer("pair").cell.mix
    assert sum(weight is mix.kernel for weight in model.trainable_weights) == 1
    before = array(mix.kernel.value)
    model.compile(keras.optimizers.Adam(0.05), "mse")
    y = X[:, 0, :1]
    losses = model.fit(X, y, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert np.abs(array(mix.kernel.value) - before).min() > 1e-3
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(
        array(again.get_layer("pair").cell.mix.kernel.value), array(mix.kernel.value)
    )
    np.testing.assert_allclose(again.predict(X, verbose=0), model.predict(X, verbose=0), atol=1e-6)


def test_gradients_go_through_the_mix():
    layer = built(Blend(), returns="output")
    _, found = values_and_gradients(layer, lambda t: layer(t[0]), [X])
    kernel = layer.cell.mix.kernel
    place = next(i for i, v in enumerate(layer.trainable_variables) if v is kernel)
    weight = np.random.default_rng(0).normal(size=(BATCH, 2 * UNITS))

    def loss(matrix):
        def blend(states):
            left, right = states["left"], states["right"]
            difference = (right["c"] - left["c"]) @ matrix
            return {
                "left": {**left, "c": left["c"] + difference},
                "right": {**right, "c": right["c"] - difference},
            }

        expected = by_hand(layer, blend, {"left": X, "right": X})
        h = np.concatenate([expected["left"]["h"], expected["right"]["h"]], -1)[:, -1]
        return (h * weight).sum()

    matrix, eps = array(kernel.value).astype("float64"), 1e-6
    for i, j in np.ndindex(UNITS, UNITS):
        step = np.zeros_like(matrix)
        step[i, j] = eps
        slope = (loss(matrix + step) - loss(matrix - step)) / (2 * eps)
        assert abs(slope - found[place][i, j]) < 1e-4


def test_a_sequence_in_chunks_is_the_whole():
    whole, pieces = whole_and_step_by_step(built(exchange_h), X, MASKS["left padded"])
    np.testing.assert_allclose(pieces, whole, atol=1e-6)


def test_states_go_in_by_name_carry_and_go_into_a_file(tmp_path):
    series = keras.Input(batch_shape=X.shape)
    layer = RNN(pair(average_of_c), stateful=True, name="pair")
    model = keras.Model(series, layer(series))
    model.predict(X, batch_size=BATCH, verbose=0)
    state = layer.get_state()
    assert {name: list(inner) for name, inner in state.items()} == {
        "left": ["h", "c"],
        "right": ["h", "c"],
    }
    np.testing.assert_array_equal(state["left"]["c"], state["right"]["c"])
    layer.set_state({"left": {"h": 0.5}}, rows=[1])
    assert (layer.get_state()["left"]["h"][1] == 0.5).all()
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    assert list(again.get_layer("pair").cell.cells) == ["left", "right"]
    np.testing.assert_array_equal(
        again.predict(X, batch_size=BATCH, verbose=0), model.predict(X, batch_size=BATCH, verbose=0)
    )
    seqstate.reset_state(model)
    assert not any(value.any() for value in seqstate.state.flatten(layer.get_state()).values())


def test_names_keep_their_order_in_a_file(tmp_path):
    cells = {"z": LSTMCell(2), "a": [GRUCell(2), SimpleRNNCell(3)], "m": RWACell(2)}
    coupled = CoupledCells(cells, features={"m": 2, "a": 1, "z": 1})
    model = keras.Sequential([keras.Input((TIME, FEATURES)), RNN(coupled)])
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    assert list(again.layers[0].cell.cells) == ["z", "a", "m"]
    assert list(again.layers[0].cell.features.items()) == [("z", 1), ("a", 1), ("m", 2)]
    np.testing.assert_allclose(array(again(X)), array(model(X)), atol=1e-6)


def test_couplings_stack_nest_and_run_both_ways():
    inner = CoupledCells({"one": GRUCell(2), "two": SimpleRNNCell(2)})
    cells = [LSTMCell(2), CoupledCells({"in": inner, "beside": GRUCell(1)})]
    layer = Bidirectional(RNN(cells, returns=("sequence", "state")))
    r = layer(X)
    assert r["sequence"].shape[-1] == 2 * 5
    assert list(r["state"]["backward"]["cell_1"]["in"]) == ["one", "two"]


def test_the_cell_is_one_step_by_itself():
    cell = pair(average_of_c)
    cell.build((BATCH, FEATURES))
    layer = RNN(cell, returns=("output", "state", "gates"))
    r = layer(X[:, :1])
    output, state, gates = cell(X[:, 0], cell.get_initial_state(BATCH))
    np.testing.assert_allclose(array(output), array(r["output"]), atol=1e-6)
    np.testing.assert_allclose(array(state["left"]["c"]), array(r["state"]["left"]["c"]), atol=1e-6)
    forget = array(gates["right"]["forget"])
    np.testing.assert_allclose(forget, array(r["gates"]["right"]["forget"])[:, 0], atol=1e-6)


class Noise(keras.layers.Layer):
    """A mix that draws random numbers in training."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.drop = keras.layers.Dropout(0.5, seed=1)

    def call(self, states, training=None):
        return keras.tree.map_structure(lambda v: self.drop(v, training=training), states)


def test_a_mix_hears_of_training_and_draws_anew_in_each_run():
    layer = built(Noise(), returns="output")
    plain = built(returns="output")
    np.testing.assert_array_equal(array(layer(X)["output"]), array(plain(X)["output"]))
    one, two = (array(layer(X, training=True)["output"]) for _ in range(2))
    assert np.abs(one - two).max() > 1e-3


def test_trace_names_the_states_and_gates_of_each_cell():
    model = keras.Sequential(
        [
            keras.Input((TIME, FEATURES)),
            RNN(pair(average_of_c), return_sequences=True, name="pair"),
            RNN(FeedbackCell(GRUCell(2), Dense(1)), return_sequences=True, name="back"),
            RWA(2, name="average"),
        ]
    )
    trace = seqstate.trace(model, X)
    states = trace["pair"].states
    np.testing.assert_array_equal(states["left"]["c"], states["right"]["c"])
    assert trace["pair"].gates["left"]["forget"].shape == (BATCH, TIME, UNITS)
    assert list(trace["back"].states) == ["cell", "output"]
    np.testing.assert_array_equal(trace["back"].sequence, trace["back"].states["output"])
    assert trace["average"].gates["share"][:, 0].min() == 1
    np.testing.assert_allclose(
        np.tanh(trace["average"].states["average"]), trace["average"].sequence, atol=1e-6
    )


def test_a_model_is_rebuilt_with_them_and_keras_has_none():
    model = keras.Sequential(
        [
            keras.Input((TIME, FEATURES)),
            RNN(pair(lambda states: average_of_c(states)), return_sequences=True, name="pair"),
            keras.layers.LSTM(2),
        ]
    )
    fast = seqstate.accelerate(model)
    np.testing.assert_allclose(array(fast(X)), array(model(X)), atol=1e-6)
    with pytest.raises(ArgumentError, match="is a CoupledCells, which Keras does not have"):
        seqstate.to_keras(model)
    with pytest.raises(ArgumentError, match="is a RWA, which Keras does not have"):
        seqstate.to_keras(keras.Sequential([keras.Input((TIME, FEATURES)), RWA(2)]))


def run(mix):
    return lambda: RNN(pair(mix))(X)


BAD = {
    "no cells": (lambda: CoupledCells({}), r"cells=\{\}; expected a dict", "Name the cells"),
    "a list": (lambda: CoupledCells([LSTMCell(2)]), "expected a dict from name to cell", "a list:"),
    "a layer": (lambda: CoupledCells({"a": RWA(2)}), 'cell "a": got the layer RWA', r"RWACell"),
    "a slash": (lambda: CoupledCells({"a/b": LSTMCell(2)}), "the name 'a/b'", "letters, digits"),
    "a way to merge": (lambda: CoupledCells({"sum": LSTMCell(2)}), '"sum"', "another name"),
    "unknown merge": (lambda: pair(merge_mode="max"), "merge_mode='max'", "that cell"),
    "merge of two sizes": (
        lambda: CoupledCells({"a": LSTMCell(2), "b": GRUCell(3)}, merge_mode="sum"),
        r"can't merge outputs of the sizes \{'a': \(2,\), 'b': \(3,\)\}",
        "of the same size",
    ),
    "a mix that is none": (lambda: pair("average"), "mix='average'", "gives them back"),
    "features of some": (lambda: pair(features={"left": 2}), "for each of left, right", "reads"),
    "no feature": (lambda: pair(features={"left": 0, "right": 4}), r"\"left\"\] is 0", "one"),
    "features in all": (
        lambda: RNN(pair(features={"left": 1, "right": 1}))(X),
        "are 2 in all; the input has 4",
        "reads them all",
    ),
    "mix loses a state": (
        run(lambda s: {"left": {"h": s["left"]["h"]}, "right": s["right"]}),
        "mix lost 'left/c'",
        "Give back every state",
    ),
    "mix loses a cell": (run(lambda s: {"left": s["left"]}), "mix lost 'right/h', 'right/c'", "**"),
    "mix changes a shape": (
        run(lambda s: {**s, "left": {**s["left"], "c": ops.sum(s["left"]["c"], -1)}}),
        r"mix gave 'left/c' the shape \(3,\); it came as \(3, 3\)",
        "keeps its shape",
    ),
    "mix gives nothing": (run(lambda s: None), "mix returned nothing; expected a dict", "came in"),
    "mix gives a tensor": (run(lambda s: s["left"]["c"]), "an array of shape", "came in"),
    "a lambda in a file": (lambda: pair(lambda s: s).get_config(), "mix is a lambda", "`def`"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_fit_is_told(case):
    call, says, todo = BAD[case]
    with pytest.raises(ArgumentError, match=says) as caught:
        call()
    # Keras puts a line before what is raised in a call.
    assert "CoupledCells" in str(caught.value)
    assert todo in str(caught.value)


def test_a_mix_that_invents_a_name_is_told():
    with pytest.raises(StateMismatchError, match="what mix returned has the unknown name 'up'"):
        RNN(pair(lambda s: {**s, "up": s["left"]}))(X)
