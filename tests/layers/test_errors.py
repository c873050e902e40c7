"""A table of bad inputs: each error says where, what came, what was expected, what to do."""

import keras
import numpy as np
import pytest

from cases import BATCH, FEATURES, TIME, UNITS, data
from seqstate.errors import ArgumentError, InputError, SeqstateError, StateMismatchError
from seqstate.layers import (
    GRU,
    LSTM,
    RNN,
    Bidirectional,
    GRUCell,
    LSTMCell,
    SimpleRNN,
    StackedRNNCells,
)

X = data(BATCH, TIME, FEATURES)
STATE = np.zeros((BATCH, UNITS), "float32")
WIDE = np.zeros((BATCH, 2 * UNITS), "float32")


class Wrong:
    """A call that must be refused: the error, what it says, what it says to do."""

    def __init__(self, call, error, says, todo, where=None):
        self.call, self.error, self.says, self.todo, self.where = call, error, says, todo, where


def lstm(**made):
    return LSTM(UNITS, name="decoder", **made)


BAD = {
    # The constructor
    "steps as units": Wrong(
        lambda: GRU(4, 200),
        ArgumentError,
        "the second argument is `activation` and got 200",
        r"GRU\(4, return_sequences=True\) and then GRU\(200\)",
        "GRU",
    ),
    "a number as a gate activation": Wrong(
        lambda: LSTM(4, "tanh", 5), ArgumentError, "recurrent_activation=5", "by the name"
    ),
    "units zero": Wrong(lambda: LSTM(0), ArgumentError, "units=0; expected a positive", "LSTM(32)"),
    "units negative": Wrong(lambda: GRU(-3), ArgumentError, "units=-3", "size of the state"),
    "units fraction": Wrong(lambda: GRU(2.5), ArgumentError, "units=2.5", "not the number of time"),
    "units text": Wrong(lambda: SimpleRNN("8"), ArgumentError, "units='8'", "SimpleRNN(32)"),
    "cudnn": Wrong(lambda: LSTM(4, use_cudnn=True), ArgumentError, "use_cudnn=True", "leave"),
    "an unknown name": Wrong(
        lambda: lstm(returns=("output", "cell")),
        ArgumentError,
        "unknown name 'cell'",
        '"states" is each state after each step',
        'LSTM "decoder"',
    ),
    "no name": Wrong(lambda: lstm(returns=()), ArgumentError, "names nothing", 'Pass "all"'),
    "a flag in returns": Wrong(
        lambda: lstm(returns=True), ArgumentError, "returns=True names nothing", "some of"
    ),
    "returns and a flag": Wrong(
        lambda: lstm(returns="all", return_state=True),
        ArgumentError,
        "together with return_state=True",
        'return_state=True is "state"',
    ),
    "returns and both flags": Wrong(
        lambda: lstm(returns="all", return_sequences=True, return_state=True),
        ArgumentError,
        "return_sequences=True and return_state=True",
        "Say all in returns",
    ),
    "a layer as a cell": Wrong(
        lambda: RNN(LSTM(4)), ArgumentError, "got the layer LSTM; expected a cell", "LSTMCell(...)"
    ),
    "a layer in a list of cells": Wrong(
        lambda: RNN([LSTMCell(4), keras.layers.GRU(4)]), ArgumentError, "the layer GRU", "GRUCell"
    ),
    "a function as a cell": Wrong(
        lambda: RNN(lambda x: x), ArgumentError, "has no `call` and no `state_size`", "LSTMCell(32)"
    ),
    "a flag with a letter missing": Wrong(
        lambda: LSTM(4, return_sequence=True),
        ArgumentError,
        "has no argument 'return_sequence'",
        "Did you mean return_sequences?",
        "LSTM",
    ),
    "an argument of the call": Wrong(
        lambda: GRU(4, lengths=[1, 2]), ArgumentError, "'lengths'", "layer(x, lengths=...)", "GRU"
    ),
    "an argument of nothing": Wrong(
        lambda: SimpleRNN(4, zzz=1), ArgumentError, "no argument 'zzz'", "learn_initial_state"
    ),
    "data as units": Wrong(
        lambda: LSTM(X), ArgumentError, "units=an array of shape (3, 5, 4)", "LSTM(32)"
    ),
    "no cells": Wrong(lambda: RNN([]), ArgumentError, "empty list", "at least one"),
    "a cell without sizes": Wrong(
        lambda: StackedRNNCells([keras.layers.Dense(3)]),
        ArgumentError,
        "no `state_size`",
        "call(inputs, states)",
    ),
    # The input
    "2-D input": Wrong(
        lambda: lstm()(X[:, 0]),
        InputError,
        r"shape (3, 4), 2 axes; expected 3: [batch, time, features]",
        "x[..., None], shape (3, 4, 1)",
        'LSTM "decoder"',
    ),
    "2-D symbolic input": Wrong(
        lambda: lstm()(keras.Input((7,))), InputError, "(None, 7), 2 axes", "return_sequences=True"
    ),
    "1-D input": Wrong(lambda: lstm()(X[0, :, 0]), InputError, "1 axis", "x.reshape(1, -1, 1)"),
    "4-D input": Wrong(
        lambda: lstm()(X[None]), InputError, "4 axes", "keras.layers.TimeDistributed"
    ),
    "2-D input in a Sequential": Wrong(
        lambda: keras.Sequential([keras.Input((7,)), lstm()]), InputError, "2 axes", "x[..., None]"
    ),
    "2-D input of both directions": Wrong(
        lambda: Bidirectional(lstm())(X[0]), InputError, "2 axes", "x[None]", "Bidirectional"
    ),
    "no time step": Wrong(
        lambda: lstm()(X[:, :0]), InputError, "time axis is empty", "at least one time step"
    ),
    "no time step, both directions": Wrong(
        lambda: Bidirectional(lstm())(X[:, :0]), InputError, "time axis is empty", "lengths"
    ),
    "a list of numbers": Wrong(
        lambda: lstm()(X.tolist()), InputError, "a Python list", "numpy.asarray"
    ),
    "no array": Wrong(lambda: lstm()("x.csv"), InputError, "got str", "the data itself"),
    "what return_state gave": Wrong(
        lambda: lstm()(LSTM(4, return_sequences=True, return_state=True)(X)),
        InputError,
        "got 3 tensors in a tuple",
        "sequence, *state = layer(x)",
    ),
    "what returns gave": Wrong(
        lambda: lstm()({"sequence": X}), InputError, "a dict with 'sequence'", 'r["sequence"]'
    ),
    "2-D input of a cell": Wrong(
        lambda: RNN([LSTMCell(4)])(X[0]), InputError, "2 axes", "x[..., None]"
    ),
    "4-D input of a cell": Wrong(
        lambda: RNN(keras.layers.GRUCell(4))(X[None]), InputError, "4 axes", "TimeDistributed"
    ),
    "token ids": Wrong(
        lambda: lstm()(np.array([[1, 2], [3, 0]])), InputError, "2 axes", "keras.layers.Embedding"
    ),
    "series of unequal length": Wrong(
        lambda: lstm()([X[0], X[1, :2]]), InputError, "2 tensors in a list", "pad_sequences"
    ),
    "text": Wrong(lambda: lstm()(X.astype(str)), InputError, "dtype str", "numpy.asarray"),
    "objects": Wrong(lambda: lstm()(X.astype(object)), InputError, "dtype object", "float32"),
    "complex numbers": Wrong(
        lambda: lstm()(X.astype("complex64")), InputError, "dtype complex64", "float32"
    ),
    "an unknown number of features": Wrong(
        lambda: lstm()(keras.Input((5, None))), InputError, "features is not known", "features not"
    ),
    "another width of Keras's cell": Wrong(
        lambda: _called_twice(RNN(keras.layers.LSTMCell(3))), InputError, "built for 4", "new layer"
    ),
    "another width": Wrong(
        lambda: _called_twice(lstm()),
        InputError,
        "5 features; the layer was built for 4",
        "Any number of time steps is fine",
    ),
    "another width of a stack": Wrong(
        lambda: _called_twice(RNN([LSTMCell(3), GRUCell(2)])),
        InputError,
        "built for 4",
        "new layer",
    ),
    "unroll without a length": Wrong(
        lambda: lstm(unroll=True)(keras.Input((None, 4))),
        ArgumentError,
        "static number of time steps",
        "leave unroll out",
    ),
    # Masks and lengths
    "mask of another length": Wrong(
        lambda: lstm()(X, mask=np.ones((BATCH, 9), bool)),
        InputError,
        "mask has shape (3, 9); expected (3, 5)",
        "one True or False for each time step",
    ),
    "mask of one axis": Wrong(
        lambda: lstm()(X, mask=np.ones(TIME, bool)), InputError, "mask has shape (5,)", "each row"
    ),
    "reset_mask of another length": Wrong(
        lambda: lstm()(X, reset_mask=np.ones((BATCH, 9), bool)),
        InputError,
        "reset_mask has shape (3, 9)",
        "each time step",
    ),
    "lengths too long": Wrong(
        lambda: lstm()(X, lengths=[6, 1, 1]), InputError, "from 1 to 6; expected 0 to 5", "padding"
    ),
    "lengths as a tensor, too long": Wrong(
        lambda: lstm()(X, lengths=keras.ops.convert_to_tensor([9, 1, 1])),
        InputError,
        "from 1 to 9; expected 0 to 5",
        "padding",
    ),
    "lengths negative": Wrong(
        lambda: lstm()(X, lengths=np.array([-1, 1, 1])), InputError, "from -1 to 1", "real"
    ),
    "lengths of another batch": Wrong(
        lambda: lstm()(X, lengths=[1, 2]), InputError, "shape (2,); expected (3,)", "for each row"
    ),
    "lengths as fractions": Wrong(
        lambda: lstm()(X, lengths=np.ones(3)), InputError, "float64; expected whole", "int32"
    ),
    # The initial state
    "state of the wrong name": Wrong(
        lambda: lstm()(X, initial_state={"cell": STATE}),
        StateMismatchError,
        "unknown name 'cell'; expected 'h', 'c'",
        '{"h": ..., "c": ...}',
        'LSTM "decoder"',
    ),
    "state of the wrong size": Wrong(
        lambda: lstm()(X, initial_state={"c": WIDE}),
        StateMismatchError,
        'initial_state["c"] has shape (3, 6); expected (3, 3), [batch, units]',
        "units=3, or put a Dense(3) between the two layers",
        'LSTM "decoder"',
    ),
    "symbolic state of the wrong size": Wrong(
        lambda: lstm()(keras.Input((5, 4)), initial_state=[keras.Input((8,)), keras.Input((3,))]),
        StateMismatchError,
        'initial_state["h"] has shape (None, 8); expected (None, 3)',
        "Dense(3)",
    ),
    "state of another batch": Wrong(
        lambda: lstm()(X, initial_state=[STATE[:2], STATE]),
        StateMismatchError,
        'initial_state["h"] has 2 rows; expected 3',
        "one row for each row of the batch",
    ),
    "state of whole numbers": Wrong(
        lambda: lstm()(X, initial_state={"h": STATE.astype("int32")}),
        StateMismatchError,
        "dtype int32; expected floating point",
        'numpy.asarray(initial_state["h"], dtype="float32")',
    ),
    "state of truth values": Wrong(
        lambda: lstm()(X, initial_state={"h": STATE > 0}),
        StateMismatchError,
        "dtype bool",
        "asarray",
    ),
    "state of text": Wrong(
        lambda: lstm()(X, initial_state={"h": "zeros"}), StateMismatchError, "dtype str", "Convert"
    ),
    "one state for two": Wrong(
        lambda: lstm()(X, initial_state=STATE),
        StateMismatchError,
        "is one ndarray; expected 2, in this order: h, c",
        'initial_state={"h": ..., "c": ...}',
    ),
    "two states for one": Wrong(
        lambda: GRU(UNITS)(X, initial_state=[STATE, STATE]),
        StateMismatchError,
        "has 2 values; expected 1, in this order: h",
        'initial_state={"h": ...}',
    ),
    "half a list for both directions": Wrong(
        lambda: Bidirectional(lstm())(X, initial_state=[STATE, STATE]),
        StateMismatchError,
        "expected 4, in this order: forward/h, forward/c, backward/h, backward/c",
        '{"forward": {"h": ..., "c": ...}',
    ),
    "a direction that is none": Wrong(
        lambda: Bidirectional(lstm())(X, initial_state={"left": [STATE, STATE]}),
        StateMismatchError,
        "unknown name 'left'; expected 'forward', 'backward'",
        "names that the layer carries",
    ),
    "a wrong size in one direction": Wrong(
        lambda: Bidirectional(lstm())(X, initial_state={"backward": {"h": WIDE}}),
        StateMismatchError,
        'initial_state["backward"]["h"] has shape (3, 6)',
        "Dense(3)",
    ),
    "a wrong name in a cell of a stack": Wrong(
        lambda: RNN([LSTMCell(3)])(X, initial_state={"cell_0": {"x": STATE}}),
        StateMismatchError,
        'initial_state["cell_0"] has the unknown name',
        'for example {"h": ..., "c": ...}',
    ),
    # Carrying
    "stateful without a batch size": Wrong(
        lambda: lstm(stateful=True)(keras.Input((5, 4))),
        ArgumentError,
        "stateful=True needs a static batch size; the input has shape (None, 5, 4)",
        "keras.Input(batch_shape=(32, 5, 4))",
        'LSTM "decoder"',
    ),
    "stateful with another batch": Wrong(
        lambda: _called_twice(lstm(stateful=True), X[:2]),
        InputError,
        "the input has 2 rows; the layer carries the state of 3",
        "batch_size=3",
    ),
    # Bidirectional
    "no layer": Wrong(lambda: Bidirectional(LSTMCell), ArgumentError, "a recurrent", "LSTM(32)"),
    "a layer that can't be wrapped": Wrong(
        lambda: Bidirectional(keras.layers.Dense(3)), ArgumentError, "is a Dense", "LSTM(32)"
    ),
    "a cell to be wrapped": Wrong(
        lambda: Bidirectional(LSTMCell(3)), ArgumentError, "is a LSTMCell", "RNN(cell)"
    ),
    "results as a state": Wrong(
        lambda: lstm()(X, initial_state={"output": STATE, "state": {}}),
        StateMismatchError,
        "unknown names 'output', 'state'",
        'results["state"]',
    ),
    "an unknown merge": Wrong(
        lambda: Bidirectional(lstm(), merge_mode="max"), ArgumentError, "'max'", "unmerged"
    ),
    "returns in the wrong place": Wrong(
        lambda: Bidirectional(lstm(), returns="all"),
        ArgumentError,
        "an argument of the wrapped layer",
        "Bidirectional(LSTM(32, returns='all'))",
    ),
    "two forward layers": Wrong(
        lambda: Bidirectional(lstm(), backward_layer=LSTM(3)),
        ArgumentError,
        "both layers have go_backwards=False",
        "go_backwards=True",
    ),
    "two layers that return different things": Wrong(
        lambda: Bidirectional(
            lstm(returns="all"), backward_layer=LSTM(3, go_backwards=True, returns="state")
        ),
        ArgumentError,
        "returns=",
        "the same returns",
    ),
}


def _called_twice(layer, second=None):
    layer(X)
    layer(data(BATCH, TIME, FEATURES + 1) if second is None else second)


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_with_the_repair(name):
    wrong = BAD[name]
    with pytest.raises(wrong.error) as caught:
        wrong.call()
    text = str(caught.value)
    assert isinstance(caught.value, SeqstateError)
    assert isinstance(caught.value, ValueError)
    first, second = text.split("\n  ", 1)
    todo = wrong.todo.replace("\\", "")
    assert wrong.says in first
    assert todo in second
    assert (wrong.where or "") in first


def test_a_dense_layer_that_is_fed_with_several_results_is_told_which_is_which():
    x = keras.Input((TIME, FEATURES))
    with pytest.raises(ValueError, match="expects 1 input") as caught:
        keras.layers.Dense(1)(LSTM(4, return_state=True, name="encoder")(x))
    for part in ("encoder/output", "encoder/h", "encoder/c", "output, h, c = encoder(x)"):
        assert part in str(caught.value)
    with pytest.raises(ValueError, match=r"write sequence, h = gru\(x\) and pass one"):
        keras.Sequential(
            [x, GRU(4, return_sequences=True, return_state=True, name="gru"), keras.layers.Dense(1)]
        )
    with pytest.raises(ValueError, match=r"both/backward/c, shape=\(None, 4\): one of several"):
        keras.layers.Dense(1)(Bidirectional(LSTM(4, return_state=True), name="both")(x))
    with pytest.raises(ValueError, match=r'r = named\(x\), then r\["states"\]\["c"\]'):
        keras.layers.Dense(1)(LSTM(4, returns="all", name="named")(x))


def test_a_last_batch_that_is_smaller_is_refused_and_not_spread_over_the_rows():
    """One row and a state of three would broadcast, with numbers that nobody meant."""
    x = keras.Input(batch_shape=(3, TIME, FEATURES))
    model = keras.Model(x, lstm(stateful=True)(x))
    error = InputError
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        error = tf.errors.InvalidArgumentError
    with pytest.raises(error) as caught:
        model.predict(data(7, TIME, FEATURES), batch_size=3, verbose=0)
    for part in ("decoder", "carries the state of 3", "a number of samples that 3 divides"):
        assert part in str(caught.value)


def test_an_error_in_a_model_keeps_its_class():
    x = keras.Input((None, FEATURES))
    model = keras.Model(x, lstm()(x))
    with pytest.raises(InputError, match="time axis is empty"):
        model(X[:, :0])
