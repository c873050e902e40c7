"""An output that is fed back: against a loop in NumPy, forced and free, in files, in training."""

import keras
import numpy as np
import pytest
from keras.layers import Dense

import seqstate
from cases import BATCH, FEATURES, MASKS, TIME, data
from frameworks import array, values_and_gradients
from in_chunks import whole_and_step_by_step
from seqstate.errors import ArgumentError
from seqstate.kernels.reference import gru_step
from seqstate.layers import GRU, RNN, Bidirectional, FeedbackCell, GRUCell, LSTMCell

UNITS, OUTPUTS = 3, 2
X = data(BATCH, TIME, FEATURES)
TRUTH = data(BATCH, TIME, OUTPUTS, seed=1)
BOTH = np.concatenate([X, TRUTH], axis=-1)
HOW = {"activation": "tanh", "recurrent_activation": "sigmoid", "reset_after": True}


def layer_of(forcing="never", returns="all", cell=None, **made):
    """Give a built layer whose weights don't depend on the forcing."""
    hidden = GRUCell(UNITS) if cell is None else cell
    feedback = FeedbackCell(hidden, Dense(OUTPUTS), forcing=forcing, seed=3)
    layer = RNN(feedback, returns=returns, **made)
    layer.build(X.shape if forcing == "never" else BOTH.shape)
    rng = np.random.default_rng(1)
    layer.set_weights([0.7 * rng.normal(size=w.shape) for w in layer.weights])
    return layer


def by_hand(layer, fed=None, mask=None, output=0.0, h=0.0):
    """Give the outputs and `h` of each step, with `fed` where it is known, else its own output."""
    weights = {w.name: array(w.value).astype("float64") for w in layer.cell.cell.weights}
    kernel, bias = (array(w.value).astype("float64") for w in layer.cell.readout.weights)
    own = np.full((BATCH, OUTPUTS), output)
    h = np.full((BATCH, UNITS), h)
    outputs, hidden = [], []
    for t in range(TIME):
        y = own if fed is None else np.where(np.isnan(fed[:, t]), own, fed[:, t])
        x = np.concatenate([X[:, t], y], axis=-1)
        new, _ = gru_step(x, {"h": h}, weights, **HOW)
        counts = np.ones((BATCH, 1), bool) if mask is None else mask[:, t, None]
        h = np.where(counts, new["h"], h)
        own = np.where(counts, new["h"] @ kernel + bias, own)
        outputs.append(own)
        hidden.append(h)
    return np.stack(outputs, axis=1), np.stack(hidden, axis=1)


def same(r, expected):
    outputs, hidden = expected
    np.testing.assert_allclose(array(r["sequence"]), outputs, atol=1e-5)
    np.testing.assert_allclose(array(r["states"]["output"]), outputs, atol=1e-5)
    np.testing.assert_allclose(array(r["states"]["cell"]["h"]), hidden, atol=1e-5)
    np.testing.assert_allclose(array(r["output"]), outputs[:, -1], atol=1e-5)


@pytest.mark.parametrize("mask", [None, *MASKS])
def test_the_output_of_a_step_is_an_input_of_the_next(mask):
    layer = layer_of()
    called = {} if mask is None else {"mask": MASKS[mask]}
    r = layer(X, **called)
    same(r, by_hand(layer, **called))
    assert list(r["gates"]["cell"]) == ["update", "reset", "candidate"]


NOTHING = np.full_like(TRUTH, np.nan)
FED = {  # forcing, in training, what is fed
    ("always", True): TRUTH,
    ("always", False): TRUTH,
    ("training", True): TRUTH,
    ("training", False): NOTHING,
    (1.0, True): TRUTH,
    (1.0, False): NOTHING,
    (0.0, True): NOTHING,
}


@pytest.mark.parametrize(("forcing", "training"), FED)
def test_where_the_truth_is_taken(forcing, training):
    layer = layer_of(forcing)
    same(layer(BOTH, training=training), by_hand(layer, FED[forcing, training]))


def test_where_the_truth_is_not_known_it_runs_freely():
    known = TRUTH.copy()
    known[:, 3:] = np.nan  # a forecast
    known[0, 1, 1] = np.nan  # a gap in one of two outputs
    layer = layer_of("always")
    r = layer(np.concatenate([X, known], axis=-1))
    same(r, by_hand(layer, known))
    # The same in two calls: over the history, then freely from its state, with the same weights.
    history = layer(np.concatenate([X, known], axis=-1)[:, :3])
    free = RNN(FeedbackCell(layer.cell.cell, layer.cell.readout), return_sequences=True)
    rest = free(X[:, 3:], initial_state=history["state"])
    np.testing.assert_allclose(array(rest), array(r["sequence"])[:, 3:], atol=1e-6)


def test_where_it_starts_is_part_of_the_initial_state():
    layer = layer_of()
    start = {"output": 0.5, "cell": {"h": -0.25}}
    same(layer(X, initial_state=start), by_hand(layer, output=0.5, h=-0.25))


def test_a_share_of_the_steps_is_forced_drawn_for_each_row_and_step():
    rows, steps, share = 60, 40, 0.3
    layer = RNN(
        FeedbackCell(Dense(1, use_bias=False), Dense(1, use_bias=False), forcing=share, seed=1),
        return_sequences=True,
    )
    truth = np.full((rows, steps, 1), 100.0, "float32")
    layer.build(truth.shape)
    layer.set_weights([np.ones((1, 1)), np.ones((1, 1))])  # says again what it was fed
    made = array(layer(truth, training=True))[..., 0]
    # Nothing but zeros before the first forced step of a row, nothing but 100 from there on.
    assert set(np.unique(made)) == {0.0, 100.0}
    first = (made > 0).argmax(axis=1)
    assert abs(first.mean() - (1 - share) / share) < 4 * np.sqrt((1 - share) / share**2 / rows)
    assert len(set(first)) > 4
    again = array(layer(truth, training=True))[..., 0]
    assert (again != made).any()
    np.testing.assert_array_equal(array(layer(truth)), 0)


def test_gradients_go_through_what_is_fed_back_and_not_through_nan():
    known = TRUTH.copy()
    known[:, 2:] = np.nan
    layer = layer_of("always")

    def run(tensors):
        return layer(keras.ops.concatenate([tensors[0], known], axis=-1))["sequence"]

    _, found = values_and_gradients(layer, run, [X])
    assert all(np.isfinite(gradient).all() for gradient in found)
    weight = np.random.default_rng(0).normal(size=(BATCH, TIME, OUTPUTS))
    variables = layer.trainable_variables
    place = next(i for i, v in enumerate(variables) if v is layer.cell.readout.kernel)
    kernel = variables[place]
    before, eps = array(kernel.value), 1e-3
    for at in np.ndindex(before.shape):
        slopes = []
        for sign in (1, -1):
            moved = before.copy()
            moved[at] += sign * eps
            kernel.assign(moved)
            slopes.append((by_hand(layer, known)[0] * weight).sum())
        kernel.assign(before)
        # Both differ by the rounding of the moved weight to float32.
        slope = (slopes[0] - slopes[1]) / (2 * eps)
        assert abs(slope - found[place][at]) < 2e-3 * max(1, abs(slope))


def test_a_layer_in_the_place_of_the_cell_leaves_the_output_as_the_only_state():
    layer = layer_of(cell=Dense(UNITS, activation="tanh"))
    r = layer(X)
    assert list(r["state"]) == ["output"]
    w, b, v, c = (value.astype("float64") for value in layer.get_weights())
    y = np.zeros((BATCH, OUTPUTS))
    for t in range(TIME):
        y = np.tanh(np.concatenate([X[:, t], y], axis=-1) @ w + b) @ v + c
        np.testing.assert_allclose(array(r["sequence"])[:, t], y, atol=1e-5)


def test_nothing_but_its_own_output_goes_in():
    layer = RNN(FeedbackCell(Dense(3), Dense(1)), return_sequences=True)
    made = layer(np.zeros((2, 4, 0), "float32"), initial_state={"output": 1.0})
    factor = (layer.get_weights()[0] @ layer.get_weights()[2]).item()
    np.testing.assert_allclose(array(made)[1, :, 0], factor ** np.arange(1, 5), rtol=1e-4)


def test_a_sequence_in_chunks_is_the_whole():
    layer = layer_of("always")
    known = np.where(np.random.default_rng(2).random(TRUTH.shape) < 0.5, TRUTH, np.nan)
    x = np.concatenate([X, known], axis=-1).astype("float32")
    whole, pieces = whole_and_step_by_step(layer, x, MASKS["left padded"])
    np.testing.assert_allclose(pieces, whole, atol=1e-6)


def test_it_is_trained_forced_runs_free_and_goes_into_a_file(tmp_path):
    series = keras.Input(batch_shape=BOTH.shape)
    layer = RNN(
        FeedbackCell([LSTMCell(4), GRUCell(UNITS)], Dense(OUTPUTS), forcing="training"),
        return_sequences=True,
        stateful=True,
        name="back",
    )
    model = keras.Model(series, layer(series))
    model.compile(keras.optimizers.Adam(0.05), "mse")
    losses = model.fit(BOTH, TRUTH, batch_size=BATCH, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    layer.reset_state()
    free = model.predict(BOTH, batch_size=BATCH, verbose=0)
    np.testing.assert_array_equal(layer.get_state()["output"], free[:, -1])
    assert list(layer.get_state()["cell"]) == ["cell_0", "cell_1"]
    layer.reset_state()
    other = np.concatenate([X, 9 + TRUTH], axis=-1)
    np.testing.assert_array_equal(model.predict(other, batch_size=BATCH, verbose=0), free)
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    assert again.get_layer("back").cell.forcing == "training"
    again.get_layer("back").reset_state()
    np.testing.assert_allclose(again.predict(BOTH, batch_size=BATCH, verbose=0), free, atol=1e-6)


def test_in_a_stack_and_in_both_directions():
    cell = FeedbackCell(GRUCell(2), Dense(1))
    r = Bidirectional(RNN([LSTMCell(3), cell], returns=("sequence", "state")))(X)
    assert r["sequence"].shape == (BATCH, TIME, 2)
    assert list(r["state"]["forward"]["cell_1"]) == ["cell", "output"]


def test_a_readout_with_dropout_drops_in_training_alone():
    readout = keras.Sequential([keras.layers.Dropout(0.5, seed=1), Dense(OUTPUTS)])
    layer = RNN(FeedbackCell(GRUCell(8), readout))
    np.testing.assert_array_equal(array(layer(X)), array(layer(X)))
    one, two = (array(layer(X, training=True)) for _ in range(2))
    assert np.abs(one - two).max() > 1e-3


def test_doctor_says_which_path_and_explain_what_is_carried(capsys):
    model = keras.Sequential([keras.Input((TIME, FEATURES)), layer_of(returns=None, name="back")])
    report = seqstate.doctor(model)
    assert report.layers[0].why == "there is no native kernel for FeedbackCell"
    explanation = seqstate.explain(model.get_layer("back"))
    assert dict(explanation.layers[0].carried) == {"cell/h": (UNITS,), "output": (OUTPUTS,)}
    assert explanation.layers[0].comes_out[0].says == "the output after the last step"


class NoShape(keras.layers.Layer):
    def compute_output_shape(self, input_shape):
        raise NotImplementedError("not said")


BAD = {
    "no cell": (lambda: FeedbackCell("lstm", Dense(1)), "has no `call`", "A cell is an object"),
    "a recurrent layer": (
        lambda: FeedbackCell(GRU(2), Dense(1)),
        "got the layer GRU; expected a cell",
        r"GRUCell(...)",
    ),
    "a number as readout": (lambda: FeedbackCell(GRUCell(2), 1), "readout=1", "Dense(1)"),
    "a cell as readout": (lambda: FeedbackCell(GRUCell(2), GRUCell(1)), "readout=<", "Dense(1)"),
    "a readout of images": (
        lambda: FeedbackCell(GRUCell(4), keras.layers.Reshape((2, 2))),
        r"Reshape makes \(None, 2, 2\) of \(None, 4\)",
        "one vector of each row",
    ),
    "a readout without a shape": (
        lambda: FeedbackCell(GRUCell(4), NoShape()),
        "NoShape does not say the shape",
        "compute_output_shape",
    ),
    "unknown forcing": (
        lambda: FeedbackCell(GRUCell(2), Dense(1), forcing="teacher"),
        "forcing='teacher'; expected one of 'never', 'training', 'always'",
        '"training"',
    ),
    "more than all": (lambda: FeedbackCell(GRUCell(2), Dense(1), forcing=2), "forcing=2", "0 to 1"),
    "a bool": (lambda: FeedbackCell(GRUCell(2), Dense(1), forcing=True), "forcing=True", "0 to 1"),
    "no room for the truth": (
        lambda: RNN(FeedbackCell(GRUCell(2), Dense(9), forcing="always"))(X),
        "the input has 4 features; with forcing='always' it needs 9 or more",
        "NaN where",
    ),
    "a draw in the loop": (
        lambda: RNN([LSTMCell(3), FeedbackCell(GRUCell(2), Dense(1), forcing=0.5)])(
            X, training=True
        ),
        "this cell sees one step at a time",
        "first cell of a stack",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_fit_is_told(case):
    call, says, todo = BAD[case]
    with pytest.raises(ArgumentError, match=says) as caught:
        call()
    assert "FeedbackCell" in str(caught.value)
    assert todo in str(caught.value)
