"""What a trace says of any model, against the equations in NumPy, and what it leaves alone."""

import keras
import numpy as np
import pytest

import seqstate
from cases import FEATURES, TOLERANCE, data
from frameworks import BACKEND, array, arrays
from models.zoo import IDS, MODELS, OF, ROWS, STEPS, X, expected, make, run
from seqstate import state as states
from seqstate.errors import (
    NoStateError,
    SeqstateError,
)
from seqstate.layers import GRU, LSTM, RNN, LSTMCell

K = keras.layers
QUANTITIES = ("sequence", "state", "states", "gates")


def same(got, wanted, where):
    got, wanted = (states.flatten({"": value}) for value in (got, wanted))
    assert sorted(got) == sorted(wanted), where
    for path, value in wanted.items():
        np.testing.assert_allclose(
            got[path], value, rtol=0, atol=TOLERANCE["float32"], err_msg=f"{where} {path}"
        )


@pytest.mark.parametrize("of", OF)
@pytest.mark.parametrize("name", MODELS)
def test_a_trace_says_what_the_equations_say(name, of):
    model, x = make(name, of)
    wanted = expected(name, model)
    before = [array(v) for v in model.variables]
    outputs = arrays(model(x))
    trace = seqstate.trace(model, x, batch_size=2)
    assert list(trace) == list(wanted)
    for layer, values in wanted.items():
        for quantity in QUANTITIES:
            same(getattr(trace[layer], quantity), values[quantity], f"{layer} {quantity}")
    for got, plain in zip(arrays(trace.outputs), outputs, strict=True):
        np.testing.assert_allclose(got, plain, rtol=0, atol=1e-6)
    for got, held in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(array(got), held)


def test_masks_are_told():
    model, _ = make("masked", "keras")
    trace = seqstate.trace(model, IDS)
    np.testing.assert_array_equal(trace["both"].mask, IDS != 0)
    np.testing.assert_array_equal(trace["back"].mask, IDS != 0)
    assert trace["back"].backwards
    assert not trace["both"].backwards
    assert seqstate.trace(make("sequential", "keras")[0], X)["below"].mask is None


def test_outputs_and_inputs_keep_their_form():
    model, x = make("encoder_decoder", "seqstate")
    trace = seqstate.trace(model, x)
    assert sorted(trace.outputs) == ["c", "decoded"]
    np.testing.assert_array_equal(trace.outputs["c"], trace["encoder"].state["c"])
    np.testing.assert_array_equal(trace.inputs[1], x[1])


@pytest.mark.parametrize("of", OF)
@pytest.mark.parametrize(
    ("layers", "what", "wanted"),
    [
        ("above", None, {"above": set(QUANTITIES)}),
        (["above", "below"], "states", {"below": {"states"}, "above": {"states"}}),
        (None, ("gates", "state"), {"below": {"state", "gates"}, "above": {"state", "gates"}}),
    ],
)
def test_only_what_is_asked_for_is_kept(of, layers, what, wanted):
    model, x = make("sequential", of)
    trace = seqstate.trace(model, x, layers, what)
    assert {name: set(one.found) for name, one in trace.items()} == wanted
    whole = seqstate.trace(model, x)
    for name, one in trace.items():
        for quantity in one.found:
            same(one.found[quantity], whole[name].found[quantity], f"{name} {quantity}")


def test_what_was_not_asked_for_says_so():
    model, x = make("sequential", "keras")
    trace = seqstate.trace(model, x, what="states")
    with pytest.raises(NoStateError, match="gates was not asked for; there is: states"):
        _ = trace["above"].gates


@pytest.mark.parametrize("of", OF)
def test_training_goes_on_as_if_nobody_had_looked(of):
    def trained(look):
        keras.utils.set_random_seed(3)
        layers = [keras.Input((STEPS, FEATURES)), OF[of].LSTM(3, dropout=0.3, seed=1), K.Dense(1)]
        model = keras.Sequential(layers)
        model.compile("adam", "mse", metrics=["mae"])
        for _ in range(2):
            model.fit(X, X[:, 0, :1], batch_size=2, verbose=0)
            if look:
                seqstate.trace(model, X)
        return [*arrays(model.get_weights()), model.predict(X, verbose=0)]

    for looked, not_looked in zip(trained(True), trained(False), strict=True):
        np.testing.assert_array_equal(looked, not_looked)


def test_random_numbers_of_the_user_are_left_alone():
    import random

    model, x = make("stacked_cells", "keras")
    random.seed(5)
    np.random.seed(5)
    wanted = random.random(), np.random.random()
    random.seed(5)
    np.random.seed(5)
    seqstate.trace(model, x)
    assert (random.random(), np.random.random()) == wanted


@pytest.mark.parametrize("of", OF)
def test_a_stateful_model_goes_on_from_batch_to_batch_and_is_put_back(of):
    layers = [
        keras.Input(batch_shape=(2, None, FEATURES)),
        OF[of].LSTM(3, stateful=True, name="memory"),
    ]
    model = keras.Sequential(layers)
    x = data(4, STEPS, FEATURES)
    start = {"memory": {"h": data(2, 3, seed=1), "c": data(2, 3, seed=2)}}
    seqstate.set_state(model, start)
    trace = seqstate.trace(model, x)
    same(seqstate.get_state(model), start, "the carried state")
    whole = seqstate.trace(
        keras.Sequential(
            [keras.Input((None, FEATURES)), _with_weights(K.LSTM(3, name="l"), model)]
        ),
        np.concatenate([x[:2], x[2:]], axis=1),
    )
    assert not np.allclose(whole["l"].states["c"][:, :STEPS], trace["memory"].states["c"][:2])
    seqstate.reset_state(model)
    fresh = seqstate.trace(model, x)["memory"].states["c"]
    joined = np.concatenate([fresh[:2], fresh[2:]], axis=1)
    np.testing.assert_allclose(joined, whole["l"].states["c"], atol=TOLERANCE["float32"])


def _with_weights(layer, model):
    layer.build((None, None, FEATURES))
    layer.set_weights(model.get_weights())
    return layer


def test_a_model_that_is_not_built_gets_built():
    model = keras.Sequential([K.LSTM(3, name="lstm"), K.Dense(1)])
    trace = seqstate.trace(model, X)
    np.testing.assert_allclose(trace.outputs, model.predict(X, verbose=0), atol=1e-6)


def test_a_layer_alone_is_a_model_too():
    layer = GRU(3, name="alone")
    trace = seqstate.trace(layer, X)
    np.testing.assert_array_equal(trace["alone"].state["h"], trace.outputs)


@keras.saving.register_keras_serializable(package="tests")
class Leaky(K.Layer):
    """A cell that somebody wrote: `h' = (h + W x) / 2`."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = self.state_size = self.output_size = units

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], self.units), name="kernel")

    def call(self, x, states):
        h = (states[0] + keras.ops.matmul(x, self.kernel)) / 2
        return h, [h]

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@pytest.mark.parametrize("of", OF)
def test_cells_that_somebody_wrote(of):
    model = keras.Sequential([keras.Input((None, FEATURES)), OF[of].RNN(Leaky(2), name="own")])
    trace = seqstate.trace(model, X)
    (kernel,) = model.get_weights()
    h = np.zeros((ROWS, 2))
    for t in range(STEPS):
        h = (h + X[:, t] @ kernel) / 2
        np.testing.assert_allclose(trace["own"].states["h"][:, t], h, atol=TOLERANCE["float32"])
    assert trace["own"].gates == {}


class Doubled(K.LSTM):
    def call(self, sequences, initial_state=None, mask=None, training=False):
        return 2 * super().call(sequences, initial_state, mask, training)


class Renamed(K.LSTM):
    pass


def test_a_class_on_top_of_keras_is_traced_where_it_does_the_same():
    model = keras.Sequential([keras.Input((None, FEATURES)), Renamed(3, name="own")])
    trace = seqstate.trace(model, X)
    np.testing.assert_allclose(trace["own"].state["h"], trace.outputs, atol=1e-6)


def test_a_class_on_top_of_keras_that_does_something_else_is_refused():
    model = keras.Sequential([keras.Input((None, FEATURES)), Doubled(3, name="own")])
    with pytest.raises(SeqstateError, match=r'"own" \(Doubled\) gave something else'):
        seqstate.trace(model, X)


# JAX has no float64 unless the whole process is set to it.
@pytest.mark.parametrize("policy", ["mixed_bfloat16", *(["float64"] if BACKEND != "jax" else [])])
def test_other_types(policy):
    model = keras.Sequential([keras.Input((None, FEATURES)), K.LSTM(3, dtype=policy, name="lstm")])
    trace = seqstate.trace(model, X)
    assert trace["lstm"].states["c"].dtype == ("float64" if policy == "float64" else "float32")
    plain = keras.Sequential([keras.Input((None, FEATURES)), K.LSTM(3, name="lstm")])
    plain.set_weights(model.get_weights())
    wanted = seqstate.trace(plain, X)["lstm"].states["c"]
    tolerance = TOLERANCE.get(policy, TOLERANCE["float32"])
    np.testing.assert_allclose(trace["lstm"].states["c"], wanted, atol=tolerance)


def test_learned_and_partial_initial_states_are_those_of_the_run():
    inputs, start = keras.Input((None, FEATURES)), keras.Input((3,))
    first = LSTM(3, learn_initial_state=True, return_sequences=True, name="learned")
    model = keras.Model([inputs, start], LSTM(3, name="given")(first(inputs), {"c": start}))
    model.set_weights([data(*w.shape, seed=i) for i, w in enumerate(model.weights)])
    c = data(ROWS, 3, seed=9)
    trace = seqstate.trace(model, [X, c])
    learned = LSTM(3, returns="all", learn_initial_state=True)
    learned.build(X.shape)
    learned.set_weights(first.get_weights())
    lower = keras.tree.map_structure(array, learned(X))
    same(trace["learned"].states, lower["states"], "learned")
    upper = LSTM(3, returns="all")
    upper.build((None, None, 3))
    upper.set_weights(model.get_layer("given").get_weights())
    got = keras.tree.map_structure(array, upper(lower["sequence"], initial_state={"c": c}))
    same(trace["given"].gates, got["gates"], "given")


class Ones(K.LSTMCell):
    def get_initial_state(self, batch_size=None):
        return [1 + zeros for zeros in super().get_initial_state(batch_size)]


class Counting(Leaky):
    def build(self, shape):
        super().build(shape)
        self.steps = self.add_weight(shape=(), trainable=False, initializer="zeros", name="steps")

    def call(self, x, states):
        self.steps.assign_add(1.0)
        output, new = super().call(x, states)
        return output + self.steps, [new[0] + self.steps]


class Tripled(K.Bidirectional):
    def call(self, sequences, initial_state=None, mask=None, training=None):
        return 3 * super().call(sequences, initial_state, mask, training)


def test_a_cell_that_starts_elsewhere_shows_where_it_starts():
    model = keras.Sequential([keras.Input((None, FEATURES)), K.RNN(Ones(3), name="own")])
    trace = seqstate.trace(model, X)
    np.testing.assert_allclose(trace["own"].state["h"], trace.outputs, atol=1e-6)


def running(layer, *args, **kwargs):
    class Body(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = layer

        def call(self, x):
            return self.inner(x, *args, **kwargs)

    return Body()


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (lambda: running(K.LSTM(3, dropout=0.5, name="l"), training=True), "drops at random"),
        (lambda: running(Tripled(K.LSTM(2), name="l")), r'"l" \(Tripled\) gave something else'),
        *(
            # In a loop that is compiled, a cell can't change a variable: there the backend says no.
            [(lambda: running(K.RNN(Counting(2), name="l")), r"its cell is random or changes")]
            if BACKEND == "torch"
            else []
        ),
    ],
)
def test_runs_that_can_not_be_repeated_are_refused(model, says):
    model = model()
    model(X)
    with pytest.raises(SeqstateError, match=says):
        seqstate.trace(model, X)


def test_dropout_in_a_run_is_shown_by_our_layers():
    model = running(LSTM(3, dropout=0.5, return_sequences=True, seed=1, name="l"), training=True)
    trace = seqstate.trace(model, X)
    np.testing.assert_array_equal(trace["l"].sequence, trace.outputs)


def test_rows_need_not_be_samples():
    parts = keras.Input((3, STEPS, FEATURES))
    rows = keras.layers.Lambda(lambda v: keras.ops.reshape(v, (-1, STEPS, FEATURES)))(parts)
    model = keras.Model(parts, K.GRU(2, name="gru")(rows))
    x = data(5, 3, STEPS, FEATURES)
    trace = seqstate.trace(model, x, batch_size=2)
    assert len(trace.outputs) == 15
    np.testing.assert_allclose(trace["gru"].state["h"], trace.outputs, atol=1e-6)
    np.testing.assert_allclose(trace.outputs, model.predict(x, verbose=0), atol=1e-6)


def test_parts_of_one_call_are_one_run_and_other_calls_are_others():
    layer = K.GRU(2, name="gru")
    parts, alone = keras.Input((3, STEPS, FEATURES)), keras.Input((STEPS, FEATURES))
    each = K.TimeDistributed(layer, name="each")
    model = keras.Model([parts, alone], [each(parts), layer(alone), each(-parts)])
    x = data(2, 3, STEPS, FEATURES)
    trace = seqstate.trace(model, [x, X[:2]])
    wanted = [
        np.stack([run(layer, x[:, i])["states"]["h"] for i in range(3)], axis=1),
        run(layer, X[:2])["states"]["h"],
        np.stack([run(layer, -x[:, i])["states"]["h"] for i in range(3)], axis=1),
    ]
    got = [one.states["h"] for one in trace.values()]
    assert [one.parts for one in trace.values()].count(True) == 2
    for value in wanted:
        assert any(g.shape == value.shape and np.allclose(g, value, atol=1e-5) for g in got)


class Wrapped(keras.Model):
    """A layer beside the `Bidirectional` that copied it: only the copies run."""

    def __init__(self, m, **how):
        super().__init__()
        self.lstm = m.LSTM(3, name="lstm", **how)
        self.both = m.Bidirectional(self.lstm, name="both")

    def call(self, x):
        return self.both(x)


@pytest.mark.filterwarnings("ignore:`build..` was called on layer")
@pytest.mark.parametrize("of", OF)
def test_a_layer_that_was_only_copied_is_left_out(of):
    assert list(seqstate.trace(Wrapped(OF[of]), X)) == ["both"]
    model = Wrapped(OF[of], stateful=True)
    model(X)
    state = seqstate.get_state(model)
    assert list(state) == ["both"]
    seqstate.trace(model, X)
    same(seqstate.get_state(model), state, "carried")
    seqstate.reset_state(model)
    assert not seqstate.get_state(model)["both"]["forward"]["h"].any()


@pytest.mark.parametrize("of", OF)
def test_a_backward_layer_with_a_place_of_its_own_belongs_to_the_pair(of):
    class Pair(keras.Model):
        def __init__(self):
            super().__init__()
            self.back = OF[of].LSTM(2, go_backwards=True, name="back")
            self.both = OF[of].Bidirectional(
                OF[of].LSTM(2, name="forth"), backward_layer=self.back, name="both"
            )

        def call(self, x):
            return self.both(x)

    model = Pair()
    for _ in range(2):
        assert list(seqstate.trace(model, X)) == ["both"]
    assert "call" not in vars(model.both)
    assert "watcher" not in vars(model.back)


def test_a_call_of_the_users_own_stays():
    layer = K.LSTM(3, name="own")
    model = keras.Sequential([keras.Input((None, FEATURES)), layer])
    plain = layer.call
    layer.call = lambda *args, **kwargs: plain(*args, **kwargs)
    mine = layer.call
    seqstate.trace(model, X)
    assert layer.call is mine


def test_a_layer_that_did_not_run_is_not_in_the_trace():
    class Half(keras.Model):
        def __init__(self):
            super().__init__()
            self.used, self.unused = LSTM(2, name="used"), LSTM(2, name="unused")
            self.unused.build(X.shape)

        def call(self, x):
            return self.used(x)

    assert list(seqstate.trace(Half(), X)) == ["used"]


def test_stacks_of_ours_and_mixed():
    layers = [keras.Input((None, FEATURES)), RNN([LSTMCell(2), K.GRUCell(3)], name="mixed")]
    trace = seqstate.trace(keras.Sequential(layers), X)
    assert list(trace["mixed"].states["cell_0"]) == ["h", "c"]
    np.testing.assert_allclose(
        trace["mixed"].states["cell_1"]["h"][:, -1], trace.outputs, atol=1e-6
    )
