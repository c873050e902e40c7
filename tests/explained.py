"""What `seqstate.explain` says of a thing, for the tests."""

import io

import keras

from seqstate.layers import RNN, GRUCell, LSTMCell
from seqstate.models.explain import Explanation
from seqstate.models.explain import explain as printed

K = keras.layers


def explain(thing) -> Explanation:
    return printed(thing, file=io.StringIO())


def lines(thing) -> list[str]:
    return str(explain(thing)).splitlines()


def body(thing) -> list[str]:
    """Give the lines between the title and the words below it."""
    _, block, *_ = str(explain(thing)).split("\n\n")
    return block.splitlines()


def forecaster():
    return keras.Sequential(
        [
            keras.Input((24, 3)),
            K.LSTM(8, return_sequences=True, name="lstm"),
            K.Dropout(0.1, name="dropout"),
            K.Bidirectional(K.GRU(4), name="both"),
            K.Dense(1, name="dense"),
        ],
        name="forecaster",
    )


def nested():
    stack = RNN([LSTMCell(3), GRUCell(4)], name="stack")
    inner = keras.Sequential([keras.Input((5, 2)), stack, K.Dense(2, name="dense")], name="inner")
    x = keras.Input((6, 5, 2))
    parts = K.TimeDistributed(inner, name="all")(x)
    return keras.Model(x, K.LSTM(8, name="above")(parts), name="nested")
