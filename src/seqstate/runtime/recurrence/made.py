"""Cells made of what a file says of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from seqstate.cells import GRU, KINDS, LSTM, RWA, SIMPLE_RNN
from seqstate.kernels import native
from seqstate.kernels.call import ACTIVATIONS
from seqstate.runtime.activations import activation_of
from seqstate.runtime.archive.config import Config, snake_case
from seqstate.runtime.archive.weights import Weights
from seqstate.runtime.layers.layer import checked_weight
from seqstate.runtime.layers.making import Making
from seqstate.runtime.recurrence.cell import Cell
from seqstate.runtime.recurrence.composed import MERGES, CoupledCells, FeedbackCell, StackedCells
from seqstate.runtime.recurrence.native import NativeCell, PlainCell
from seqstate.runtime.recurrence.rwa import RWACell

WEIGHTS = ("kernel", "recurrent_kernel", "bias")


def cell_of(config: Config, weights: Weights, making: Making) -> Cell | None:
    """Make a cell; None for one that is not known, which is noted.

    Args:
        config: of the cell, or of a layer that is named after it.
        weights: of the cell.
        making: notes what can't be made.
    """
    kind = config.kind.removeprefix("seqstate>")
    maker = _MAKERS.get(kind)
    if maker is None:
        making.refuse(
            config,
            f"the cell {config.kind} is not known",
            "Replace it by layers that are: see docs/concepts/runtime.md",
        )
        return None
    return maker(config, weights, making)


def kinds_of(config: Config, weights: Weights, making: Making) -> Cell | None:
    """Make a SimpleRNN, GRU, LSTM or RWA cell of the config of it or of its layer."""
    kind = {**KINDS, RWA.name: RWA}[config.class_name.removesuffix("Cell")]
    units = config.whole("units")
    columns = kind.blocks * units
    arrays = weights.arrays(*WEIGHTS, *(["start"] if kind is RWA else []))
    if kind is RWA and not config.flag("use_bias", True):
        arrays = [*arrays[:2], None, arrays[2]]
    found = {
        "kernel": checked_weight(config, arrays, 0, "kernel", (None, columns)),
        "recurrent_kernel": checked_weight(
            config, arrays, 1, "recurrent_kernel", (units, 2 * units if kind is RWA else columns)
        ),
    }
    name = making.activation_name(config, "activation", "tanh")
    if kind is RWA:
        found["start"] = checked_weight(config, arrays, 3, "start", (units,))
        if config.flag("use_bias", True):
            found["bias"] = checked_weight(config, arrays, 2, "bias", (2 * units,))
        return RWACell(found, activation_of(name))
    gate = "sigmoid"
    if kind is not SIMPLE_RNN:
        gate = making.activation_name(config, "recurrent_activation", "sigmoid")
    after = config.flag("reset_after", True) if kind is GRU else True
    if config.flag("use_bias", True):
        both = kind is GRU and after
        bias = checked_weight(config, arrays, 2, "bias", (2, columns) if both else (columns,))
        found["bias"] = bias[0] if both else bias
        if both:
            found["recurrent_bias"] = bias[1]
    if name in ACTIVATIONS and gate in ACTIVATIONS and native.usable():
        blocks = {key: np.ascontiguousarray(value) for key, value in found.items()}
        return NativeCell(kind.name, blocks, name, gate, after)
    return PlainCell(kind, found, activation_of(name), activation_of(gate), after)


def _stacked(config: Config, weights: Weights, making: Making) -> Cell | None:
    configs = [(one.name, one) for one in config.each("cells")]
    if not configs:
        raise config.wrong("it has no cells.")
    cells = _cells(configs, weights, making)
    return StackedCells(cells) if cells else None


def _coupled(config: Config, weights: Weights, making: Making) -> Cell | None:
    pairs = config.get("cells")
    right = isinstance(pairs, list) and all(
        isinstance(one, list) and len(one) == 2 and isinstance(one[0], str) for one in pairs
    )
    if not right or not pairs:
        raise config.wrong("its cells are not pairs of a name and a cell.")
    if config.has("mix"):
        making.refuse(
            config,
            "its `mix` is code of its own, which a file can't bring",
            "Leave `mix` out, or run the model with Keras",
        )
        return None
    configs = [(name, Config(one, config.where)) for name, one in pairs]
    cells = _cells(configs, weights, making)
    names = [name for name, _ in pairs]
    merge = config.text("merge_mode", "concat", (*MERGES, *names))
    features = config.numbers("features") if config.has("features") else None
    if features is not None and len(features) != len(names):
        raise config.wrong(f"features are {features}; expected one for each cell.")
    return CoupledCells(dict(zip(names, cells, strict=True)), features, merge) if cells else None


def _cells(configs: list[tuple[str, Config]], weights: Weights, making: Making) -> list[Cell]:
    """Make the cells that an attribute `cells` holds; an empty list if one is not known."""
    counts: dict[str, int] = {}
    made = []
    for _, one in configs:
        name = snake_case(one.class_name)
        number = counts[name] = counts.get(name, -1) + 1
        place = f"cells/{name}" + (f"_{number}" if number else "")
        made.append(cell_of(one, weights.below(place, one.name), making))
    return [cell for cell in made if cell is not None] if None not in made else []


def _feedback(config: Config, weights: Weights, making: Making) -> Cell | None:
    inner, readout = config.inner("cell"), config.inner("readout")
    forcing = config.get("forcing", "never")
    forced = forcing if forcing in ("never", "always") else "training"
    cell: Any
    if inner.kind.removeprefix("seqstate>") in _MAKERS:
        cell = cell_of(inner, weights.below("cell", inner.name), making)
    else:
        cell = _function(inner, weights.below("cell", inner.name), making)
    answer = _function(readout, weights.below("readout", readout.name), making)
    if cell is None or answer is None:
        return None
    units = readout.whole("units")
    return FeedbackCell(cell, answer, units, forced)


def _function(config: Config, weights: Weights, making: Making) -> Callable[..., Any] | None:
    """Make a `Dense` that works on `[batch, features]`."""
    from seqstate.runtime.layers.dense import DenseLayer

    layer = making.layer(config, weights)
    if isinstance(layer, DenseLayer):
        return layer.apply
    making.refuse(
        config,
        "in a FeedbackCell only a Dense is known beside cells",
        "Use a Dense as the readout",
    )
    return None


_MAKERS: dict[str, Callable[[Config, Weights, Making], Cell | None]] = {
    **{f"{kind.name}Cell": kinds_of for kind in (SIMPLE_RNN, GRU, LSTM, RWA)},
    "StackedRNNCells": _stacked,
    "CoupledCells": _coupled,
    "FeedbackCell": _feedback,
}
