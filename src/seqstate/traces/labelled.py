"""A trace as a tree of xarray, whose axes have names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from seqstate import state as states
from seqstate.errors import MissingPackageError, message
from seqstate.traces.layer import LayerTrace
from seqstate.traces.trace import Trace

if TYPE_CHECKING:
    import xarray


def to_data_tree(trace: Trace) -> xarray.DataTree:
    """Give a trace as a tree; see `Trace.to_xarray`."""
    try:
        import xarray
    except ImportError as error:
        raise MissingPackageError(
            message("to_xarray", "xarray is not installed.", 'Run: pip install "seqstate[xarray]"')
        ) from error
    nodes: dict[str, Any] = {}
    for layer in trace.values():
        for place, variables in _by_node(layer).items():
            nodes[place] = xarray.Dataset(variables)
    tree = xarray.DataTree.from_dict(nodes, name=trace.model)
    for layer in trace.values():
        tree[layer.name].attrs["kind"] = layer.kind
    return tree


def _by_node(layer: LayerTrace) -> dict[str, dict[str, Any]]:
    """Give the variables of each node below a layer's own."""
    sizes = {leaf.shape[-1] for _, leaf in states.leaves(layer.found)}
    found: dict[str, dict[str, Any]] = {layer.name: {}}
    for path, leaf in states.leaves(layer.found):
        *folders, name = path.split("/")
        # A merged sequence has other units than the states: xarray wants another name for them.
        unit = "output" if folders == [] and len(sizes) > 1 else "unit"
        place = "/".join((layer.name, *folders))
        axes = _axes(layer, leaf, with_time=not path.startswith("state/"))
        if axes[-1] == "unit":
            axes[-1] = unit
        found.setdefault(place, {})[name] = (axes, leaf)
    if layer.mask is not None:
        found[layer.name]["mask"] = (_axes(layer, layer.mask, with_time=True), layer.mask)
    return found


def _axes(layer: LayerTrace, array: np.ndarray, with_time: bool) -> list[str]:
    """Name the axes of an array."""
    axes = ["sample", *(["part"] if layer.parts else []), *(["time"] if with_time else [])]
    own = array.ndim - len(axes)
    # A cell of your own may have states of several axes, each of its own sizes.
    return [*axes, *(["unit"] if own == 1 else [f"size_{n}" for n in array.shape[len(axes) :]])]
