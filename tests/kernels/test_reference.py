"""The oracle against Keras's own cells, and against what the equations say of simple cases."""

import keras
import numpy as np
import pytest

from cases import BATCH, FEATURES, LAYERS, TIME, UNITS, data
from frameworks import array
from seqstate.cells import KINDS
from seqstate.kernels import reference

X = data(BATCH, TIME, FEATURES)
NAMES = ("kernel", "recurrent_kernel", "bias")

VARIANTS = [
    *((layer, {}) for layer in LAYERS),
    *((layer, {"activation": "relu"}) for layer in LAYERS),
    *((layer, {"recurrent_activation": "hard_sigmoid"}) for layer in ("GRU", "LSTM")),
    *((layer, {"activation": "linear"}) for layer in LAYERS),
    ("GRU", {"reset_after": False}),
]


@pytest.mark.parametrize(("layer", "made"), VARIANTS, ids=str)
def test_the_sequence_is_that_of_keras(layer, made):
    theirs = getattr(keras.layers, layer)(UNITS, return_sequences=True, **made)
    theirs.build(X.shape)
    theirs.set_weights([data(*w.shape, seed=i) * 0.5 for i, w in enumerate(theirs.weights)])
    weights = dict(zip(NAMES, theirs.get_weights(), strict=True))
    got = reference.run(layer, X, weights, **made)
    np.testing.assert_allclose(got["sequence"], array(theirs(X)), rtol=0, atol=1e-5)
    assert list(got["states"]) == list(KINDS[layer].states)
    assert list(got["gates"]) == list(KINDS[layer].gates)


def test_an_lstm_whose_gates_are_open_adds_its_input_up():
    """Gates at 1 (hard sigmoid of a large bias) and linear activations leave c' = c + x."""
    weights = {
        "kernel": np.concatenate([np.zeros((1, 2)), np.ones((1, 1)), np.zeros((1, 1))], axis=1),
        "recurrent_kernel": np.zeros((1, 4)),
        "bias": np.array([9.0, 9.0, 0.0, 9.0]),
    }
    how = {"activation": "linear", "recurrent_activation": "hard_sigmoid"}
    got = reference.run("LSTM", X[..., :1], weights, **how)
    np.testing.assert_allclose(got["states"]["c"][..., 0], X[..., 0].cumsum(1), rtol=1e-6)


def test_a_gru_whose_update_gate_is_closed_keeps_its_state():
    weights = {
        "kernel": np.zeros((1, 3)),
        "recurrent_kernel": np.zeros((1, 3)),
        "bias": np.array([9.0, 0.0, 0.0]),
    }
    got = reference.run(
        "GRU",
        X[..., :1],
        weights,
        initial_state={"h": np.full((BATCH, 1), 0.7)},
        reset_after=False,
        recurrent_activation="hard_sigmoid",
    )
    assert (got["sequence"] == 0.7).all()


@pytest.mark.parametrize("x", [-1e4, -30.0, 0.0, 30.0, 1e4])
def test_the_sigmoid_neither_overflows_nor_loses_its_tail(x):
    with np.errstate(all="raise", under="ignore"):
        low, high = (float(reference.sigmoid(np.array(v))) for v in (-abs(x), abs(x)))
    assert low == pytest.approx(1 - high, abs=1e-16)
    assert low == pytest.approx(np.exp(-abs(x)) / (1 + np.exp(-abs(x))), rel=1e-12)
