"""The two directions of a `Bidirectional` are one native call, and nothing else is changed by it.

These tests need the native code: where it is missing, they fail.
"""

from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest

import seqstate.layers
from cases import BATCH, FEATURES, LAYERS, MASKS, TIME, TOLERANCE, UNITS, data
from frameworks import BACKEND, array, arrays, values_and_gradients
from kernels.native_cases import threads
from seqstate import config
from seqstate.errors import ArgumentError
from seqstate.kernels import frameworks
from seqstate.kernels.pair import Pair
from seqstate.layers import GRU, LSTM, RNN, Bidirectional, GRUCell, LSTMCell, bidirectional

X = data(BATCH, TIME, FEATURES)
RESETS = np.zeros((BATCH, TIME), bool)
RESETS[0, [1, 3]] = RESETS[1, 0] = True
WAYS = ("at once", "one after the other")


@pytest.fixture
def calls(monkeypatch):
    """The calls of the kernels that a backend was asked for, each as the cells that it ran."""
    made = []
    whole = frameworks.run_all

    def run_all(calls):
        made.append([spec.kind for spec, _ in calls])
        return whole(calls)

    monkeypatch.setattr(frameworks, "run_all", run_all)
    return made


def with_weights(layer, x=X):
    layer.build(x.shape)
    layer.set_weights([data(*w.shape, seed=i) * 0.5 for i, w in enumerate(layer.weights)])
    return layer


def both(layer, *cells, **how):
    keras.utils.set_random_seed(1)
    return with_weights(Bidirectional(layer, *cells, **how))


def one_after_the_other(monkeypatch):
    monkeypatch.setattr(bidirectional, "can_pair", lambda layer: False)


def direction_by_direction(expected):
    """Give the same runs as calls of their own: those of the one direction, then the other's."""
    return [[kind] for direction in zip(*expected, strict=True) for kind in direction]


def same(monkeypatch, calls, make, expected, called=None, x=X, given=()):
    """Compare the bits of values and gradients with those of two calls.

    Args:
        expected: the calls that must be made for both directions.
        called: the call arguments.
        given: arrays for an initial state.
    """
    found = []
    for way in WAYS:
        layer = make()

        def run(tensors, layer=layer):
            more = {"initial_state": tensors[1:]} if given else {}
            return layer(tensors[0], **more, **(called or {}))

        calls.clear()
        values, gradients = values_and_gradients(layer, run, [x, *given])
        assert calls == (expected if way == "at once" else direction_by_direction(expected))
        found.append([*values, *gradients])
        one_after_the_other(monkeypatch)
    assert len(found[0]) == len(found[1])
    for got, alone in zip(*found, strict=True):
        assert np.isfinite(alone).all()
        np.testing.assert_array_equal(got, alone)


CASES = {
    "last output": ({}, {}),
    "mask": ({"returns": "all"}, {"mask": MASKS["with holes"], "reset_mask": RESETS}),
    "lengths": ({"return_sequences": True, "return_state": True}, {"lengths": [5, 0, 3]}),
    "dropout": (
        {"returns": "all", "dropout": 0.3, "recurrent_dropout": 0.4, "seed": 3},
        {"training": True},
    ),
    "learned": ({"return_sequences": True, "learn_initial_state": True}, {"reset_mask": RESETS}),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", LAYERS)
def test_values_and_gradients_are_those_of_two_calls_to_the_bit(monkeypatch, calls, kind, case):
    how, called = CASES[case]
    layer = getattr(seqstate.layers, kind)
    same(monkeypatch, calls, lambda: both(layer(UNITS, **how)), [[kind, kind]], called)


@pytest.mark.parametrize("batch", [1, 16, 40])
def test_so_they_are_where_each_direction_has_a_thread_and_where_not(monkeypatch, calls, batch):
    x = data(batch, 30, FEATURES)
    layer = lambda: both(GRU(50, return_sequences=True))  # noqa: E731
    with threads(2):
        same(monkeypatch, calls, layer, [["GRU", "GRU"]], x=x)


@pytest.mark.parametrize("merge_mode", ["concat", "sum", "ave", "mul", None])
def test_however_they_are_merged(monkeypatch, calls, merge_mode):
    states = [data(BATCH, UNITS, seed=i) for i in range(4)]
    make = lambda: both(LSTM(UNITS, return_sequences=True), merge_mode)  # noqa: E731
    same(monkeypatch, calls, make, [["LSTM", "LSTM"]], given=states)


def test_the_cells_of_two_stacks_go_together_level_by_level(monkeypatch, calls):
    def make():
        return both(RNN([LSTMCell(4), GRUCell(UNITS)], returns="all"))

    called = {"mask": MASKS["with holes"], "reset_mask": RESETS}
    same(monkeypatch, calls, make, [["LSTM", "LSTM"], ["GRU", "GRU"]], called)


def test_two_stacks_of_another_height_run_one_after_the_other(calls):
    above = RNN([GRUCell(UNITS)], go_backwards=True)
    layer = both(RNN([LSTMCell(4), GRUCell(UNITS)]), backward_layer=above)
    layer(X)
    assert calls == [["LSTM"], ["GRU"], ["GRU"]]


def test_two_kinds_of_cells_go_together(monkeypatch, calls):
    def make():
        other = GRU(3, return_sequences=True, go_backwards=True)
        return both(LSTM(UNITS, return_sequences=True), backward_layer=other)

    same(monkeypatch, calls, make, [["LSTM", "GRU"]])


# One direction that is not covered


class Own(LSTM):
    """Its call is its own, and takes no more than it knows."""

    def call(self, sequences, initial_state=None, mask=None, training=False):
        return super().call(2 * sequences, initial_state, mask, training)


ALONE = {
    "the forward one is portable": ({"kernel": "portable"}, {}, LSTM, [["LSTM"]]),
    "the backward one is portable": ({}, {"activation": "gelu"}, LSTM, [["LSTM"]]),
    "both are portable": ({"activation": "gelu"}, {"activation": "gelu"}, LSTM, []),
    "the backward one has a call of its own": ({}, {}, Own, [["LSTM"], ["LSTM"]]),
    "the backward one is Keras's": ({}, {}, keras.layers.LSTM, [["LSTM"]]),
}


@pytest.mark.parametrize("case", ALONE)
def test_a_direction_that_can_not_join_runs_by_itself(monkeypatch, calls, case):
    forward, backward, kind, expected = ALONE[case]
    found = []
    for _ in WAYS:
        other = kind(UNITS, return_sequences=True, go_backwards=True, **backward)
        layer = both(LSTM(UNITS, return_sequences=True, **forward), backward_layer=other)
        calls.clear()
        found.append(array(layer(X)))
        assert calls == expected
        one_after_the_other(monkeypatch)
    np.testing.assert_array_equal(*found)
    parts = [array(layer.forward_layer(X)), array(layer.backward_layer(X))[:, ::-1]]
    np.testing.assert_allclose(found[0], np.concatenate(parts, -1), atol=TOLERANCE["float32"])


def test_insisting_names_the_direction_that_is_not_covered(calls):
    other = LSTM(UNITS, activation="gelu", go_backwards=True, stateful=True, name="theirs")
    layer = both(LSTM(UNITS, stateful=True), backward_layer=other)
    before = arrays(layer.get_state())
    with config.using_kernel("native"), pytest.raises(ArgumentError, match='LSTM "theirs"'):
        layer(X)
    assert calls == []
    for now, then in zip(arrays(layer.get_state()), before, strict=True):
        np.testing.assert_array_equal(now, then)
    layer(X)
    assert calls == [["LSTM"]]


# What the two layers do beside their runs


def test_carried_states_go_on(monkeypatch, calls):
    found = []
    for way in WAYS:
        layer = both(LSTM(UNITS, stateful=True, return_sequences=True))
        pieces = [array(layer(X)), array(layer(X, mask=MASKS["left padded"]))]
        assert len(calls) == (2 if way == "at once" else 4)
        calls.clear()
        found.append([*pieces, *arrays(layer.get_state())])
        one_after_the_other(monkeypatch)
    for got, alone in zip(*found, strict=True):
        np.testing.assert_array_equal(got, alone)


def test_each_layer_is_penalized_for_its_own_activity(monkeypatch):
    found = []
    for _ in WAYS:
        layer = both(GRU(UNITS, return_sequences=True, activity_regularizer="l2"))
        layer(X)
        found.append([float(array(loss)) for loss in layer.losses])
        one_after_the_other(monkeypatch)
    assert len(found[0]) == 2
    assert found[0] == found[1]


def test_each_layer_is_watched(calls):
    class Watcher:
        wanted = ("states", "gates")

        def __init__(self):
            self.seen = []

        def saw(self, problem, results):
            self.seen.append((problem.go_backwards, results))

    layer = both(LSTM(UNITS))
    watchers = [Watcher(), Watcher()]
    for one, watcher in zip(layer.directions().values(), watchers, strict=True):
        one.watcher = watcher
    layer(X)
    assert calls == [["LSTM", "LSTM"]]
    seen = [watcher.seen for watcher in watchers]
    assert [[backwards for backwards, _ in each] for each in seen] == [[False], [True]]
    for one, ((_, results),) in zip(layer.directions().values(), seen, strict=True):
        one.watcher = None
        alone = with_weights(LSTM(UNITS, returns="all", go_backwards=one.go_backwards))
        alone.set_weights(one.get_weights())
        expected = alone(X)
        np.testing.assert_array_equal(array(results.states["c"]), array(expected["states"]["c"]))
        gate = array(results.gates["forget"])
        np.testing.assert_array_equal(gate, array(expected["gates"]["forget"]))


@pytest.mark.skipif(BACKEND == "jax", reason="a call that takes more than tensors fails there")
def test_a_layer_that_is_computed_anew_for_its_gradient_is_called_by_itself(calls):
    with keras.RematScope(mode="full"):
        layer = both(LSTM(UNITS, return_sequences=True))
    plain = both(LSTM(UNITS, return_sequences=True))
    got, expected = (
        values_and_gradients(one, lambda tensors, one=one: one(tensors[0]), [X])
        for one in (layer, plain)
    )
    assert calls[0] == ["LSTM"]
    for a, b in zip([*got[0], *got[1]], [*expected[0], *expected[1]], strict=True):
        np.testing.assert_allclose(a, b, atol=TOLERANCE["float32"])


def test_training_gives_the_same_weights(monkeypatch):
    found = []
    for _ in WAYS:
        keras.utils.set_random_seed(1)
        x = keras.Input((None, FEATURES))
        y = keras.layers.Masking()(x)
        for _ in range(2):
            y = Bidirectional(LSTM(UNITS, return_sequences=True, dropout=0.2, seed=3))(y)
        model = keras.Model(x, keras.layers.Dense(1)(y))
        model.compile(keras.optimizers.SGD(0.1), "mse")
        model.fit(X, X[..., :1], epochs=2, batch_size=2, shuffle=False, verbose=0)
        found.append(model.get_weights())
        one_after_the_other(monkeypatch)
    for got, alone in zip(*found, strict=True):
        np.testing.assert_allclose(got, alone, rtol=1e-6, atol=1e-7)


# That a backend makes one call of the two


@pytest.fixture
def compiled_calls(monkeypatch):
    """The calls of the compiled kernels: the function, and how many runs it was given."""
    from seqstate import _native

    made = []
    for name in ("forward", "gradient", "forward_all", "gradient_all"):
        true = getattr(_native, name)

        def spy(*given, true=true, name=name):
            made.append((name, len(given[0]) if name.endswith("_all") else 1))
            return true(*given)

        monkeypatch.setattr(_native, name, spy)
    return made


@pytest.mark.skipif(BACKEND == "jax", reason="the calls of JAX are those of XLA")
def test_the_compiled_kernels_are_called_once_for_both(compiled_calls):
    layer = both(LSTM(UNITS, return_sequences=True))
    values_and_gradients(layer, lambda tensors: layer(tensors[0]), [X])
    assert compiled_calls == [("forward_all", 2), ("gradient_all", 2)]
    compiled_calls.clear()
    layer(X)
    assert compiled_calls == [("forward_all", 2)]


@pytest.mark.skipif(BACKEND != "jax", reason="XLA's calls")
def test_xla_makes_one_call_of_both():
    import jax

    layer = both(LSTM(UNITS, return_sequences=True))

    def loss(x):
        return (layer(x) ** 2).sum()

    for function, forward, gradient in ((loss, 1, 0), (jax.grad(loss), 1, 1)):
        text = jax.jit(function).lower(X).compile().as_text()
        assert text.count('custom_call_target="seqstate_forward_all"') == forward
        assert text.count('custom_call_target="seqstate_gradient_all"') == gradient
        assert 'custom_call_target="seqstate_forward"' not in text
        assert 'custom_call_target="seqstate_gradient"' not in text


# Not a mask where sequences are returned, to which Keras then ties it: there the compiler stops.
COMPILED = {
    "LSTM": (lambda: with_weights(LSTM(UNITS, returns="all")), {"reset_mask": RESETS}),
    "GRU": (lambda: with_weights(GRU(UNITS)), {"mask": MASKS["with holes"]}),
    "both": (lambda: both(LSTM(UNITS, return_sequences=True)), {"reset_mask": RESETS}),
    "stacks": (lambda: both(RNN([LSTMCell(4), GRUCell(UNITS)])), {"mask": MASKS["with holes"]}),
}


# torch's compiler itself uses what torch has deprecated, and tells of each cache that Keras has.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")
@pytest.mark.filterwarnings("ignore:Dynamo detected a call to a `functools.lru_cache`:UserWarning")
@pytest.mark.skipif(BACKEND != "torch", reason="torch's compiler")
@pytest.mark.parametrize("name", COMPILED)
def test_compiled_as_a_whole_a_layer_gives_the_same_bits(calls, name):
    import torch

    make, called = COMPILED[name]
    layer, called = make(), {name: torch.tensor(value) for name, value in called.items()}
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    found = [
        values_and_gradients(layer, lambda tensors, one=one: one(tensors[0], **called), [X])
        for one in (compiled, layer)
    ]
    assert calls  # none of them is the portable path
    for got, expected in zip(*([*values, *gradients] for values, gradients in found), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_a_direction_that_no_gradient_reaches_is_left_out_of_it(compiled_calls):
    """The output of one direction alone: the other one has no gradient to compute."""
    layer = both(LSTM(UNITS, return_sequences=True), None)
    values, gradients = values_and_gradients(layer, lambda tensors: layer(tensors[0])[0], [X])
    # The calls of JAX are those of XLA, and TensorFlow's tape brings zeros as it brings numbers.
    found = {"torch": [("gradient", 1)], "tensorflow": [("gradient_all", 2)]}
    if BACKEND in found:
        assert compiled_calls == [("forward_all", 2), *found[BACKEND]]
    alone = layer.forward_layer
    expected, by = values_and_gradients(alone, lambda tensors: alone(tensors[0]), [X])
    np.testing.assert_array_equal(values[0], expected[0])
    *weights, x = gradients
    np.testing.assert_array_equal(x, by[-1])
    count = len(alone.trainable_variables)
    for got, same in zip(weights[:count], by[:-1], strict=True):
        np.testing.assert_array_equal(got, same)
    assert not any(np.any(gradient) for gradient in weights[count:])


@pytest.mark.parametrize("frozen", ["forward", "backward"])
def test_a_frozen_direction_has_no_gradient_and_the_other_its_own(frozen):
    layer = both(GRU(UNITS, return_sequences=True))
    layer.directions()[frozen].trainable = False
    _, found = values_and_gradients(layer, lambda tensors: layer(X), [X])
    layer.trainable = True
    for one in layer.directions().values():
        one.trainable = True
    _, every = values_and_gradients(layer, lambda tensors: layer(X), [X])
    half = (len(every) - 1) // 2
    expected = every[half:-1] if frozen == "forward" else every[:half]
    assert len(found) - 1 == half
    for got, same in zip(found, expected, strict=False):
        np.testing.assert_array_equal(got, same)


def test_an_error_of_the_second_layer_comes_through_and_no_state_is_carried_on():
    def fail():
        raise ValueError("of the second layer")

    layer = with_weights(LSTM(UNITS, stateful=True))
    layer(X)
    before = arrays(layer.get_state())
    with pytest.raises(ValueError, match="of the second layer"):
        Pair([layer, None], [lambda: layer(X), fail]).call()
    for now, then in zip(arrays(layer.get_state()), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_threads_that_call_one_layer_get_what_each_asked_for():
    layer = both(GRU(UNITS, return_sequences=True))
    several = [data(BATCH, TIME, FEATURES, seed=i) for i in range(40)]
    expected = [array(layer(x)) for x in several]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda x: array(layer(x)), several))
    for got, alone in zip(found, expected, strict=True):
        np.testing.assert_array_equal(got, alone)
