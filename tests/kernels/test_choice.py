"""Which run takes the native path, what the kernels are handed then, and what is told otherwise.

The kernels themselves are not needed here: a stand-in takes the calls.
"""

import keras
import numpy as np
import pytest
from keras import ops

import seqstate.layers
from cases import BATCH, FEATURES, LAYERS, MASKS, TIME, UNITS, data
from frameworks import BACKEND, array, arrays
from seqstate import config
from seqstate.errors import ArgumentError
from seqstate.kernels import call, choice, covered, frameworks
from seqstate.layers import GRU, LSTM, RNN, Bidirectional, GRUCell, LSTMCell, SimpleRNNCell

X = data(BATCH, TIME, FEATURES)
STATES = {"SimpleRNN": ("h",), "GRU": ("h",), "LSTM": ("h", "c")}


@pytest.fixture
def calls(monkeypatch):
    """The calls that reach the kernels; each gives numbers that say where they belong."""
    made = []

    def run(spec, inputs):
        made.append((spec, {name: array(value) for name, value in inputs.items()}))
        batch, time, _ = inputs["x"].shape
        units = inputs["recurrent_kernel"].shape[0]
        shapes = {
            **dict.fromkeys(("last_h", "last_c"), (batch, units)),
            **dict.fromkeys(("states_h", "states_c"), (batch, time, units)),
            "kept": (time, batch, spec.kept, units),
        }
        return {
            name: ops.convert_to_tensor(numbered(shapes[name], call.RESULTS.index(name)))
            for name in spec.results()
        }

    monkeypatch.setattr(frameworks, "run_all", lambda calls: [run(*each) for each in calls])
    monkeypatch.setattr(frameworks, "why_not", lambda: None)
    return made


def numbered(shape, start):
    return (1000 * start + np.arange(np.prod(shape)).reshape(shape)).astype("float32")


def layer_of(kind, **made):
    layer = getattr(seqstate.layers, kind)(UNITS, **made)
    layer.build(X.shape)
    layer.set_weights([data(*w.shape, seed=i) for i, w in enumerate(layer.weights)])
    return layer


# What is handed over


@pytest.mark.parametrize("kind", LAYERS)
def test_a_plain_run_hands_over_the_input_the_weights_and_the_first_state(calls, kind):
    layer = layer_of(kind)
    layer(X)
    ((spec, inputs),) = calls
    assert spec == call.Spec(kind, every_step=False)
    names = {"x", "kernel", "recurrent_kernel", "bias", *(f"initial_{n}" for n in STATES[kind])}
    assert set(inputs) == names | ({"recurrent_bias"} if kind == "GRU" else set())
    weights = layer.get_weights()
    np.testing.assert_array_equal(inputs["x"], X)
    np.testing.assert_array_equal(inputs["kernel"], weights[0])
    np.testing.assert_array_equal(inputs["recurrent_kernel"], weights[1])
    biases = [inputs[name] for name in ("bias", "recurrent_bias") if name in inputs]
    np.testing.assert_array_equal(np.squeeze(biases), weights[2])
    assert not inputs["initial_h"].any()
    assert inputs["initial_h"].shape == (BATCH, UNITS)


SPECS = {
    "sequence": ({"return_sequences": True}, {}),
    "states": ({"returns": "states"}, {}),
    "gates": ({"returns": "gates"}, {"every_step": False, "keep": True}),
    "all": ({"returns": "all"}, {"keep": True}),
    "backwards": ({"return_sequences": True, "go_backwards": True}, {"go_backwards": True}),
    "unroll": ({"return_sequences": True, "unroll": True}, {}),
    "relu": ({"activation": "relu", "return_sequences": True}, {"activation": "relu"}),
    "linear": ({"activation": None, "return_sequences": True}, {"activation": "linear"}),
    "gates' own": (
        {"recurrent_activation": keras.activations.hard_sigmoid, "return_sequences": True},
        {"recurrent_activation": "hard_sigmoid"},
    ),
    "reset before": ({"reset_after": False, "return_sequences": True}, {"reset_after": False}),
}


@pytest.mark.parametrize("case", SPECS)
def test_what_is_static_stands_in_the_spec(calls, case):
    made, said = SPECS[case]
    layer_of("GRU", **made)(X)
    ((spec, inputs),) = calls
    assert spec == call.Spec("GRU", **said)
    assert ("recurrent_bias" in inputs) == spec.reset_after


def test_without_a_bias_there_is_none(calls):
    for kind in LAYERS:
        layer_of(kind, use_bias=False)(X)
    assert not any({"bias", "recurrent_bias"} & set(inputs) for _, inputs in calls)


def test_masks_and_states_are_handed_over_as_they_come(calls):
    mask = MASKS["with holes"]
    resets = np.zeros((BATCH, TIME), bool)
    resets[1, 2] = True
    state = {"h": data(BATCH, UNITS, seed=3), "c": data(BATCH, UNITS, seed=4)}
    layer_of("LSTM")(X, mask=mask, reset_mask=resets, initial_state=state)
    ((_, inputs),) = calls
    np.testing.assert_array_equal(inputs["mask"], mask)
    np.testing.assert_array_equal(inputs["reset_mask"], resets)
    for name, value in state.items():
        np.testing.assert_array_equal(inputs[f"initial_{name}"], value)
        assert not inputs[f"fresh_{name}"].any()
    assert all(inputs[name].dtype == bool for name in ("mask", "reset_mask"))


def test_run_backwards_a_row_starts_anew_before_the_step_that_comes_next_in_the_run(calls):
    resets = np.zeros((BATCH, TIME), bool)
    resets[1, 2] = True
    layer_of("LSTM", go_backwards=True)(X, reset_mask=resets)
    np.testing.assert_array_equal(calls[0][1]["reset_mask"], np.roll(resets, -1, axis=1))


def test_rows_start_anew_from_the_learned_state(calls):
    layer = layer_of("GRU", learn_initial_state=True)
    layer(X, reset_mask=np.zeros((BATCH, TIME), bool), initial_state={"h": 0.0})
    learned = array(layer.learned_state.weights[0])
    inputs = calls[0][1]
    np.testing.assert_array_equal(inputs["fresh_h"], np.broadcast_to(learned, (BATCH, UNITS)))
    assert not inputs["initial_h"].any()


@pytest.mark.parametrize(
    ("kind", "made", "input_masks", "state_masks"),
    [
        ("SimpleRNN", {"dropout": 0.5}, 1, None),
        ("SimpleRNN", {"dropout": 0.5, "recurrent_dropout": 0.5}, 1, 1),
        ("LSTM", {"dropout": 0.5}, 1, None),
        ("LSTM", {"dropout": 0.5, "implementation": 1}, 4, None),
        ("LSTM", {"recurrent_dropout": 0.5}, None, 4),
        ("GRU", {"dropout": 0.5, "recurrent_dropout": 0.5}, 3, 3),
    ],
)
def test_dropout_masks_are_one_or_one_a_block(calls, kind, made, input_masks, state_masks):
    layer = layer_of(kind, seed=3, **made)
    layer(X, training=True)
    layer(X, training=False)
    (_, dropped), (_, whole) = calls
    for name, count, size in (
        ("input_dropout", input_masks, FEATURES),
        ("recurrent_dropout", state_masks, UNITS),
    ):
        assert name not in whole
        if count is None:
            assert name not in dropped
        else:
            assert dropped[name].shape == (count, BATCH, size)
            assert set(np.unique(dropped[name])) == {0.0, 2.0}


def test_what_comes_back_is_named_as_the_layers_name_it(calls):
    r = layer_of("GRU", returns="all")(X)
    kept = numbered((TIME, BATCH, 4, UNITS), call.RESULTS.index("kept"))
    for i, name in enumerate(("update", "reset", "candidate")):
        np.testing.assert_array_equal(array(r["gates"][name]), kept[:, :, i].swapaxes(0, 1))
    sequence = numbered((BATCH, TIME, UNITS), call.RESULTS.index("states_h"))
    np.testing.assert_array_equal(array(r["sequence"]), sequence)
    np.testing.assert_array_equal(array(r["states"]["h"]), sequence)
    np.testing.assert_array_equal(array(r["output"]), numbered((BATCH, UNITS), 0))
    memory = layer_of("LSTM", returns="all")(X)
    np.testing.assert_array_equal(array(memory["state"]["c"]), numbered((BATCH, UNITS), 1))
    np.testing.assert_array_equal(
        array(memory["states"]["c"]),
        numbered((BATCH, TIME, UNITS), call.RESULTS.index("states_c")),
    )


def test_gates_of_a_cell_without_gates_are_none(calls):
    r = layer_of("SimpleRNN", returns="all")(X)
    assert r["gates"] == {}
    assert "kept" not in calls[0][0].results()


# Stacks


def test_a_stack_runs_cell_by_cell_each_on_the_sequence_below(calls):
    stack = RNN([LSTMCell(4), GRUCell(UNITS)], go_backwards=True)
    mask = MASKS["right padded"]
    resets = np.zeros((BATCH, TIME), bool)
    resets[0, 1] = True
    stack(X, mask=mask, reset_mask=resets)
    (below, first), (above, second) = calls
    assert (below.kind, below.go_backwards, below.every_step) == ("LSTM", True, True)
    assert (above.kind, above.go_backwards, above.every_step) == ("GRU", False, False)
    np.testing.assert_array_equal(first["mask"], mask)
    np.testing.assert_array_equal(second["mask"], mask[:, ::-1])
    np.testing.assert_array_equal(second["reset_mask"], first["reset_mask"][:, ::-1])
    states_h = numbered((BATCH, TIME, 4), call.RESULTS.index("states_h"))
    np.testing.assert_array_equal(second["x"], states_h)


def test_a_stack_with_one_cell_that_is_not_covered_takes_the_portable_path(calls):
    stack = RNN([LSTMCell(4), GRUCell(UNITS, activation="gelu")])
    stack(X)
    assert calls == []
    path, reason = choice.path_of(stack.steps)
    assert (path, reason.why) == ("portable", "cell_1: activation is gelu")


# What is not covered


class OwnEquations(LSTMCell):
    def equations(self, projected, state, masks=None):
        return super().equations(2 * projected, state, masks)


class OwnProjection(SimpleRNNCell):
    def project(self, inputs, masks=None):
        return super().project(inputs, masks)


class JustNamed(GRUCell):
    """A class on top of ours that changes nothing."""


NOT_COVERED = {
    "another function": (lambda: LSTM(UNITS, activation="gelu"), "activation is gelu"),
    "a function of a known name": (
        lambda: LSTM(UNITS, activation=ops.tanh),
        "activation is keras.src.ops.numpy.tanh",
    ),
    "a gate's": (
        lambda: GRU(UNITS, recurrent_activation="softsign"),
        "recurrent_activation is softsign",
    ),
    "mixed precision": (lambda: LSTM(UNITS, dtype="mixed_bfloat16"), "it computes in bfloat16"),
    "own equations": (lambda: RNN(OwnEquations(UNITS)), "OwnEquations has equations of its own"),
    "own projection": (lambda: RNN(OwnProjection(UNITS)), "OwnProjection has project of its own"),
    "a cell of Keras": (
        lambda: RNN(keras.layers.GRUCell(UNITS)),
        "GRUCell is not one of seqstate's cells",
    ),
}


@pytest.mark.parametrize("case", NOT_COVERED)
def test_what_is_not_covered_takes_the_portable_path_or_is_refused_with_the_reason(calls, case):
    make, why = NOT_COVERED[case]
    layer = make()
    layer(X)
    assert calls == []
    with config.using_kernel("native"), pytest.raises(ArgumentError) as refused:
        layer(X)
    text = str(refused.value)
    start = f'{type(layer).__name__} "{layer.name}": kernel="native": the native kernels don\'t'
    assert f"{start} cover this run: {why}.\n" in text
    assert 'Or leave kernel="auto"' in text


def test_a_class_that_changes_nothing_is_covered(calls):
    RNN(JustNamed(UNITS), kernel="native")(X)
    assert [spec.kind for spec, _ in calls] == ["GRU"]


def test_a_method_put_on_the_cell_itself_is_seen(calls):
    layer = layer_of("LSTM")
    equations = layer.cell.equations
    layer.cell.equations = lambda *given: equations(*given)
    layer(X)
    assert calls == []


def test_an_activation_that_is_changed_later_is_seen(calls):
    layer = layer_of("LSTM")
    layer(X)
    layer.cell.activation = keras.activations.gelu
    layer(X)
    assert len(calls) == 1


def test_a_batch_of_no_rows_takes_the_portable_path(calls):
    layer = layer_of("LSTM", return_sequences=True)
    assert tuple(layer(X[:0]).shape) == (0, TIME, UNITS)
    assert calls == []


@pytest.mark.skipif(BACKEND != "torch", reason="a device of torch")
def test_inputs_on_another_device_take_the_portable_path():
    import torch

    reason = covered.why_not_tensor(torch.empty(2, 3, 4, device="meta"))
    assert reason is None

    class OnGpu:
        device = torch.device("cuda")
        shape = (2, 3, 4)

    assert covered.why_not_tensor(OnGpu()).why == "the input is on the device cuda"


# Who decides


@pytest.mark.parametrize(
    ("globally", "layers", "native"),
    [
        ("auto", "auto", True),
        ("portable", "auto", False),
        ("native", "auto", True),
        ("portable", "native", True),
        ("native", "portable", False),
        ("auto", "portable", False),
    ],
)
def test_the_layer_decides_and_else_the_config(calls, globally, layers, native):
    layer = layer_of("GRU", kernel=layers)
    with config.using_kernel(globally):
        layer(X)
        path, reason = choice.path_of(layer.steps, layer.kernel)
    assert bool(calls) == native
    assert path == ("native" if native else "portable")
    assert (reason is None) == native


@pytest.mark.parametrize("given", ["fast", None, True])
def test_an_unknown_kernel_is_refused_by_the_layer(given):
    with pytest.raises(ArgumentError, match=r"LSTM: kernel is .*; expected one of 'auto'"):
        LSTM(UNITS, kernel=given)


def test_it_is_an_argument_of_the_wrapped_layer():
    with pytest.raises(ArgumentError, match=r"Bidirectional\(LSTM\(32, kernel='native'\)\)"):
        Bidirectional(LSTM(UNITS), kernel="native")
    both = Bidirectional(LSTM(UNITS, kernel="native"))
    assert [layer.kernel for layer in both.directions().values()] == ["native", "native"]


def test_the_config_of_a_layer_holds_it_where_it_was_chosen():
    assert "kernel" not in LSTM(UNITS).get_config()
    chosen = LSTM(UNITS, kernel="portable")
    assert LSTM.from_config(chosen.get_config()).kernel == "portable"
    stack = RNN([LSTMCell(4)], kernel="native")
    assert RNN.from_config(stack.get_config()).kernel == "native"


def test_without_native_kernels_all_run_portable_and_insisting_says_why(monkeypatch):
    monkeypatch.setattr(frameworks, "why_not", lambda: ("they are not built", "Build them."))
    layer = layer_of("LSTM")
    portable = arrays(layer_of("LSTM", kernel="portable")(X))
    np.testing.assert_array_equal(arrays(layer(X))[0], portable[0])
    with config.using_kernel("native"), pytest.raises(ArgumentError, match="they are not built"):
        layer(X)


@pytest.mark.parametrize("kernel", config.KERNELS)
def test_xla_leaves_a_layer_alone_on_tensorflow_where_its_kernel_is_a_call_out(calls, kernel):
    calls_out = BACKEND == "tensorflow" and kernel != "portable"
    assert LSTM(UNITS, kernel=kernel).supports_jit != calls_out
    assert LSTM(UNITS, activation="gelu").supports_jit
