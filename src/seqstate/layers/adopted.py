"""A cell of Keras as ours: the same weights, with names for its states and its gates."""

from __future__ import annotations

from typing import Any

import keras

from seqstate.layers.gru import GRUCell
from seqstate.layers.lstm import LSTMCell
from seqstate.layers.simple_rnn import SimpleRNNCell
from seqstate.layers.stacked_cells import StackedRNNCells

_OURS = {
    keras.layers.LSTMCell: LSTMCell,
    keras.layers.GRUCell: GRUCell,
    keras.layers.SimpleRNNCell: SimpleRNNCell,
}

# What a class on top of one of them must have left as it is.
_METHODS = ("call", "get_initial_state")


def adopted(cell: Any) -> Any:
    """Give a cell of ours that computes with the weights of a built cell of Keras.

    The variables are shared, not copied. A stack becomes a stack of such cells; any other cell,
    such as one that somebody wrote, comes back as it is.
    """
    if isinstance(cell, keras.layers.StackedRNNCells):
        return StackedRNNCells([adopted(one) for one in cell.cells], name=cell.name)
    for theirs, ours in _OURS.items():
        if isinstance(cell, theirs) and all(
            getattr(type(cell), method) is getattr(theirs, method) for method in _METHODS
        ):
            return _with_weights_of(cell, ours)
    return cell


def _with_weights_of(cell: Any, ours: Any) -> Any:
    names = ("units", "activation", "recurrent_activation", "use_bias", "reset_after")
    made = ours(
        **{name: getattr(cell, name) for name in names if hasattr(cell, name)},
        # Anything random here would move the user's random numbers on.
        kernel_initializer="zeros",
        recurrent_initializer="zeros",
        seed=0,
        dtype=cell.dtype_policy,
        name=cell.name,
    )
    made.kernel, made.recurrent_kernel, made.bias = cell.kernel, cell.recurrent_kernel, cell.bias
    made.built = True
    return made
