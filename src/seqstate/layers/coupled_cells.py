"""`CoupledCells`: several cells side by side as one, whose states are mixed after each step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import keras
from keras import ops

from seqstate.errors import ArgumentError, message
from seqstate.layers.composed_cell import ComposedCell
from seqstate.layers.coupled_steps import CoupledSteps
from seqstate.layers.inner_layer import build_for
from seqstate.layers.stacked_cells import StackedRNNCells, check_cell
from seqstate.layers.steps import steps_of

MERGES: dict[str, Callable[[list[Any]], Any]] = {
    "concat": lambda outputs: ops.concatenate(outputs, axis=-1),
    "sum": lambda outputs: reduce(ops.add, outputs),
    "ave": lambda outputs: reduce(ops.add, outputs) / len(outputs),
    "mul": lambda outputs: reduce(ops.multiply, outputs),
}


@keras.saving.register_keras_serializable(package="seqstate")
class CoupledCells(ComposedCell):
    """Cells side by side, run as one cell: `RNN(CoupledCells({"left": ..., "right": ...}))`.

    At each step every cell makes its step from its own state. Then `mix` is given the new states
    of all cells and gives back the states to carry on. States and gates have the names of the
    cells: `{"left": {"h", "c"}, "right": {"h", "c"}}`.

    Args:
        cells: cells by name, at least one; a list of cells is stacked.
        mix: a function, or a layer of Keras with weights of its own, from the nested dict of the
            new states, each `[batch, units]`, to the states to carry: the same names and shapes.
            It must treat each row by itself. None leaves the cells uncoupled.
        features: how many of the input's features each cell reads, by name: the first cell the
            first so many, the next one those after them. By default each cell reads them all.
        merge_mode: how the outputs become one: "concat", "sum", "ave", "mul", or the name of
            the cell whose output it is. Where a cell's output is one of its states (`h`), it is
            that state after the mix.
        **kwargs: of `keras.layers.Layer`.

    Raises:
        ArgumentError: no cells, names or sizes that don't fit, an unknown merge; in a run, a
            `mix` that loses a state or changes its shape; where it is saved, a `mix` that has
            no name.

    Example:
        >>> import numpy as np
        >>> from seqstate.layers import LSTMCell, RNN
        >>> def share_c(states):
        ...     c = (states["left"]["c"] + states["right"]["c"]) / 2
        ...     return {name: {"h": state["h"], "c": c} for name, state in states.items()}
        >>> pair = CoupledCells({"left": LSTMCell(3), "right": LSTMCell(3)}, mix=share_c)
        >>> r = RNN(pair, returns=("output", "state"))(np.random.rand(2, 5, 4))
        >>> tuple(r["output"].shape)
        (2, 6)
        >>> left, right = (r["state"][name]["c"] for name in ("left", "right"))
        >>> float(keras.ops.max(abs(left - right)))
        0.0
    """

    def __init__(
        self,
        cells: Mapping[str, Any],
        mix: Any = None,
        features: Mapping[str, int] | None = None,
        merge_mode: str = "concat",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        _check_cells(cells)
        self.cells = {
            name: StackedRNNCells(cell) if isinstance(cell, list | tuple) else cell
            for name, cell in cells.items()
        }
        _check_mix(mix)
        _check_features(self.cells, features)
        _check_merge(self.cells, merge_mode)
        self.mix = mix
        self.features = None if features is None else {name: features[name] for name in cells}
        self.merge_mode = merge_mode

    def as_steps(self) -> CoupledSteps:
        """Give the cells as a layer runs them."""
        return CoupledSteps(self)

    def reads(self, inputs: Any) -> dict[str, Any]:
        """Give each cell its part of an input `[batch, features]`."""
        if self.features is None:
            return dict.fromkeys(self.cells, inputs)
        ends = [sum(list(self.features.values())[: i + 1]) for i in range(len(self.features))]
        parts = ops.split(inputs, ends[:-1], axis=-1)
        return dict(zip(self.cells, parts, strict=True))

    def merge(self, outputs: Mapping[str, Any]) -> Any:
        """Make one output of those of the cells."""
        if self.merge_mode in MERGES:
            return MERGES[self.merge_mode](list(outputs.values()))
        return outputs[self.merge_mode]

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Build each cell for what it reads, and the mix for the states."""
        total = None if self.features is None else sum(self.features.values())
        if total is not None and total != input_shape[-1]:
            raise ArgumentError(
                message(
                    "CoupledCells",
                    f"features={self.features} are {total} in all; the input has "
                    f"{input_shape[-1]}.",
                    "Give each feature to one cell, or leave `features` out: then each cell "
                    "reads them all.",
                )
            )
        for name, cell in self.cells.items():
            if isinstance(cell, keras.layers.Layer) and not cell.built:
                own = input_shape[-1] if self.features is None else self.features[name]
                cell.build((*input_shape[:-1], own))
                cell.built = True
        build_for(self.mix, self.as_steps().spec, self.compute_dtype)
        self.built = True

    def get_config(self) -> dict[str, Any]:
        """Give the config, with the cells and the mix serialized.

        Raises:
            ArgumentError: the mix is a lambda, or something else without a name.
        """
        if self.mix is not None and not isinstance(self.mix, keras.layers.Layer):
            _check_name(self.mix)
        return {
            **super().get_config(),
            # In a dict of a config, names may change their order.
            "cells": [
                [name, keras.saving.serialize_keras_object(cell)]
                for name, cell in self.cells.items()
            ],
            "mix": keras.saving.serialize_keras_object(self.mix),
            "features": None if self.features is None else list(self.features.values()),
            "merge_mode": self.merge_mode,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> CoupledCells:
        """Make the coupling from its config."""

        def made(one: Any) -> Any:
            return keras.saving.deserialize_keras_object(one, custom_objects=custom_objects)

        config = dict(config)
        cells = {name: made(cell) for name, cell in config.pop("cells")}
        sizes = config.pop("features")
        features = None if sizes is None else dict(zip(cells, sizes, strict=True))
        return cls(cells, mix=made(config.pop("mix")), features=features, **config)


def _check_cells(cells: Any) -> None:
    if not isinstance(cells, Mapping) or not cells:
        raise ArgumentError(
            message(
                "CoupledCells",
                f"cells={cells!r}; expected a dict from name to cell, with at least one.",
                'Name the cells: {"left": LSTMCell(8), "right": LSTMCell(8)}. Cells on top of '
                "each other are a list: RNN([LSTMCell(8), LSTMCell(8)]).",
            )
        )
    for name, cell in cells.items():
        if not isinstance(name, str) or not name or "/" in name:
            raise ArgumentError(
                message(
                    "CoupledCells",
                    f"a cell has the name {name!r}; expected a text without a slash.",
                    'Names stand in paths such as "left/c": use letters, digits and _.',
                )
            )
        if not isinstance(cell, list | tuple):
            check_cell(cell, f'CoupledCells, cell "{name}"')


def _check_mix(mix: Any) -> None:
    if mix is not None and not callable(mix):
        raise ArgumentError(
            message(
                "CoupledCells",
                f"mix={mix!r}; expected a function or a layer.",
                "It is given the states by cell and name, and gives them back.",
            )
        )


def _check_features(cells: Mapping[str, Any], features: Any) -> None:
    if features is None:
        return
    if not isinstance(features, Mapping) or set(features) != set(cells):
        raise ArgumentError(
            message(
                "CoupledCells",
                f"features={features!r}; expected a number for each of {', '.join(cells)}.",
                "Say how many features each cell reads, for example "
                f"features={dict.fromkeys(cells, 2)}.",
            )
        )
    for name, size in features.items():
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ArgumentError(
                message(
                    "CoupledCells",
                    f'features["{name}"] is {size!r}; expected a number of features, 1 or more.',
                    "Each cell reads at least one.",
                )
            )


def _check_merge(cells: Mapping[str, Any], merge_mode: Any) -> None:
    clash = next((name for name in cells if name in MERGES), None)
    if clash is not None:
        raise ArgumentError(
            message(
                "CoupledCells",
                f'a cell has the name "{clash}", which is also a way to merge.',
                "Give the cell another name.",
            )
        )
    if merge_mode not in (*MERGES, *cells):
        raise ArgumentError(
            message(
                "CoupledCells",
                f"merge_mode={merge_mode!r}; expected one of "
                f"{', '.join(map(repr, (*MERGES, *cells)))}.",
                "The name of a cell gives the output of that cell.",
            )
        )
    outputs = {name: steps_of(cell).output for name, cell in cells.items()}
    compared = [sizes[:-1] if merge_mode == "concat" else sizes for sizes in outputs.values()]
    if merge_mode in MERGES and len(set(compared)) > 1:
        raise ArgumentError(
            message(
                "CoupledCells",
                f"merge_mode={merge_mode!r} can't merge outputs of the sizes {outputs}.",
                'Use cells of the same size, or merge_mode="concat", or the name of one of them.',
            )
        )


def _check_name(mix: Any) -> None:
    name = getattr(mix, "__name__", None)
    if name is None or name == "<lambda>":
        what = "a lambda" if name else f"a {type(mix).__name__} without a name"
        raise ArgumentError(
            message(
                "CoupledCells",
                f"mix is {what}, which no file can hold and no copy can find again.",
                "Write it with `def`, above it @keras.saving.register_keras_serializable(), or "
                "make it a layer.",
            )
        )
