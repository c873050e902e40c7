"""The carried states of a whole model, by layer name: Keras's layers and ours."""

import keras
import numpy as np
import pytest

import seqstate
from cases import FEATURES, TOLERANCE, data
from frameworks import array
from models.zoo import OF, STEPS
from seqstate import state as states
from seqstate.errors import ArgumentError, NoStateError, StateMismatchError

K = keras.layers
ROWS = 3
X = data(ROWS, 2 * STEPS, FEATURES)
NAMES = [
    "encoder/below/h",
    "encoder/below/c",
    "both/forward/h",
    "both/backward/h",
    "stack/cell_0/h",
    "stack/cell_0/c",
    "stack/cell_1/h",
]


def model_of(of, stateful=True):
    m = OF[of]
    how = {"return_sequences": True, "stateful": stateful}
    inner = keras.Sequential(
        [keras.Input(batch_shape=(ROWS, None, FEATURES)), m.LSTM(4, name="below", **how)],
        name="encoder",
    )
    model = keras.Sequential(
        [
            keras.Input(batch_shape=(ROWS, None, FEATURES)),
            inner,
            K.Dense(3),
            m.Bidirectional(m.GRU(2, **how), name="both"),
            m.SimpleRNN(2, return_sequences=True, name="free"),
            m.RNN([m.LSTMCell(2), m.GRUCell(3)], name="stack", **how),
        ]
    )
    model.set_weights([data(*w.shape, seed=i) * 0.5 for i, w in enumerate(model.weights)])
    return model


def same(got, wanted):
    got, wanted = states.flatten(got), states.flatten(wanted)
    assert list(got) == list(wanted)
    for path, value in wanted.items():
        np.testing.assert_allclose(got[path], value, rtol=0, atol=1e-6, err_msg=path)


@pytest.mark.parametrize("of", OF)
def test_states_by_layer_name_are_those_that_the_run_ended_with(of):
    model = model_of(of)
    trace = seqstate.trace(model_of(of, stateful=False), X)
    model(X)
    state = seqstate.get_state(model)
    assert list(states.flatten(state)) == NAMES
    for path, value in states.leaves(state):
        layer, *rest = path.removeprefix("encoder/").split("/")
        seen = trace[f"encoder/{layer}" if layer == "below" else layer].state
        np.testing.assert_allclose(
            value, states.flatten(seen)["/".join(rest)], atol=TOLERANCE["float32"], err_msg=path
        )


@pytest.mark.parametrize("of", OF)
def test_a_state_put_back_makes_the_model_go_on_from_there(of):
    model = model_of(of)
    model(X[:, :STEPS])
    kept = seqstate.get_state(model)
    wanted = array(model(X[:, STEPS:]))
    assert not np.allclose(array(model(X[:, STEPS:])), wanted)
    seqstate.set_state(model, kept)
    np.testing.assert_allclose(array(model(X[:, STEPS:])), wanted, atol=1e-6)


@pytest.mark.parametrize("of", OF)
def test_reset_starts_anew(of):
    model = model_of(of)
    wanted = array(model(X))
    assert not np.allclose(array(model(X)), wanted)
    seqstate.reset_state(model)
    assert all(not value.any() for _, value in states.leaves(seqstate.get_state(model)))
    np.testing.assert_allclose(array(model(X)), wanted, atol=1e-6)


@pytest.mark.parametrize("of", OF)
@pytest.mark.parametrize("rows", [1, [0, 2], slice(1, None), np.array([True, False, True]), [-1]])
def test_chosen_rows_start_anew_and_the_others_go_on(of, rows):
    model = model_of(of)
    model(X)
    before = states.flatten(seqstate.get_state(model))
    seqstate.reset_state(model, rows=rows)
    for path, value in states.leaves(seqstate.get_state(model)):
        wanted = before[path].copy()
        wanted[rows] = 0
        np.testing.assert_array_equal(value, wanted, err_msg=path)


def test_parts_numbers_and_rows_can_be_set():
    model = model_of("seqstate")
    seqstate.set_state(model, {"encoder": {"below": {"c": 1.5}}, "both": {"backward": np.ones(2)}})
    seqstate.set_state(model, {"stack": {"cell_0": [np.zeros(2), np.full(2, 3.0)]}}, rows=[0])
    state = seqstate.get_state(model)
    np.testing.assert_array_equal(state["encoder"]["below"]["c"], np.full((ROWS, 4), 1.5))
    np.testing.assert_array_equal(state["both"]["backward"]["h"], np.ones((ROWS, 2)))
    np.testing.assert_array_equal(state["stack"]["cell_0"]["c"][:, 0], [3, 0, 0])
    assert not state["both"]["forward"]["h"].any()


BAD = {
    "unknown layer": ({"both": {"backward": {"h": 1.0}}, "decoder": {"h": 1.0}}, "'decoder'"),
    "unknown state": ({"both": {"forward": {"c": 1.0}}}, r'state\["both"\]\["forward"\].*\'c\''),
    "size": ({"encoder": {"below": {"h": np.ones((ROWS, 5))}}}, r"shape \(3, 5\); expected \(3, 4"),
    "rows": ({"encoder": {"below": {"h": np.ones((2, 4))}}}, "2 rows; expected 3"),
    "whole numbers": ({"encoder": {"below": {"h": np.ones((ROWS, 4), int)}}}, "floating point"),
    "no dict": (np.ones((ROWS, 4)), "expected a dict by layer name"),
}


@pytest.mark.parametrize("of", OF)
@pytest.mark.parametrize("case", BAD)
def test_a_state_that_does_not_fit_changes_nothing(of, case):
    model = model_of(of)
    model(X)
    before = seqstate.get_state(model)
    given, says = BAD[case]
    with pytest.raises(StateMismatchError, match=says):
        seqstate.set_state(model, given)
    same(seqstate.get_state(model), before)


@pytest.mark.parametrize("rows", [[3], "all", [0.5]])
def test_rows_that_are_not_there_change_nothing(rows):
    model = model_of("keras")
    model(X)
    before = seqstate.get_state(model)
    with pytest.raises(StateMismatchError, match="rows="):
        seqstate.reset_state(model, rows=rows)
    same(seqstate.get_state(model), before)


@pytest.mark.parametrize("call", [seqstate.get_state, seqstate.reset_state])
def test_a_model_that_carries_nothing_says_so(call):
    with pytest.raises(NoStateError, match=r"no layer carries a state.*encoder/below"):
        call(model_of("keras", stateful=False))
    unbuilt = keras.Sequential([OF["seqstate"].LSTM(2, stateful=True, name="later")])
    with pytest.raises(NoStateError, match="later: not built"):
        call(unbuilt)
    with pytest.raises(ArgumentError, match="no recurrent layer"):
        call(keras.Sequential([keras.Input((2,)), K.Dense(1)]))


def test_in_an_epoch_the_state_can_be_set_after_a_sync():
    layers = [
        keras.Input(batch_shape=(ROWS, STEPS, FEATURES)),
        OF["seqstate"].LSTM(2, stateful=True, name="memory"),
    ]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.SGD(0.0), "mse")
    seen = []

    class Look(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if keras.backend.backend() == "jax" and batch:
                # Not self.model: to ask for that brings the values back.
                with pytest.raises(NoStateError, match="jax_state_sync"):
                    seqstate.get_state(model)
                self.model.jax_state_sync()
            seen.append(seqstate.get_state(self.model)["memory"]["c"])
            seqstate.reset_state(self.model, rows=[0])

    x = data(2 * ROWS, STEPS, FEATURES)
    model.fit(x, np.zeros((2 * ROWS, 2)), batch_size=ROWS, shuffle=False, verbose=0,
              callbacks=[Look()])  # fmt: skip
    assert not seen[0].any()
    assert seen[1].all()
    free = keras.Sequential([keras.Input((None, FEATURES)), K.LSTM(2, name="l")])
    free.set_weights(model.get_weights())
    alone = seqstate.trace(free, x[ROWS:])["l"].state["c"]
    ended = seqstate.get_state(model)["memory"]["c"]
    np.testing.assert_allclose(ended[0], alone[0], atol=TOLERANCE["float32"])
    assert not np.allclose(ended[1:], alone[1:])
