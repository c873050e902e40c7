"""`StackedRNNCells`: several cells as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from seqstate.errors import ArgumentError, message
from seqstate.layers.steps import StackedSteps
from seqstate.state import name_leaves, nest


@keras.saving.register_keras_serializable(package="seqstate")
class StackedRNNCells(keras.layers.Layer):
    """Cells on top of each other, run as one cell: `RNN([LSTMCell(8), GRUCell(4)])`.

    In named states and gates the cells are `cell_0` (next to the input), `cell_1` and so on.

    Args:
        cells: cells, each with `call` and `state_size`.
        **kwargs: of `keras.layers.Layer`.

    Raises:
        ArgumentError: no cells, or one without `call` or `state_size`.

    Example:
        >>> import numpy as np
        >>> from seqstate.layers import GRUCell, LSTMCell, RNN
        >>> layer = RNN(StackedRNNCells([LSTMCell(8), GRUCell(4)]), returns="state")
        >>> state = layer(np.ones((2, 3, 5), "float32"))["state"]
        >>> tuple(state["cell_0"]["c"].shape), tuple(state["cell_1"]["h"].shape)
        ((2, 8), (2, 4))
    """

    stacks_cells = True

    def __init__(self, cells: Sequence[Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for cell in cells:
            check_cell(cell, "StackedRNNCells")
        if not cells:
            raise ArgumentError(
                message(
                    "StackedRNNCells",
                    "got an empty list of cells.",
                    "Pass at least one, for example [LSTMCell(8), LSTMCell(8)].",
                )
            )
        self.cells = cells

    @property
    def state_size(self) -> list[Any]:
        """The state size of each cell."""
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> int:
        """The output size of the last cell."""
        return output_size(self.cells[-1])

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Build each cell for the output of the one below."""
        for cell in self.cells:
            if isinstance(cell, keras.layers.Layer) and not cell.built:
                cell.build(input_shape)
                cell.built = True
            input_shape = (input_shape[0], output_size(cell))
        self.built = True

    def call(self, inputs: Any, states: Any, training: bool = False) -> tuple[Any, list[Any]]:
        """Run one step of all cells: `(inputs, [states of each]) -> (output, [new states])`."""
        steps = StackedSteps(self.cells)
        named = {
            name: nest(inner.spec, name_leaves(inner.spec, given, "StackedRNNCells", "states"))
            for (name, inner), given in zip(steps.inner.items(), states, strict=True)
        }
        drawn = steps.begin(inputs, named, training)
        output, new, _ = steps.step(steps.prepare(inputs, drawn), named, drawn)
        return output, steps.listed(new)

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """Give the initial state of each cell, as a list of lists."""
        steps = StackedSteps(self.cells)
        return steps.listed(steps.initial(batch_size))

    def get_config(self) -> dict[str, Any]:
        """Give the config, with each cell serialized."""
        cells = [keras.saving.serialize_keras_object(cell) for cell in self.cells]
        return {**super().get_config(), "cells": cells}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> StackedRNNCells:
        """Make the stack from its config."""
        config = dict(config)
        cells = [
            keras.saving.deserialize_keras_object(cell, custom_objects=custom_objects)
            for cell in config.pop("cells")
        ]
        return cls(cells, **config)


def output_size(cell: Any) -> Any:
    """Give the size of a cell's output, which by default is that of its first state."""
    size = getattr(cell, "output_size", None)
    if size is not None:
        return size
    sizes = cell.state_size
    if isinstance(sizes, dict):
        sizes = list(sizes.values())
    return sizes[0] if isinstance(sizes, list | tuple) else sizes


def check_cell(cell: Any, where: str) -> None:
    """Refuse what can't be run as a cell."""
    missing = [name for name in ("call", "state_size") if not hasattr(cell, name)]
    if hasattr(cell, "return_sequences"):
        raise ArgumentError(
            message(
                where,
                f"got the layer {type(cell).__name__}; expected a cell.",
                f"Use the layer by itself, or its cell: {type(cell).__name__}Cell(...).",
            )
        )
    if missing:
        raise ArgumentError(
            message(
                where,
                f"the cell {cell!r} has no `{'` and no `'.join(missing)}`.",
                "A cell is an object with call(inputs, states) -> (output, new states) and "
                "state_size, for example LSTMCell(32); a layer such as LSTM(32) is not a cell.",
            )
        )
