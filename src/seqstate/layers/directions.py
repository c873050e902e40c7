"""The two layers of `Bidirectional`: how they are made, held together and merged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
from keras import ops

from seqstate.errors import ArgumentError, message
from seqstate.layers.recurrent import RNN

MERGES: dict[str | None, Callable[[Any, Any], Any]] = {
    "concat": lambda a, b: ops.concatenate([a, b], axis=-1),
    "sum": lambda a, b: a + b,
    "ave": lambda a, b: (a + b) / 2,
    "mul": lambda a, b: a * b,
    None: lambda a, b: (a, b),
}


def copied(layer: Any, direction: str, **changes: Any) -> Any:
    """Make a layer of the same config, with a name that says its direction."""
    config = keras.saving.serialize_keras_object(layer)
    name = layer.name.removeprefix(f"{direction}_")
    config["config"].update(changes, name=f"{direction}_{name}")
    return keras.saving.deserialize_keras_object(config)


def check_arguments(
    layer: Any, merge_mode: Any, backward_layer: Any, kwargs: Mapping[str, Any]
) -> None:
    """Refuse what can't be wrapped, an unknown merge, and arguments of the wrapped layer.

    Raises:
        ArgumentError: one of these.
    """
    for name, value in (("layer", layer), ("backward_layer", backward_layer)):
        if not isinstance(value, keras.layers.Layer) and not (
            value is None and name == "backward_layer"
        ):
            raise ArgumentError(
                message(
                    "Bidirectional",
                    f"{name}={value!r}; expected a recurrent layer.",
                    "Pass a layer, for example Bidirectional(LSTM(32)).",
                )
            )
        needed = ("go_backwards", "return_sequences", "return_state", "stateful")
        if value is not None and not all(hasattr(value, attribute) for attribute in needed):
            raise ArgumentError(
                message(
                    "Bidirectional",
                    f"{name} is a {type(value).__name__}; expected a recurrent layer, which has "
                    f"{', '.join(needed)}.",
                    "Pass a layer such as LSTM(32); to use a cell, RNN(cell).",
                )
            )
    if merge_mode not in MERGES:
        raise ArgumentError(
            message(
                "Bidirectional",
                f"merge_mode={merge_mode!r}; expected one of {', '.join(map(repr, MERGES))}.",
                "Use None to get the two outputs unmerged.",
            )
        )
    moved = [n for n in ("returns", "return_sequences", "return_state", "kernel") if n in kwargs]
    if moved:
        raise ArgumentError(
            message(
                "Bidirectional",
                f"{moved[0]} is an argument of the wrapped layer.",
                f"Write Bidirectional(LSTM(32, {moved[0]}={kwargs[moved[0]]!r})).",
            )
        )


def can_pair(layer: Any) -> bool:
    """Tell whether the run of a layer may be one call with that of another layer.

    Not that of a class with a call of its own, which need not know of pairs, nor that of a layer
    whose activations Keras computes anew for the gradient: its call is made twice.
    """
    own = type(layer)
    return (
        isinstance(layer, RNN)
        and own.call is RNN.call
        and own.__call__ is RNN.__call__
        and getattr(layer, "_remat_mode", None) is None
    )


def check_pair(forward: Any, backward: Any, where: str) -> None:
    """Refuse two layers that run the same way round or return different things.

    Raises:
        ArgumentError: one of these.
    """
    if forward.go_backwards == backward.go_backwards:
        raise ArgumentError(
            message(
                where,
                f"both layers have go_backwards={forward.go_backwards}; expected one of each.",
                "Make the backward layer with go_backwards=True.",
            )
        )
    for name in ("stateful", "return_sequences", "return_state", "returned"):
        values = getattr(forward, name, None), getattr(backward, name, None)
        if values[0] != values[1]:
            shown = "returns" if name == "returned" else name
            raise ArgumentError(
                message(
                    where,
                    f"the forward layer has {shown}={values[0]}, the backward layer "
                    f"{shown}={values[1]}; expected the same.",
                    f"Give both layers the same {shown}.",
                )
            )
