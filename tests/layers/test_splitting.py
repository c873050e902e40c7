"""A sequence split anywhere, with the state handed on, equals the whole."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

import seqstate.layers
from cases import FEATURES, TOLERANCE, UNITS
from frameworks import array, compiled
from seqstate import state as states
from seqstate.layers import RNN, CoupledCells, FeedbackCell, GRUCell, LSTMCell, SimpleRNNCell

ROWS, STEPS = 2, 4  # few shapes, because each of them is compiled


def average(cells):
    h = (cells["a"]["h"] + cells["b"]["h"]) / 2
    return {"a": {"h": h}, "b": {"h": cells["b"]["h"]}}


MAKERS = {
    "SimpleRNN": lambda: seqstate.layers.SimpleRNN(UNITS, returns="all"),
    "GRU": lambda: seqstate.layers.GRU(UNITS, returns="all"),
    "GRU, reset before": lambda: seqstate.layers.GRU(UNITS, reset_after=False, returns="all"),
    "LSTM": lambda: seqstate.layers.LSTM(UNITS, returns="all"),
    "GRU, backwards": lambda: seqstate.layers.GRU(UNITS, go_backwards=True, returns="all"),
    "LSTM, backwards": lambda: seqstate.layers.LSTM(UNITS, go_backwards=True, returns="all"),
    "zeroed": lambda: seqstate.layers.LSTM(UNITS, returns="all", zero_output_for_mask=True),
    "RWA": lambda: seqstate.layers.RWA(UNITS, returns="all"),
    "coupled": lambda: RNN(
        CoupledCells({"a": GRUCell(UNITS), "b": GRUCell(UNITS)}, mix=average), returns="all"
    ),
    "feedback": lambda: RNN(FeedbackCell(LSTMCell(2), keras.layers.Dense(UNITS)), returns="all"),
    "stack": lambda: RNN([LSTMCell(2), SimpleRNNCell(2), GRUCell(UNITS)], returns="all"),
}
made = {}


def layer_of(maker):
    """Give one layer per maker, with weights that are large enough to saturate some gates."""
    if maker not in made:
        layer = made[maker] = MAKERS[maker]()
        layer.build((ROWS, STEPS, FEATURES))
        rng = np.random.default_rng(1)
        layer.set_weights([rng.normal(size=w.shape) for w in layer.weights])
        layer.run = compiled(lambda x, **called: layer(x, **called))
    return made[maker]


numbers = st.floats(-4, 4, width=32)
sequences = st_numpy.arrays("float32", (ROWS, STEPS, FEATURES), elements=numbers)
masks = st_numpy.arrays(bool, (ROWS, STEPS))
starts = st_numpy.arrays("float32", (ROWS, UNITS), elements=numbers)


FORWARDS = [maker for maker in MAKERS if "backwards" not in maker]


@pytest.mark.parametrize("maker", FORWARDS)
@given(x=sequences, mask=masks, resets=masks, cut=st.integers(1, STEPS - 1), h=starts)
@settings(max_examples=20)
def test_two_parts_are_the_whole(maker, x, mask, resets, cut, h):
    layer = layer_of(maker)
    first = layer.start_values(ROWS)
    path = list(states.flatten(first))[-1]  # the state of the last cell is of `UNITS` units
    flat = {**states.flatten(first), path: h}
    first = states.unflatten(flat)

    def run(part, state):
        return layer.run(
            x[:, part], initial_state=state, mask=mask[:, part], reset_mask=resets[:, part]
        )

    whole = run(slice(None), first)
    one = run(slice(0, cut), first)
    two = run(slice(cut, None), one["state"])
    for name in ("sequence", "states", "gates"):
        joined = keras.tree.map_structure(
            lambda a, b: np.concatenate([array(a), array(b)], axis=1), one[name], two[name]
        )
        same(joined, whole[name])
    same(two["state"], whole["state"])
    same(two["output"], whole["output"])


@pytest.mark.parametrize("maker", ["GRU", "LSTM"])
@given(x=sequences, mask=masks)
@settings(max_examples=10)
def test_run_backwards_the_later_part_comes_first(maker, x, mask):
    run = layer_of(f"{maker}, backwards").run
    cut = 2
    whole = run(x, mask=mask)
    later = run(x[:, cut:], mask=mask[:, cut:])
    earlier = run(x[:, :cut], mask=mask[:, :cut], initial_state=later["state"])
    same(earlier["state"], whole["state"])
    joined = np.concatenate([array(later["sequence"]), array(earlier["sequence"])], axis=1)
    same(joined, whole["sequence"])


@pytest.mark.parametrize("maker", ["LSTM", "stack"])
@given(x=sequences, mask=masks)
@settings(max_examples=10)
def test_a_row_alone_is_the_row_in_the_batch(maker, x, mask):
    run = layer_of(maker).run
    whole = run(x, mask=mask)
    alone = run(x[1:], mask=mask[1:])
    same(alone, keras.tree.map_structure(lambda t: array(t)[1:], whole))


def same(got, expected):
    for g, e in zip(keras.tree.flatten(got), keras.tree.flatten(expected), strict=True):
        np.testing.assert_allclose(array(g), array(e), rtol=1e-5, atol=TOLERANCE["float32"])
