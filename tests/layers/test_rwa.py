"""RWA against the paper's equations, in float64 and without what keeps them from overflowing."""

import keras
import numpy as np
import pytest
from keras import ops

from cases import BATCH, FEATURES, MASKS, TIME, TOLERANCE, UNITS, data
from frameworks import array, arrays, compiled, values_and_gradients
from seqstate.layers import RNN, RWA, Bidirectional, LSTMCell, RWACell

X = data(BATCH, TIME, FEATURES)
STATES = ("h", "average", "weight", "max")


def paper(x, weights, mask=None, state=None):
    """Give `h`, `n`, `d`, and `u tanh(g)`, `exp(a)` after each step, as the paper writes them.

    Each value is a longdouble, whose exponent holds exp of any `a` of some thousands.
    """
    kernel, recurrent, bias, start = (w.astype(np.longdouble) for w in weights)
    w_u, w_g, w_a = np.split(kernel, 3, axis=1)
    u_g, u_a = np.split(recurrent, 2, axis=1)
    b_u, b_g = np.split(bias, 2)
    shape = (len(x), len(start))
    h = np.broadcast_to(np.tanh(start), shape)
    n = np.zeros(shape, np.longdouble)
    d = np.zeros(shape, np.longdouble)
    if state:
        h, n, d = state
    found = {"h": [], "n": [], "d": [], "z": [], "e": []}
    for t in range(x.shape[1]):
        counts = True if mask is None else mask[:, t, None]
        z = (x[:, t] @ w_u + b_u) * np.tanh(x[:, t] @ w_g + h @ u_g + b_g)
        e = np.exp(x[:, t] @ w_a + h @ u_a)
        h = np.where(counts, np.tanh((n + z * e) / (d + e)), h)
        n, d = np.where(counts, n + z * e, n), np.where(counts, d + e, d)
        for name, value in zip(found, (h, n, d, z, e), strict=True):
            found[name].append(value)
    return {name: np.stack(values, axis=1) for name, values in found.items()}


def layer_of(scale=1.0, **made):
    """Give a built layer with weights of this size."""
    layer = RWA(UNITS, returns="all", **made)
    layer.build(X.shape)
    rng = np.random.default_rng(1)
    layer.set_weights([scale * rng.normal(size=w.shape) for w in layer.weights])
    return layer


def same(r, expected, tolerance=TOLERANCE["float32"]):
    found = {name: array(value).astype(np.longdouble) for name, value in r["states"].items()}
    total = found["weight"] * np.exp(found["max"])
    seen = expected["d"] > 0
    average = expected["n"] / np.where(seen, expected["d"], 1)
    np.testing.assert_allclose(found["h"], expected["h"], rtol=0, atol=tolerance)
    np.testing.assert_allclose(found["average"], average, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(total * seen, expected["d"], rtol=100 * tolerance)


@pytest.mark.parametrize("mask", [None, *MASKS])
def test_the_equations_of_the_paper(mask):
    layer = layer_of()
    called = {} if mask is None else {"mask": MASKS[mask]}
    r = layer(X, **called)
    expected = paper(X, layer.get_weights(), **called)
    same(r, expected)
    counts = np.ones((BATCH, TIME, 1)) if mask is None else MASKS[mask][..., None]
    np.testing.assert_allclose(array(r["gates"]["candidate"]), expected["z"] * counts, atol=1e-4)
    share = expected["e"] / np.where(expected["d"] > 0, expected["d"], 1) * counts
    np.testing.assert_allclose(array(r["gates"]["share"]), share, atol=1e-5)
    np.testing.assert_allclose(array(r["output"]), array(r["sequence"])[:, -1])


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("a", [50.0, 300.0, 3000.0])
def test_an_attention_that_would_overflow(a, sign):
    x = np.concatenate([X, np.linspace(0.2, 1, TIME).reshape(1, -1, 1).repeat(BATCH, 0)], -1)
    layer = RWA(UNITS, returns="all")
    layer.build(x.shape)
    rng = np.random.default_rng(2)
    weights = [rng.normal(size=w.shape) for w in layer.weights]
    weights[0][-1] = [*[0.0] * (2 * UNITS), *[sign * a] * UNITS]  # a grows from step to step
    layer.set_weights(weights)
    r = layer(x)
    assert all(np.isfinite(value).all() for value in arrays(r))
    # Single precision keeps a itself to about 1e-7 of it.
    same(r, paper(x.astype(np.float32), layer.get_weights()), tolerance=2e-6 * a)
    assert np.abs(array(r["states"]["max"])).max() > 0.15 * a


def test_the_first_step_is_its_own_average_however_little_attention_it_gets():
    layer = layer_of()
    layer.cell.kernel.assign(100 * array(layer.cell.kernel.value))
    r = layer(X[:, :1])
    np.testing.assert_array_equal(array(r["gates"]["share"]), 1)
    np.testing.assert_array_equal(array(r["states"]["average"]), array(r["gates"]["candidate"]))


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_gradients_are_finite(scale):
    layer = layer_of(scale)
    _, found = values_and_gradients(layer, lambda t: layer(t[0], lengths=[5, 3, 0]), [X])
    assert all(np.isfinite(gradient).all() for gradient in found)
    assert all(np.abs(gradient).max() > 0 for gradient in found)


def test_gradients_are_those_of_the_paper():
    layer = layer_of(0.7)

    def function(tensors):
        return layer(tensors[0])["sequence"]

    _, found = values_and_gradients(layer, function, [X])
    weight = np.random.default_rng(0).normal(size=(BATCH, TIME, UNITS))
    numbers = [w.astype(np.longdouble) for w in (*layer.get_weights(), X)]

    def loss():
        return float((paper(numbers[-1], numbers[:-1])["h"] * weight).sum())

    for number, gradient in zip(numbers, found, strict=True):
        flat = number.reshape(-1)
        for i in range(0, flat.size, 3):
            before, eps = flat[i], 1e-6
            flat[i] = before + eps
            above = loss()
            flat[i] = before - eps
            below = loss()
            flat[i] = before
            assert abs((above - below) / (2 * eps) - gradient.reshape(-1)[i]) < 2e-4


def test_a_sequence_in_chunks_is_the_whole():
    layer = layer_of(3.0)
    run = compiled(lambda x, **called: layer(x, **called))
    mask = np.random.default_rng(3).random((BATCH, TIME)) < 0.7
    whole = run(X, mask=mask)
    state, pieces = None, []
    for t in range(TIME):
        r = run(X[:, t : t + 1], mask=mask[:, t : t + 1], initial_state=state)
        state = r["state"]
        pieces.append(r)
    for kind, names in (("states", STATES), ("gates", layer.cell.kind.gates)):
        for name in names:
            joined = np.concatenate([array(piece[kind][name]) for piece in pieces], axis=1)
            np.testing.assert_allclose(joined, array(whole[kind][name]), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(array(state["h"]), array(whole["output"]), atol=1e-6)


def test_a_partial_initial_state_starts_an_average_anew_from_h():
    layer = layer_of()
    h = data(BATCH, UNITS, seed=4)
    zeros = np.zeros((BATCH, UNITS))
    same(layer(X, initial_state={"h": h}), paper(X, layer.get_weights(), state=(h, zeros, zeros)))


def test_a_row_that_starts_anew_starts_from_what_was_learned():
    layer = layer_of()
    resets = np.zeros((BATCH, TIME), bool)
    resets[1, 2] = True
    r = layer(X, reset_mask=resets)
    expected = paper(X[1:2, 2:], layer.get_weights())
    np.testing.assert_allclose(array(r["sequence"])[1:2, 2:], expected["h"], atol=1e-5)


def test_the_state_carries_by_name_and_goes_into_a_file(tmp_path):
    model = keras.Sequential(
        [keras.Input(batch_shape=X.shape), RWA(UNITS, stateful=True, name="memory")]
    )
    memory = model.get_layer("memory")
    memory.set_weights(layer_of().get_weights())
    memory.reset_state()
    model.predict(X, batch_size=BATCH, verbose=0)
    state = memory.get_state()
    assert list(state) == list(STATES)
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    for name, value in again.get_layer("memory").get_state().items():
        np.testing.assert_array_equal(value, state[name])
    more = model.predict(X, batch_size=BATCH, verbose=0)
    np.testing.assert_array_equal(again.predict(X, batch_size=BATCH, verbose=0), more)
    twice = paper(np.concatenate([X, X], axis=1), memory.get_weights())["h"][:, -1]
    np.testing.assert_allclose(more, twice, atol=1e-5)
    memory.set_state({"weight": 0.0}, rows=1)
    memory.reset_state(rows=0)
    start = np.tanh(memory.get_weights()[3])
    np.testing.assert_allclose(memory.get_state()["h"][0], start, atol=1e-6)


def test_in_a_stack_and_in_both_directions():
    r = RNN([RWACell(3), LSTMCell(2)], returns=("sequence", "state", "gates"))(X)
    assert list(r["state"]["cell_0"]) == list(STATES)
    assert list(r["gates"]["cell_0"]) == ["candidate", "share"]
    both = Bidirectional(RWA(UNITS, returns=("sequence", "states")))
    r = both(X)
    weights = both.get_weights()
    forward = paper(X, weights[:4])["h"]
    backward = paper(X[:, ::-1], weights[4:])["h"][:, ::-1]
    np.testing.assert_allclose(
        array(r["sequence"]), np.concatenate([forward, backward], -1), atol=1e-5
    )
    np.testing.assert_allclose(array(r["states"]["backward"]["h"]), backward, atol=1e-5)


def test_arguments_come_back_from_the_config():
    made = {
        "activation": "relu",
        "use_bias": False,
        "start_initializer": "ones",
        "start_regularizer": "l2",
        "start_constraint": "non_neg",
        "dropout": 0.2,
        "recurrent_dropout": 0.3,
        "seed": 5,
    }
    layer = RWA(UNITS, **made)
    config = layer.get_config()
    again = RWA.from_config(config)
    assert again.get_config() == config
    again(X)
    assert [w.name for w in again.weights] == ["kernel", "recurrent_kernel", "start"]
    np.testing.assert_array_equal(array(again.start_initializer((2,))), 1)
    assert len(again.losses) == 1
    cell = RWACell(UNITS, **made)
    assert RWACell.from_config(cell.get_config()).get_config() == cell.get_config()


def test_dropout_drops_the_input_and_the_state():
    ones = np.ones((1, 2, 400), "float32")
    layer = RWA(400, dropout=0.5, recurrent_dropout=0.25, seed=1, start_initializer="ones")
    layer.build(ones.shape)
    masks = layer.cell.dropout_masks(ops.ones((1, 400)), {"h": ops.ones((1, 400))}, True)
    kept = [(array(mask) > 0).mean() for mask in masks]
    np.testing.assert_allclose(kept, [0.5, 0.75], atol=0.08)
    layer.steps.end()
    first, other = (array(layer(ones, training=True)) for _ in range(2))
    assert np.abs(first - other).max() > 1e-3
    np.testing.assert_array_equal(array(layer(ones)), array(layer(ones)))
