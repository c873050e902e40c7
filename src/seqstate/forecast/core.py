"""The recurrent layers of a forecaster, made anew for each `fit`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from seqstate import layers as ours
from seqstate.arguments import whole_number
from seqstate.errors import ArgumentError, message
from seqstate.layers import RNN

NAMED: dict[str, Callable[[int], RNN]] = {
    "lstm": ours.LSTM,
    "gru": ours.GRU,
    "simple_rnn": ours.SimpleRNN,
}
_RETURNS = ("output", "sequence", "state")


def make_layers(layer: Any, units: Any, where: str) -> list[RNN]:
    """Make the layers, the first reads the input, each other one the sequence below it.

    Args:
        layer: a name of `NAMED`, or a function that takes the units and gives a layer of
            seqstate; called once for each layer.
        units: a number, or one for each layer.
        where: who asks, for messages.

    Raises:
        ArgumentError: another name, or a layer that can't forecast.
    """
    sizes = list(units) if isinstance(units, list | tuple) else [units]
    if not sizes:
        raise ArgumentError(message(where, "units is empty.", "Pass for example units=32."))
    make = NAMED.get(layer) if isinstance(layer, str) else layer
    if not callable(make) or isinstance(make, RNN):
        raise ArgumentError(
            message(
                where,
                f"layer={layer!r}; expected one of {', '.join(map(repr, NAMED))}, or a function "
                "from units to a layer of seqstate.",
                "Write for example layer=lambda units: seqstate.layers.LSTM(units, dropout=0.1).",
            )
        )
    return [
        _checked(make(whole_number(size, where, "units")), number, where)
        for number, size in enumerate(sizes)
    ]


def _checked(layer: Any, number: int, where: str) -> RNN:
    if not isinstance(layer, RNN):
        raise ArgumentError(
            message(
                where,
                f"layer gave a {type(layer).__name__}; expected a recurrent layer of seqstate in "
                "one direction.",
                "Use LSTM, GRU, SimpleRNN or RNN(cell) of seqstate.layers. A Bidirectional "
                "reads the future, which a forecast does not have.",
            )
        )
    if layer.go_backwards or layer.stateful:
        flag = "go_backwards" if layer.go_backwards else "stateful"
        raise ArgumentError(
            message(
                where,
                f"layer gave one with {flag}=True.",
                "Leave it out: the forecaster reads forward in time and keeps the state itself.",
            )
        )
    config = layer.get_config()
    config.update(
        name=f"core_{number}",
        returns=_RETURNS,
        return_sequences=False,
        return_state=False,
    )
    return type(layer).from_config(config)
