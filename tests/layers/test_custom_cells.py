"""Cells that users write: named states of any shape, gates, Keras's calling convention."""

import keras
import numpy as np
import pytest
from keras import ops

from cases import BATCH, FEATURES, MASKS, TIME, data
from frameworks import array
from seqstate.errors import ArgumentError
from seqstate.layers import RNN, GRUCell, StackedRNNCells

X = data(BATCH, TIME, FEATURES)


@keras.saving.register_keras_serializable(package="tests")
class Counter(keras.layers.Layer):
    """Keeps a running sum, the outer product of the last two inputs and how many steps it saw."""

    state_size = {"total": FEATURES, "pair": {"outer": (FEATURES, FEATURES), "last": FEATURES}}
    gate_sizes = {"sign": FEATURES}
    output_size = 2 * FEATURES

    def call(self, inputs, states):
        total = states["total"] + inputs
        last = states["pair"]["last"]
        outer = inputs[:, :, None] * last[:, None, :]
        output = ops.concatenate([total, ops.sum(outer, axis=-1)], axis=-1)
        new = {"total": total, "pair": {"outer": outer, "last": inputs}}
        return output, new, {"sign": ops.sign(inputs)}


def expected(mask=None):
    mask = np.ones((BATCH, TIME), bool) if mask is None else mask
    total = np.zeros((BATCH, FEATURES))
    outer = np.zeros((BATCH, FEATURES, FEATURES))
    last = np.zeros((BATCH, FEATURES))
    output = np.zeros((BATCH, 2 * FEATURES))
    steps = {"total": [], "outer": [], "last": [], "output": [], "sign": []}
    for t in range(TIME):
        x, counts = X[:, t], mask[:, t, None]
        new_outer = x[:, :, None] * last[:, None, :]
        outer = np.where(counts[..., None], new_outer, outer)
        total, last = np.where(counts, total + x, total), np.where(counts, x, last)
        output = np.where(counts, np.concatenate([total, outer.sum(-1)], -1), output)
        sign = np.where(counts, np.sign(x), 0)
        for name, value in zip(steps, (total, outer, last, output, sign), strict=True):
            steps[name].append(value)
    return {name: np.stack(values, axis=1) for name, values in steps.items()}


@pytest.mark.parametrize("mask", [None, *MASKS])
@pytest.mark.parametrize("unroll", [False, True])
def test_named_states_of_any_shape(mask, unroll):
    called = {} if mask is None else {"mask": MASKS[mask]}
    r = RNN(Counter(), returns="all", unroll=unroll)(X, **called)
    e = expected(called.get("mask"))
    got = {
        "total": r["states"]["total"],
        "outer": r["states"]["pair"]["outer"],
        "last": r["states"]["pair"]["last"],
        "output": r["sequence"],
        "sign": r["gates"]["sign"],
    }
    for name, value in got.items():
        np.testing.assert_allclose(array(value), e[name], atol=1e-5, err_msg=name)
    np.testing.assert_allclose(array(r["state"]["pair"]["outer"]), e["outer"][:, -1], atol=1e-5)
    np.testing.assert_allclose(array(r["output"]), e["output"][:, -1], atol=1e-5)


def test_named_states_go_in_by_name_and_into_a_file(tmp_path):
    x = keras.Input((None, FEATURES))
    y = RNN(Counter(), returns=("output", "state"))(x, initial_state={"total": 1.5})
    model = keras.Model(x, y)
    model.save(tmp_path / "m.keras")
    got = keras.models.load_model(tmp_path / "m.keras").predict(X, verbose=0)
    np.testing.assert_allclose(got["state"]["total"], X.sum(1) + 1.5, atol=1e-5)


def test_named_states_carry():
    layer = RNN(Counter(), stateful=True)
    layer(X)
    layer(X)
    np.testing.assert_allclose(layer.get_state()["total"], 2 * X.sum(1), atol=1e-5)
    layer.reset_state(rows=1)
    assert not layer.get_state()["pair"]["outer"][1].any()
    assert layer.get_state()["pair"]["outer"][0].any()


class Minimal(keras.layers.Layer):
    """The cell of Keras's documentation: one state, no names."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.state_size = units

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units), name="kernel")
        self.recurrent = self.add_weight(shape=(self.units, self.units), name="recurrent")

    def call(self, inputs, states):
        output = ops.tanh(inputs @ self.kernel + states[0] @ self.recurrent)
        return output, [output]


class Two(keras.layers.Layer):
    """Two states in a list; the output is neither of them."""

    state_size = [FEATURES, 2]
    output_size = 1

    def call(self, inputs, states):
        a, b = states
        a, b = a + inputs, b * 0.5 + inputs[:, :2]
        return ops.sum(a, axis=-1, keepdims=True), [a, b]


class Named(Two):
    state_names = ("sum", "decay")


@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("cell", [lambda: Minimal(6), Two])
def test_a_cell_for_keras_gives_the_same_here(cell, go_backwards):
    flags = {"return_sequences": True, "return_state": True, "go_backwards": go_backwards}
    theirs, ours = keras.layers.RNN(cell(), **flags), RNN(cell(), **flags)
    for layer in (theirs, ours):
        layer.build(X.shape)
    ours.set_weights(theirs.get_weights())
    for e, g in zip(theirs(X), ours(X), strict=True):
        np.testing.assert_allclose(array(g), array(e), atol=1e-5)


def test_what_the_states_are_called():
    assert list(RNN(Minimal(3), returns="state")(X)["state"]) == ["h"]
    assert list(RNN(Two(), returns="state")(X)["state"]) == ["state_0", "state_1"]
    assert list(RNN(Named(), returns="state")(X)["state"]) == ["sum", "decay"]
    theirs = RNN(keras.layers.LSTMCell(3), returns="state")(X)["state"]
    assert list(theirs) == ["h", "c"]


def test_a_skipped_step_repeats_an_output_that_is_no_state():
    mask = MASKS["with holes"]
    got = array(RNN(Two(), return_sequences=True)(X, mask=mask))
    kept = np.cumsum(X.sum(-1) * mask, axis=1)
    np.testing.assert_allclose(got[..., 0], kept, atol=1e-5)


def test_cells_of_all_kinds_stack():
    cells = [Minimal(5), StackedRNNCells([keras.layers.LSTMCell(4), GRUCell(3)]), Two3()]
    r = RNN(cells, returns="all")(X)
    shapes = keras.tree.map_structure(lambda t: tuple(t.shape), r["state"])
    assert shapes == {
        "cell_0": {"h": (BATCH, 5)},
        "cell_1": {"cell_0": {"h": (BATCH, 4), "c": (BATCH, 4)}, "cell_1": {"h": (BATCH, 3)}},
        "cell_2": {"state_0": (BATCH, 3), "state_1": (BATCH, 2)},
    }
    top = array(r["states"]["cell_1"]["cell_1"]["h"]).cumsum(axis=1)
    np.testing.assert_allclose(array(r["sequence"])[..., 0], top.sum(-1), atol=1e-5)
    assert list(r["gates"]["cell_1"]["cell_1"]) == ["update", "reset", "candidate"]
    assert r["gates"]["cell_0"] == {}


class Two3(Two):
    state_size = [3, 2]


class Started(Minimal):
    """A cell that says itself where it starts."""

    def get_initial_state(self, batch_size=None):
        return [ops.full((batch_size, self.units), 0.5)]


def test_a_cell_that_says_where_it_starts_is_asked():
    layer = RNN(Started(6), returns="state")
    started = array(layer(X)["state"]["h"])
    np.testing.assert_allclose(started, array(layer(X, initial_state={"h": 0.5})["state"]["h"]))
    assert np.abs(started - array(layer(X, initial_state={"h": 0.0})["state"]["h"])).max() > 1e-3


class TwoValues(Counter):
    def call(self, inputs, states):
        return super().call(inputs, states)[:2]


class WrongOutput(Two):
    output_size = 9


class WrongState(Two):
    def call(self, inputs, states):
        output, (a, b) = super().call(inputs, states)
        return output, [a, b[:, :1]]


class WrongNames(Two):
    state_names = ("only",)


class LostName(Counter):
    def call(self, inputs, states):
        output, new, gates = super().call(inputs, states)
        return output, {"sum": new["total"]}, gates


class LostState(Counter):
    def call(self, inputs, states):
        output, new, gates = super().call(inputs, states)
        return output, {"total": new["total"]}, gates


class WrongGate(Counter):
    def call(self, inputs, states):
        output, new, gates = super().call(inputs, states)
        return output, new, {"sign": gates["sign"][:, :2]}


class LostGate(Counter):
    def call(self, inputs, states):
        output, new, _ = super().call(inputs, states)
        return output, new, {}


class OneThing(Minimal):
    def __init__(self):
        super().__init__(3)

    def call(self, inputs, states):
        return super().call(inputs, states)[0]


BAD = {
    "a state is missing": (LostState, "the new state 'pair/outer' is missing"),
    "a gate is missing": (LostGate, "the gate 'sign' is missing"),
    "a gate of another size": (WrongGate, r"the gate 'sign' has shape \(3, 2\)"),
    "a bare tensor": (OneThing, "returned one thing; expected 2 values"),
    "gates promised, none given": (TwoValues, "returned 2 values; expected 3 values"),
    "output of another size": (WrongOutput, r"the output has shape \(3, 1\)"),
    "state of another size": (WrongState, "the new state 'state_1' has shape"),
    "names for other states": (WrongNames, "state_names has 1 names; state_size has 2"),
    "a state of another name": (LostName, "unknown name 'sum'"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_cell_that_breaks_its_word_is_told(case):
    cell, says = BAD[case]
    with pytest.raises(ValueError, match=says) as caught:
        RNN(cell(), return_sequences=True)(X)
    assert cell.__name__ in str(caught.value)


def test_a_cell_without_gates_is_told_how_to_have_some():
    with pytest.raises(ArgumentError, match="`gate_sizes`"):
        RNN(Minimal(3), returns="gates")


class Noisy(Minimal):
    """Draws random numbers inside the step."""

    def __init__(self, units, **kwargs):
        super().__init__(units, **kwargs)
        self.seed_generator = keras.random.SeedGenerator(1)

    def call(self, inputs, states):
        noise = keras.random.normal(ops.shape(inputs), seed=self.seed_generator)
        return super().call(inputs + noise, states)


def test_a_cell_with_random_numbers_leaves_its_seed_usable():
    layer = RNN(Noisy(3))
    layer(X)
    assert np.isfinite(array(layer(X))).all()
    model = keras.Sequential([keras.Input((TIME, FEATURES)), RNN(Noisy(3))])
    model.compile("sgd", "mse")
    model.fit(X, np.zeros((BATCH, 3)), verbose=0)
    assert np.isfinite(model.predict(X, verbose=0)).all()
