"""The recurrent layers of a Keras model, by name: Keras's own and ours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras

from seqstate.errors import ArgumentError, message
from seqstate.layers import RNN, Bidirectional
from seqstate.layers.adopted import adopted
from seqstate.layers.bidirectional import DIRECTIONS
from seqstate.layers.steps import Steps, steps_of
from seqstate.state import Spec

# Their states are images; there are no units.
CONVOLUTIONS = (keras.layers.ConvLSTM1D, keras.layers.ConvLSTM2D, keras.layers.ConvLSTM3D)


def recurrent_layers(model: Any, where: str) -> dict[str, Any]:
    """Give the recurrent layers of a model by name, those of nested models as `encoder/lstm`.

    A layer that is reached twice comes once. Another layer of a name that is taken, which a
    subclassed model can have, is `lstm#2`.

    Args:
        model: a Keras model, or a layer.
        where: who asks, for messages.

    Raises:
        ArgumentError: not a model, or one without a recurrent layer.
    """
    if not isinstance(model, keras.layers.Layer):
        raise ArgumentError(
            message(
                where,
                f"got a {type(model).__name__}; expected a Keras model.",
                'Load a saved one first: keras.saving.load_model("model.keras").',
            )
        )
    found: dict[str, Any] = {}
    for name, layer in _walk(model):
        unique, count = name, 1
        while unique in found:
            count += 1
            unique = f"{name}#{count}"
        found[unique] = layer
    if not found:
        names = [layer.name for layer in _inside(model)]
        raise ArgumentError(
            message(
                where,
                f'the model "{model.name}" has no recurrent layer; its layers: '
                f"{', '.join(names) or 'none that can be reached'}.",
                "Pass a model with a SimpleRNN, GRU, LSTM, RNN or Bidirectional layer. Layers of "
                "a subclassed model are found where they are its attributes.",
            )
        )
    return found


def is_recurrent(layer: Any) -> bool:
    """Tell whether a layer is recurrent and carries named states: `Bidirectional` included."""
    return is_bidirectional(layer) or (
        isinstance(layer, RNN | keras.layers.RNN) and not isinstance(layer, CONVOLUTIONS)
    )


def is_bidirectional(layer: Any) -> bool:
    """Tell whether a layer is a `Bidirectional`, Keras's or ours."""
    return isinstance(layer, Bidirectional | keras.layers.Bidirectional)


def time_distributed(model: Any) -> list[Any]:
    """Give the layers of a model that run another one for each part of their input."""
    return [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.TimeDistributed)
    ]


def directions_of(layer: Any) -> dict[str, Any]:
    """Give the two layers of a `Bidirectional` by direction."""
    return dict(zip(DIRECTIONS, (layer.forward_layer, layer.backward_layer), strict=True))


def steps_of_layer(layer: Any) -> Steps:
    """Give the cell of a built recurrent layer, Keras's or ours, as a kernel runs it."""
    return layer.steps if isinstance(layer, RNN) else steps_of(adopted(layer.cell))


def spec_of(layer: Any) -> Spec:
    """Give the states of one row by name; of a `Bidirectional` by direction and name."""
    if is_bidirectional(layer):
        return {direction: spec_of(one) for direction, one in directions_of(layer).items()}
    return layer.steps.spec if isinstance(layer, RNN) else steps_of(layer.cell).spec


def _inside(layer: Any) -> list[Any]:
    # The public `layers` is for models only; a layer may hold others too.
    inner: list[Any] = layer._flatten_layers(include_self=False, recursive=False)
    return inner


def _walk(model: Any) -> Iterator[tuple[str, Any]]:
    """Yield each recurrent layer once, with its name below the model."""
    if is_recurrent(model):
        yield model.name, model
        return
    # The two layers of a `Bidirectional` are seen with it, wherever else they stand.
    seen = {
        id(direction)
        for layer in model._flatten_layers()
        if is_bidirectional(layer)
        for direction in directions_of(layer).values()
    }
    todo = [(layer.name, layer) for layer in _inside(model)]
    while todo:
        name, layer = todo.pop(0)
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        if is_recurrent(layer):
            yield name, layer
        else:
            todo[:0] = [(f"{name}/{inner.name}", inner) for inner in _inside(layer)]
