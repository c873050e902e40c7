"""Which axis of an input is the time of a stream."""

from __future__ import annotations

from typing import Any

import numpy as np

from seqstate.runtime.inputs import Input
from seqstate.runtime.layers.embedding import EmbeddingLayer
from seqstate.runtime.layers.graph import Functional, InputLayer, Sequential
from seqstate.runtime.layers.graph import Model as Graph
from seqstate.runtime.plan.arguments import Ref
from seqstate.runtime.plan.value import flat


def input_of(graph: Graph, layer: InputLayer) -> Input:
    """Settle whether axis 1 of an input is time."""
    shape = layer.shape
    tokens = len(shape) == 2 and reads_tokens(graph, layer.name)
    time = len(shape) >= 3 or (len(shape) == 2 and (shape[1] is None or (tokens and shape[1] != 1)))
    dtype = np.dtype("float32")
    written = layer.dtype if isinstance(layer.dtype, str) else "float32"
    if written.startswith(("int", "uint", "bool")):
        dtype = np.dtype(written)
    named = graph.input_names if isinstance(graph.input_names, dict) else {}
    keys = [key for key, name in named.items() if name == layer.name]
    return Input(layer.name, shape, dtype, time, keys[0] if keys else layer.name)


def reads_tokens(graph: Graph, name: str) -> bool:
    """Tell whether an input goes into an embedding."""
    if isinstance(graph, Sequential):
        first = graph.layers[0] if graph.layers else None
        if isinstance(first, Graph):
            return reads_tokens(first, first.inputs[0].name)
        return isinstance(first, EmbeddingLayer)
    assert isinstance(graph, Functional)
    for reader, calls in graph.calls.items():
        layer = graph.layers[reader]
        for args, _ in calls:
            places = [ref.place[0] for ref in _refs(args)]
            if name not in places:
                continue
            if isinstance(layer, EmbeddingLayer):
                return True
            if isinstance(layer, Graph) and reads_tokens(
                layer, layer.inputs[min(places.index(name), len(layer.inputs) - 1)].name
            ):
                return True
    return False


def _refs(args: Any) -> list[Any]:
    return [one for one in flat(args) if isinstance(one, Ref)]
