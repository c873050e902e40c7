"""Recurrent layers for Keras 3: `SimpleRNN`, `GRU`, `LSTM`, their cells and their wrappers."""

from seqstate.layers.bidirectional import Bidirectional
from seqstate.layers.gru import GRU, GRUCell
from seqstate.layers.lstm import LSTM, LSTMCell
from seqstate.layers.recurrent import RNN
from seqstate.layers.simple_rnn import SimpleRNN, SimpleRNNCell
from seqstate.layers.stacked_cells import StackedRNNCells

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Bidirectional",
    "GRUCell",
    "LSTMCell",
    "SimpleRNN",
    "SimpleRNNCell",
    "StackedRNNCells",
]
