"""Named results: every value at every step, against the NumPy oracle; gradients through all."""

import keras
import numpy as np
import pytest
from keras import ops

import seqstate.layers
from cases import BATCH, FEATURES, LAYERS, MASKS, TIME, TOLERANCE, UNITS, data
from frameworks import array, arrays, values_and_gradients, weighted_sum
from seqstate import cells
from seqstate import state as states
from seqstate.errors import ArgumentError
from seqstate.kernels import reference
from seqstate.layers import LSTM, RNN, Bidirectional, GRUCell, LSTMCell, SimpleRNN

X = data(BATCH, TIME, FEATURES)
NAMES = ("output", "sequence", "state", "states", "gates")
RESETS = np.array([[0, 0, 1, 0, 1], [1, 0, 0, 0, 0], [0, 0, 0, 1, 0]], bool)


def make(layer, **made):
    built = getattr(seqstate.layers, layer)(UNITS, **made)
    built.build((BATCH, TIME, FEATURES))
    built.set_weights([data(*w.shape, seed=i) * 0.5 for i, w in enumerate(built.weights)])
    return built


def weights_of(layer):
    names = ("kernel", "recurrent_kernel", "bias")
    return dict(zip(names, layer.get_weights(), strict=False))


def same(got, expected):
    got, expected = states.flatten(got), states.flatten(expected)
    assert list(got) == list(expected)
    for path, value in expected.items():
        np.testing.assert_allclose(
            array(got[path]), value, rtol=0, atol=TOLERANCE["float32"], err_msg=path
        )


ORACLE = {
    "plain": ({}, {}),
    "with holes": ({}, {"mask": MASKS["with holes"]}),
    "left padded": ({}, {"mask": MASKS["left padded"]}),
    "resets": ({}, {"reset_mask": RESETS}),
    "resets and holes": ({}, {"reset_mask": RESETS, "mask": MASKS["with holes"]}),
    "backwards": ({"go_backwards": True}, {"mask": MASKS["right padded"]}),
    "unroll": ({"unroll": True}, {"reset_mask": RESETS, "mask": MASKS["with holes"]}),
    "relu": ({"activation": "relu"}, {}),
}


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("case", ORACLE)
def test_all_that_a_layer_returns_is_what_the_equations_say(layer, case):
    made, called = ORACLE[case]
    built = make(layer, returns="all", **made)
    initial = {
        name: data(BATCH, UNITS, seed=20 + i) for i, name in enumerate(cells.KINDS[layer].states)
    }
    got = built(X, initial_state=initial, **called)
    assert tuple(got) == NAMES
    how = {name: value for name, value in made.items() if name != "unroll"}
    same(got, reference.run(layer, X, weights_of(built), initial_state=initial, **how, **called))


def test_the_gru_that_resets_before_the_product():
    built = make("GRU", returns="all", reset_after=False)
    same(built(X), reference.run("GRU", X, weights_of(built), reset_after=False))


@pytest.mark.parametrize("layer", LAYERS)
def test_gradients_flow_through_every_state_and_gate(layer):
    """Central differences of the float64 oracle, for a sum over everything returned."""
    built = make(layer, returns="all")
    called = {"mask": MASKS["with holes"], "reset_mask": RESETS}
    _, got = values_and_gradients(built, lambda t: built(t[0], **called), [X])

    values = [w.astype("float64") for w in built.get_weights()]
    order = [array(v) for v in keras.tree.flatten(built(X, **called))]
    weights = [np.random.default_rng(i).normal(size=v.shape) for i, v in enumerate(order)]
    weights = [w.astype("float32") for w in weights]

    def total(numbers):
        *numbers, x = numbers
        names = ("kernel", "recurrent_kernel", "bias")
        results = reference.run(layer, x, dict(zip(names, numbers, strict=True)), **called)
        flat = keras.tree.flatten(results)
        return sum((w * v).sum() for w, v in zip(weights, flat, strict=True))

    numbers = [*values, X.astype("float64")]
    for i, gradient in enumerate(got):
        for at in np.random.default_rng(i).choice(
            gradient.size, min(6, gradient.size), replace=False
        ):
            place = np.unravel_index(at, gradient.shape)
            step = np.zeros_like(numbers[i])
            step[place] = 1e-5
            moved = [
                total([*numbers[:i], numbers[i] + sign * step, *numbers[i + 1 :]])
                for sign in (1, -1)
            ]
            assert gradient[place] == pytest.approx((moved[0] - moved[1]) / 2e-5, abs=2e-4)


@pytest.mark.parametrize("name", ["state", "states", "gates"])
def test_each_named_result_alone_has_a_gradient(name):
    built = make("LSTM", returns=name)
    leaves, _ = values_and_gradients(built, lambda t: built(t[0]), [X])
    for i in range(len(leaves)):
        _, grads = values_and_gradients(
            built, lambda t, i=i: keras.tree.flatten(built(t[0]))[i], [X]
        )
        assert all(np.abs(g).max() > 0 for g in grads[:2]), (name, i)


RETURNS = {
    "one name": ("states", ("states",)),
    "a tuple": (("gates", "output"), ("output", "gates")),
    "a list": (["state", "sequence"], ("sequence", "state")),
    "all": ("all", NAMES),
    "all in a list": (["all"], NAMES),
    "all in a tuple": (("all",), NAMES),
    "a set": ({"state", "output"}, ("output", "state")),
}


@pytest.mark.parametrize("case", RETURNS)
def test_what_is_asked_is_what_comes(case):
    asked, expected = RETURNS[case]
    everything = make("LSTM", returns="all")(X)
    symbolic = LSTM(UNITS, returns=asked)(keras.Input((None, FEATURES)))
    got = make("LSTM", returns=asked)(X)
    assert tuple(got) == expected
    assert sorted(symbolic) == sorted(expected)
    same(got, {name: _numpy(everything[name]) for name in expected})
    for a, b in zip(keras.tree.flatten(symbolic), keras.tree.flatten(got), strict=True):
        assert a.shape[-1:] == tuple(b.shape[-1:])
        assert len(a.shape) == len(b.shape)


def _numpy(value):
    return keras.tree.map_structure(array, value)


MODELS = {
    "lstm": lambda: LSTM(UNITS, returns="all"),
    "bidirectional": lambda: Bidirectional(seqstate.layers.GRU(UNITS, returns="all")),
    "unmerged": lambda: Bidirectional(LSTM(UNITS, returns="all"), merge_mode=None),
    "stack": lambda: RNN([LSTMCell(4), GRUCell(UNITS)], returns="all"),
}


@pytest.mark.parametrize("model", MODELS)
def test_a_saved_model_gives_the_same_by_name(model, tmp_path):
    x = keras.Input((None, FEATURES))
    layer = MODELS[model]()
    built = keras.Model(x, layer(x))
    eager = states.flatten(_numpy(layer(X)))
    built.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    for predicted in (built.predict(X, verbose=0), again.predict(X, verbose=0)):
        predicted = states.flatten(predicted)
        assert sorted(predicted) == sorted(eager)
        for path, value in eager.items():
            np.testing.assert_allclose(
                predicted[path], value, rtol=0, atol=TOLERANCE["float32"], err_msg=path
            )


@pytest.mark.parametrize("merge_mode", ["concat", "sum", None])
@pytest.mark.parametrize("mask", [None, "right padded"])
def test_bidirectional_is_in_the_order_of_the_input_in_both_directions(merge_mode, mask):
    called = {} if mask is None else {"mask": MASKS[mask]}
    layer = Bidirectional(LSTM(UNITS, returns="all"), merge_mode=merge_mode)
    got = _numpy(layer(X, **called))
    runs = {}
    for direction, inner in layer.directions().items():
        back = direction == "backward"
        run = reference.run("LSTM", X, weights_of(inner), go_backwards=back, **called)
        for name in ("sequence", "states", "gates"):
            if back:
                run[name] = keras.tree.map_structure(lambda v: v[:, ::-1], run[name])
        runs[direction] = run
    for name in ("state", "states", "gates"):
        same(got[name], {d: runs[d][name] for d in runs})
    sequences = [runs[d]["sequence"] for d in runs]
    if mask is not None:  # the merged sequence is zero where the mask skips, as in Keras
        sequences = [s * MASKS[mask][..., None] for s in sequences]
    merge = {"concat": lambda a, b: np.concatenate([a, b], -1), "sum": np.add}.get(merge_mode)
    outputs = [runs[d]["output"] for d in runs]
    for name, (a, b) in {"sequence": sequences, "output": outputs}.items():
        expected = {"forward": a, "backward": b} if merge is None else {"merged": merge(a, b)}
        same(got[name] if merge is None else {"merged": got[name]}, expected)


def test_a_forward_layer_that_goes_backwards_is_turned_round():
    made = {"returns": ("sequence", "states")}
    turned = Bidirectional(
        LSTM(UNITS, go_backwards=True, **made), backward_layer=LSTM(UNITS, **made)
    )
    turned.build(X.shape)
    got = _numpy(turned(X))
    for direction, back in (("forward", True), ("backward", False)):
        weights = weights_of(turned.directions()[direction])
        run = reference.run("LSTM", X, weights, go_backwards=back)["states"]
        same(got["states"][direction], {k: v[:, ::-1] if back else v for k, v in run.items()})


def test_output_is_the_last_that_counts_even_where_skipped_steps_are_zeroed():
    layer = make("LSTM", returns=("output", "sequence"), zero_output_for_mask=True)
    got = _numpy(layer(X, mask=MASKS["right padded"]))
    assert not got["sequence"][~MASKS["right padded"]].any()
    last = MASKS["right padded"].sum(1) - 1
    np.testing.assert_array_equal(got["output"], got["sequence"][range(BATCH), last])


def test_the_activity_penalty_looks_at_the_output_and_not_at_the_gates():
    penalty = keras.regularizers.L2(0.5)
    plain = make("LSTM", return_sequences=True, activity_regularizer=penalty)
    named = make("LSTM", returns="all", activity_regularizer=penalty)
    plain(X)
    named(X)
    assert float(array(named.losses[0])) == pytest.approx(float(array(plain.losses[0])), rel=1e-5)
    assert named.get_config()["activity_regularizer"] == plain.get_config()["activity_regularizer"]


def test_a_cell_without_gates_gives_none_of_them():
    for everything in ("all", ["all"]):
        assert SimpleRNN(UNITS, returns=everything)(X)["gates"] == {}
    with pytest.raises(ArgumentError, match="SimpleRNNCell has none"):
        SimpleRNN(UNITS, returns=("output", "gates"))


def test_fit_needs_no_targets_for_the_states():
    x = keras.Input((None, FEATURES))
    r = LSTM(UNITS, returns=("output", "states"))(x)
    model = keras.Model(x, keras.layers.Dense(1)(r["output"]))
    model.compile("sgd", "mse")
    assert list(model.fit(X, np.ones((BATCH, 1)), verbose=0).history) == ["loss"]
    look = keras.Model(x, r["states"]).predict(X, verbose=0)
    expected = reference.run("LSTM", X, weights_of(model.layers[1]))["states"]
    same({name: look[name] for name in expected}, expected)


def test_a_loss_on_gates_trains():
    x = keras.Input((None, FEATURES))
    gate = LSTM(UNITS, returns="gates")(x)["gates"]["forget"]
    model = keras.Model(x, gate)
    model.compile(keras.optimizers.Adam(0.1), "mse")
    history = model.fit(X, np.zeros((BATCH, TIME, UNITS)), epochs=30, verbose=0).history["loss"]
    assert history[-1] < 0.5 * history[0]


def test_the_mask_travels_on_with_everything_that_has_a_time_axis():
    ids = np.array([[1, 2, 0], [3, 0, 0]])
    embedded = keras.layers.Embedding(5, FEATURES, mask_zero=True)(ids)
    results = LSTM(UNITS, returns="all")(embedded)
    for name in ("sequence", "states", "gates"):
        for value in keras.tree.flatten(results[name]):
            # a layer that uses a mask shows which one it got
            pooled = keras.layers.GlobalAveragePooling1D()(value)
            kept = ops.convert_to_numpy(value) * (ids != 0)[..., None]
            expected = kept.sum(1) / (ids != 0).sum(1, keepdims=True)
            np.testing.assert_allclose(array(pooled), expected, atol=1e-6)


def test_weighted_sum_sees_each_element():
    a = data(2, 3)
    b = a.copy()
    b[1, 2] += 1
    assert float(array(weighted_sum([a]))) != float(array(weighted_sum([b])))
    assert len(arrays({"a": a})) == 1
