"""The facts about any layer of Keras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras

from seqstate.models.explain.facts import LayerFacts, Shape, Value, flat_shapes, shape_in, source_of
from seqstate.models.explain.recurrent_facts import holds_recurrent, knows_states, recurrent_facts
from seqstate.models.recurrent_layers import CONVOLUTIONS


def facts_of(layer: Any, name: str | None = None, nodes: Sequence[Any] | None = None) -> LayerFacts:
    """Give the facts about a layer.

    Args:
        layer: any Keras layer.
        name: what it is called; by default its own name.
        nodes: the calls that count, for a layer of a functional model; by default the first.
    """
    calls = [node for node in layer._inbound_nodes if nodes is None or node in nodes]
    call = calls[0] if calls else None
    name = layer.name if name is None else name
    if knows_states(layer):
        return recurrent_facts(layer, name, call)
    return _plain(layer, name, call)


def _plain(layer: Any, name: str, call: Any) -> LayerFacts:
    if call is not None:
        goes_in = [tuple(one.shape) for one in call.input_tensors]
        comes_out = [tuple(one.shape) for one in call.output_tensors]
    else:
        shape = shape_in(layer, None)
        goes_in = [] if shape is None else [shape]
        comes_out = [] if shape is None else _shapes_out(layer, shape)
    carried: dict[str, tuple[int, ...]] = {}
    if isinstance(layer, CONVOLUTIONS) and comes_out:
        after = 2 if layer.return_sequences else 1
        carried = dict.fromkeys(("h", "c"), tuple(comes_out[0][after:]))
    units = getattr(layer, "units", None)
    last = "units" if isinstance(units, int) else "features"
    return LayerFacts(
        name,
        type(layer).__name__,
        _numbered([_unnamed(layer, shape, "features") for shape in goes_in]),
        _numbered([_unnamed(layer, shape, last) for shape in comes_out]),
        carried=carried,
        source=source_of(call, name),
        weights=f"{layer.count_params():,}" if layer.built else "",
    )


def _numbered(values: list[Value]) -> tuple[Value, ...]:
    if len(values) < 2:
        return tuple(values)
    return tuple(replace(value, place=str(i)) for i, value in enumerate(values, 1))


# These move axes about: what an axis means is not known after them.
_MOVES_AXES = (keras.layers.Permute, keras.layers.Reshape, keras.layers.Lambda)


def _unnamed(layer: Any, shape: Shape, last: str) -> Value:
    """Name the axes of an array by its rank, as layers for sequences take them."""
    axes = ("batch", *("" for _ in shape[1:]))
    if isinstance(layer, keras.layers.TimeDistributed):
        # The layer inside runs for each of these, also where it is recurrent itself.
        over_time = holds_recurrent(layer)
        axes = ("batch", "part" if over_time else "time", *axes[2:])
        if len(shape) == 3:
            axes = (*axes[:2], last)
        elif len(shape) == 4 and over_time:
            axes = (*axes[:2], "time", last)
    elif isinstance(layer, _MOVES_AXES):
        pass
    elif len(shape) == 3:
        axes = ("batch", "time", last)
    elif len(shape) == 2:
        axes = ("batch", last)
    if isinstance(layer, keras.layers.Embedding) and len(shape) == 2:
        axes = ("batch", "time")
    return Value("", axes, shape)


def _shapes_out(layer: Any, shape: Shape) -> list[Shape]:
    try:
        found = layer.compute_output_shape(shape)
    except Exception:
        # A layer that somebody wrote may not know: then nothing is said of it.
        return []
    if isinstance(found, Mapping):
        return [one for inner in found.values() for one in flat_shapes(inner)]
    return flat_shapes(found)
