"""State that carries: in calls, `fit`, `evaluate`, `predict`; by name and row; in files."""

import keras
import numpy as np
import pytest

import seqstate.layers
from cases import FEATURES, LAYERS, TOLERANCE, UNITS, data
from frameworks import BACKEND, array
from seqstate import state as states
from seqstate.errors import ArgumentError, NoStateError, StateMismatchError
from seqstate.layers import GRU, LSTM, RNN, Bidirectional, GRUCell, LSTMCell

ROWS, STEPS = 2, 4
X = data(ROWS, 3 * STEPS, FEATURES)
CHUNKS = [X[:, i * STEPS : (i + 1) * STEPS] for i in range(3)]

MAKERS = {
    "SimpleRNN": lambda **kw: seqstate.layers.SimpleRNN(UNITS, **kw),
    "GRU": lambda **kw: GRU(UNITS, **kw),
    "LSTM": lambda **kw: LSTM(UNITS, **kw),
    "stack": lambda **kw: RNN([LSTMCell(4), GRUCell(UNITS)], **kw),
    "bidirectional": lambda **kw: Bidirectional(LSTM(UNITS, **kw)),
}


def close(got, expected):
    got, expected = states.flatten(got), states.flatten(expected)
    assert sorted(got) == sorted(expected)
    for path in expected:
        np.testing.assert_allclose(
            array(got[path]), array(expected[path]), rtol=0, atol=TOLERANCE["float32"], err_msg=path
        )


def model_of(layer, head=True):
    x = keras.Input(batch_shape=(ROWS, STEPS, FEATURES))
    y = layer(x)
    model = keras.Model(x, keras.layers.Dense(1)(y) if head else y)
    model.compile(keras.optimizers.SGD(0.0), "mse")
    return model


def twin(layer, maker, **made):
    """Give a layer with the same weights that carries nothing."""
    other = MAKERS[maker](**made)
    other.build((ROWS, STEPS, FEATURES))
    other.set_weights(layer.get_weights())
    return other


def final_state(layer, maker, x):
    return twin(layer, maker, returns="state")(x)["state"]


def target(model):
    return np.zeros((ROWS, *model.output_shape[1:]), "float32")


MOVES = {
    "call": lambda m, x: m(x),
    "fit": lambda m, x: m.fit(x, target(m), batch_size=ROWS, shuffle=False, verbose=0),
    "train_on_batch": lambda m, x: m.train_on_batch(x, target(m)),
    "evaluate": lambda m, x: m.evaluate(x, target(m), batch_size=ROWS, verbose=0),
    "test_on_batch": lambda m, x: m.test_on_batch(x, target(m)),
    "predict": lambda m, x: m.predict(x, batch_size=ROWS, verbose=0),
    "predict_on_batch": lambda m, x: m.predict_on_batch(x),
}
RECURRENT = [m for m in MAKERS if m != "bidirectional"]


@pytest.mark.parametrize("maker", RECURRENT)
@pytest.mark.parametrize("move", MOVES)
def test_the_state_after_chunks_is_the_state_after_the_whole(maker, move):
    """Learning rate 0, so that the weights stay and the state alone moves."""
    layer = MAKERS[maker](stateful=True, return_sequences=True)
    model = model_of(layer)
    for chunk in CHUNKS:
        MOVES[move](model, chunk)
    close(layer.get_state(), final_state(layer, maker, X))


def test_the_moves_follow_each_other():
    layer = LSTM(UNITS, stateful=True)
    model = model_of(layer)
    for move, chunk in zip(("fit", "predict", "evaluate"), CHUNKS, strict=True):
        MOVES[move](model, chunk)
    close(layer.get_state(), final_state(layer, "LSTM", X))


def changes_between_predictions(module, layer):
    model = model_of(getattr(module, layer)(UNITS, stateful=True), head=False)
    first, second = (MOVES["predict"](model, CHUNKS[0]) for _ in range(2))
    return np.abs(first - second).max() > 1e-3


@pytest.mark.parametrize("layer", LAYERS)
def test_what_keras_itself_does_not_carry_on_jax(layer):
    assert changes_between_predictions(seqstate.layers, layer)
    assert changes_between_predictions(keras.layers, layer) == (BACKEND != "jax")


class Subclassed(keras.Model):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer
        self.head = keras.layers.Dense(1)

    def call(self, x):
        return self.head(self.layer(x))


@pytest.mark.parametrize("maker", ["LSTM", "stack", "bidirectional"])
@pytest.mark.parametrize("first", ["fit", "predict"])
@pytest.mark.parametrize("kind", ["subclassed", "sequential"])
def test_a_model_that_is_built_by_its_first_batch_carries(maker, first, kind):
    layer = MAKERS[maker](stateful=True)
    model = (
        Subclassed(layer)
        if kind == "subclassed"
        else keras.Sequential([layer, keras.layers.Dense(1)])
    )
    model.compile(keras.optimizers.SGD(0.0), "mse")
    if first == "fit":
        model.fit(CHUNKS[0], np.zeros((ROWS, 1)), batch_size=ROWS, verbose=0)
    else:
        MOVES["predict"](model, CHUNKS[0])
    once = layer.get_state()
    close(once, final_state(layer, maker, CHUNKS[0]))
    MOVES["predict"](model, CHUNKS[1])
    other = twin(layer, maker, returns="state")
    close(layer.get_state(), other(CHUNKS[1], initial_state=once)["state"])


def test_a_callback_can_read_and_reset_the_state_between_batches():
    layer = LSTM(UNITS, stateful=True)
    model = model_of(layer)
    seen, refused = [], []

    class Reset(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            try:
                layer.get_state()
            except NoStateError as error:
                refused.append(str(error))
                self.model.jax_state_sync()
            seen.append(layer.get_state()["h"])
            layer.reset_state()

    x = np.concatenate([CHUNKS[0], CHUNKS[0]])
    y = np.zeros((2 * ROWS, 1))
    model.fit(x, y, batch_size=ROWS, shuffle=False, verbose=0, callbacks=[Reset()])
    np.testing.assert_array_equal(seen[0], seen[1])
    assert seen[0].any()
    assert bool(refused) == (BACKEND == "jax")
    assert all("self.model.jax_state_sync()" in text for text in refused)


def test_both_directions_carry():
    layer = Bidirectional(LSTM(UNITS, stateful=True))
    model = model_of(layer)
    MOVES["predict"](model, CHUNKS[0])
    expected = final_state(layer, "bidirectional", CHUNKS[0])
    close(layer.get_state(), expected)
    MOVES["predict"](model, CHUNKS[1])
    other = twin(layer, "bidirectional", returns="state")
    close(layer.get_state(), other(CHUNKS[1], initial_state=expected)["state"])


def test_a_layer_inside_a_model_inside_a_model_carries():
    layer = GRU(UNITS, stateful=True)
    inner = model_of(layer)
    x = keras.Input(batch_shape=(ROWS, STEPS, FEATURES))
    outer = keras.Model(x, inner(x))
    for chunk in CHUNKS:
        outer.predict(chunk, batch_size=ROWS, verbose=0)
    close(layer.get_state(), final_state(layer, "GRU", X))


def test_training_over_chunks_moves_weights_and_state():
    layer = LSTM(UNITS, stateful=True, return_sequences=True)
    model = model_of(layer)
    model.compile(keras.optimizers.Adam(0.05), "mse")
    first = model.fit(CHUNKS[0], target(model) + 1, batch_size=ROWS, verbose=0)
    for chunk in CHUNKS[1:] * 5:
        last = model.fit(chunk, target(model) + 1, batch_size=ROWS, verbose=0)
    assert last.history["loss"][0] < first.history["loss"][0]


@pytest.mark.parametrize("maker", MAKERS)
def test_the_weights_stay_what_keras_gives(maker):
    layer, other = MAKERS[maker](stateful=True), MAKERS[maker]()
    model_of(layer)
    other.build((ROWS, STEPS, FEATURES))
    assert [w.shape for w in layer.weights] == [w.shape for w in other.weights]
    assert len(layer.variables) > len(layer.weights)
    assert not [v for v in layer.trainable_variables if "rnn_state" in v.path]


# Get, set, reset

LEAF = {"LSTM": "c", "GRU": "h", "SimpleRNN": "h"}


@pytest.mark.parametrize("layer", LAYERS)
def test_get_and_set_go_together(layer):
    made = MAKERS[layer](stateful=True)
    model_of(made)
    given = {name: data(ROWS, UNITS, seed=i) for i, name in enumerate(made.steps.spec)}
    made.set_state(given)
    close(made.get_state(), given)
    made.set_state(list(given.values())[::-1])
    close(made.get_state(), dict(zip(given, list(given.values())[::-1], strict=True)))
    expected = twin(made, layer)(CHUNKS[0], initial_state=made.get_state())
    close({"y": made(CHUNKS[0])}, {"y": expected})


ROW_CHOICES = {
    "number": (1, [1]),
    "list": ([2, 0], [2, 0]),
    "slice": (slice(1, None), [1, 2]),
    "mask": (np.array([True, False, True]), [0, 2]),
    "negative": (-1, [2]),
    "none of them": ([], []),
}


@pytest.mark.parametrize("choice", ROW_CHOICES)
@pytest.mark.parametrize("maker", ["LSTM", "bidirectional"])
def test_some_rows_are_set_and_reset(maker, choice):
    rows, numbers = ROW_CHOICES[choice]
    layer = MAKERS[maker](stateful=True)
    layer.build((3, STEPS, FEATURES))
    layer.set_state(states.map_leaves(lambda _: 1.0, layer.get_state()))
    layer.set_state(states.map_leaves(lambda _: 2.0, layer.get_state()), rows=rows)
    for leaf in states.flatten(layer.get_state()).values():
        np.testing.assert_array_equal(leaf[:, 0], [2.0 if r in numbers else 1.0 for r in range(3)])
    layer.reset_state(rows=rows)
    for leaf in states.flatten(layer.get_state()).values():
        np.testing.assert_array_equal(leaf[:, 0], [0.0 if r in numbers else 1.0 for r in range(3)])
    layer.reset_state()
    assert not any(leaf.any() for leaf in states.flatten(layer.get_state()).values())


def test_rows_are_set_in_their_order():
    layer = GRU(UNITS, stateful=True)
    layer.build((3, STEPS, FEATURES))
    layer.set_state({"h": np.array([[1.0] * UNITS, [2.0] * UNITS])}, rows=[2, 0])
    np.testing.assert_array_equal(layer.get_state()["h"][:, 0], [2, 0, 1])


def test_reset_state_takes_states_as_the_keras_documentation_says():
    layer = LSTM(UNITS, stateful=True)
    model_of(layer)
    layer.reset_state(states=[np.ones((ROWS, UNITS)), np.zeros((ROWS, UNITS))])
    close(layer.get_state(), {"h": np.ones((ROWS, UNITS)), "c": np.zeros((ROWS, UNITS))})


def test_a_learned_state_and_a_carried_one_exclude_each_other():
    with pytest.raises(ArgumentError, match=r"exclude each other[\s\S]*hand the state on"):
        LSTM(UNITS, stateful=True, learn_initial_state=True)


def test_what_get_state_gave_does_not_change_later():
    layer = GRU(UNITS, stateful=True)
    model_of(layer)
    kept = layer.get_state()
    before = kept["h"].copy()
    layer(CHUNKS[0])
    np.testing.assert_array_equal(kept["h"], before)
    kept["h"] += 1
    assert not np.array_equal(layer.get_state()["h"], kept["h"])


WRONG = {
    "name": ({"hidden": np.zeros((ROWS, UNITS))}, None, "unknown name 'hidden'"),
    "size": ({"h": np.zeros((ROWS, UNITS + 1))}, None, r"shape \(2, 4\); expected \(2, 3\)"),
    "rows": ({"h": np.zeros((5, UNITS))}, None, "has 5 rows; expected 2"),
    "dtype": ({"h": np.zeros((ROWS, UNITS), "int64")}, None, "dtype int64"),
    "list": ([np.zeros((ROWS, UNITS))], None, "has 1 value; expected 2, in this order: h, c"),
    "row": ({"h": 1.0}, [7], r"rows=\[7\] is out of range; the state has 2 rows"),
    "row type": ({"h": 1.0}, 0.5, "rows=0.5 does not name rows"),
    "mask of another size": ({"h": 1.0}, [True], "does not name rows"),
    "half right": ({"h": 1.0, "c": np.zeros((9, 9))}, None, r'state\["c"\]'),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_state_is_refused_and_changes_nothing(case):
    state, rows, text = WRONG[case]
    layer = LSTM(UNITS, stateful=True, name="sensor")
    model_of(layer)
    layer(CHUNKS[0])
    before = layer.get_state()
    with pytest.raises(StateMismatchError, match=text) as caught:
        layer.set_state(state, rows)
    assert 'LSTM "sensor"' in str(caught.value)
    close(layer.get_state(), before)


def test_a_wrong_half_of_a_bidirectional_state_changes_neither_direction():
    layer = Bidirectional(LSTM(UNITS, stateful=True))
    model_of(layer)
    before = layer.get_state()
    with pytest.raises(StateMismatchError, match=r"\(9, 9\)"):
        layer.set_state({"forward": {"h": 1.0}, "backward": {"h": np.zeros((9, 9))}})
    close(layer.get_state(), before)


def test_a_layer_that_keeps_nothing_says_so():
    layer = LSTM(UNITS)
    layer.build((ROWS, STEPS, FEATURES))
    layer.reset_state()
    with pytest.raises(NoStateError, match=r"stateful=False[\s\S]*Make it with stateful=True"):
        layer.get_state()
    with pytest.raises(NoStateError, match="not built"):
        LSTM(UNITS, stateful=True).set_state({"h": 0.0})
    with pytest.raises(AttributeError, match="keeps none"):
        Bidirectional(LSTM(UNITS)).reset_state()


# Files


@pytest.mark.parametrize("maker", MAKERS)
def test_a_keras_file_keeps_the_state(maker, tmp_path):
    layer = MAKERS[maker](stateful=True, return_sequences=True)
    model = model_of(layer)
    MOVES["predict"](model, CHUNKS[0])
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    close(again.layers[1].get_state(), layer.get_state())
    expected = MOVES["predict"](model, CHUNKS[1])
    close({"y": MOVES["predict"](again, CHUNKS[1])}, {"y": expected})


def test_a_file_that_was_saved_without_states_loads(tmp_path):
    theirs = model_of(keras.layers.LSTM(UNITS, stateful=True))
    theirs.save(tmp_path / "theirs.keras")
    theirs.save_weights(tmp_path / "theirs.weights.h5")
    ours = keras.models.load_model(tmp_path / "theirs.keras", custom_objects={"LSTM": LSTM})
    layer = LSTM(UNITS, stateful=True)
    model = model_of(layer)
    model.load_weights(tmp_path / "theirs.weights.h5")
    assert not layer.get_state()["h"].any()
    assert len(ours.get_weights()) == len(model.get_weights())


def test_weight_files_of_a_stateful_model_open_in_keras(tmp_path):
    layer = LSTM(UNITS, stateful=True)
    model = model_of(layer)
    MOVES["predict"](model, CHUNKS[0])
    model.save_weights(tmp_path / "ours.weights.h5")
    theirs = model_of(keras.layers.LSTM(UNITS, stateful=True))
    theirs.load_weights(tmp_path / "ours.weights.h5")
    layer.reset_state()
    first = MOVES["predict"](model, CHUNKS[0])
    close({"y": MOVES["predict"](theirs, CHUNKS[0])}, {"y": first})


def test_a_state_in_low_precision_comes_back_from_disk(tmp_path):
    made = {"stateful": True, "dtype": "bfloat16", "recurrent_initializer": "glorot_uniform"}
    layer = GRU(UNITS, **made)
    model = model_of(layer)
    MOVES["predict"](model, CHUNKS[0])
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    kept = again.layers[1].get_state()["h"].astype("float32")
    np.testing.assert_array_equal(kept, layer.get_state()["h"].astype("float32"))
    assert kept.any()


def test_mixed_precision_carries_in_full_precision():
    layer = GRU(UNITS, stateful=True, dtype="mixed_bfloat16")
    model = model_of(layer)
    MOVES["predict"](model, CHUNKS[0])
    assert layer.get_state()["h"].dtype == "float32"
    assert layer.get_state()["h"].any()
