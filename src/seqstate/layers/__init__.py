"""Recurrent layers for Keras 3: `SimpleRNN`, `GRU`, `LSTM`, `RWA`, their cells and wrappers."""

from seqstate.layers.bidirectional import Bidirectional
from seqstate.layers.coupled_cells import CoupledCells
from seqstate.layers.feedback_cell import FeedbackCell
from seqstate.layers.gru import GRU, GRUCell
from seqstate.layers.lstm import LSTM, LSTMCell
from seqstate.layers.recurrent import RNN
from seqstate.layers.rwa import RWA, RWACell
from seqstate.layers.simple_rnn import SimpleRNN, SimpleRNNCell
from seqstate.layers.stacked_cells import StackedRNNCells

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "RWA",
    "Bidirectional",
    "CoupledCells",
    "FeedbackCell",
    "GRUCell",
    "LSTMCell",
    "RWACell",
    "SimpleRNN",
    "SimpleRNNCell",
    "StackedRNNCells",
]
