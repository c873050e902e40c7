"""Cells that are made of others: stacked, coupled side by side, with feedback."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np

from seqstate import state as states
from seqstate.runtime.recurrence.cell import Array, Cell, Ran, Wanted
from seqstate.runtime.recurrence.stepped import SteppedCell
from seqstate.state import State

MERGES: dict[str, Callable[[Sequence[Array]], Array]] = {
    "concat": lambda parts: np.concatenate(parts, axis=-1),
    "sum": lambda parts: reduce(np.add, parts),
    "ave": lambda parts: reduce(np.add, parts) / np.float32(len(parts)),
    "mul": lambda parts: reduce(np.multiply, parts),
}


class StackedCells:
    """Cells on top of each other; each runs over the whole sequence of the one below.

    Args:
        cells: `cell_0` is the one that reads the input.
    """

    def __init__(self, cells: Sequence[Cell]) -> None:
        self.cells = {f"cell_{i}": cell for i, cell in enumerate(cells)}
        self.spec: Mapping[str, Any] = {n: cell.spec for n, cell in self.cells.items()}
        self.gates: Mapping[str, Any] = {n: cell.gates for n, cell in self.cells.items()}
        self.features, self.units = cells[0].features, cells[-1].units
        self._last = list(self.cells)[-1]

    def start(self) -> State:
        """See `Cell`."""
        return {name: cell.start() for name, cell in self.cells.items()}

    def listed(self, state: State) -> list[Any]:
        """See `Cell`."""
        return [cell.listed(state[name]) for name, cell in self.cells.items()]

    def run(
        self, x: Array, state: State, mask: Array, wanted: Wanted, backwards: bool = False
    ) -> Ran:
        """See `Cell`."""
        ran: dict[str, Ran] = {}
        for name, cell in self.cells.items():
            own = wanted if name == self._last else Wanted(True, wanted.gates)
            ran[name] = cell.run(x, state[name], mask, own, backwards)
            x = ran[name].sequence
            if backwards and mask is not None:
                mask = mask[:, ::-1]
            backwards = False  # what the first one made is in the order of the run
        return _beside(ran, ran[self._last].output, ran[self._last].sequence, wanted)


class CoupledCells(SteppedCell):
    """Cells side by side that don't touch each other.

    Args:
        cells: by name.
        features: how many features each reads, or None: each reads them all.
        merge_mode: one of `MERGES`, or the name of the cell whose output it is.
    """

    def __init__(
        self, cells: Mapping[str, Cell], features: Sequence[int] | None, merge_mode: str
    ) -> None:
        self.cells = dict(cells)
        self.spec = {name: cell.spec for name, cell in cells.items()}
        self.gates = {name: cell.gates for name, cell in cells.items()}
        first = next(iter(cells.values()))
        self.features = first.features if features is None else sum(features)
        ends = np.cumsum([0, *(features or ())])
        self._parts = {
            name: slice(None) if features is None else slice(int(ends[i]), int(ends[i + 1]))
            for i, name in enumerate(cells)
        }
        self._merge_mode = merge_mode
        sizes = [cell.units for cell in cells.values()]
        self.units = sum(sizes) if merge_mode == "concat" else sizes[0]
        if merge_mode in cells:
            self.units = cells[merge_mode].units

    def start(self) -> State:
        """See `Cell`."""
        return {name: cell.start() for name, cell in self.cells.items()}

    def run(
        self, x: Array, state: State, mask: Array, wanted: Wanted, backwards: bool = False
    ) -> Ran:
        """See `Cell`."""
        ran = {
            name: cell.run(
                np.ascontiguousarray(x[..., self._parts[name]]),
                state[name],
                mask,
                wanted,
                backwards,
            )
            for name, cell in self.cells.items()
        }
        sequence = (
            self._merged({k: one.sequence for k, one in ran.items()}) if wanted.each else None
        )
        return _beside(ran, self._merged({k: r.output for k, r in ran.items()}), sequence, wanted)

    def _merged(self, outputs: Mapping[str, Array]) -> Array:
        if self._merge_mode in MERGES:
            return MERGES[self._merge_mode](list(outputs.values()))
        return outputs[self._merge_mode]


class FeedbackCell(SteppedCell):
    """A cell with a readout, whose output is fed back into the next step.

    Args:
        cell: a cell, or a function of `[batch, features]` that keeps no state.
        readout: from the cell's output to the answer.
        units: of the answer.
        forced: "always" if each step takes, from the end of the input, the true answer of the step
            before, where it is not NaN; "training" if it stands there and is not read; "never"
            if it is not there.
    """

    def __init__(
        self,
        cell: Any,
        readout: Callable[[Array], Array],
        units: int,
        forced: str,
    ) -> None:
        self.units, self._forced, self._readout = units, forced, readout
        self._cell = cell
        self._carries = hasattr(cell, "spec")
        own = {"cell": self._cell.spec} if self._carries else {}
        self.spec = {**own, "output": (units,)}
        self.gates = {"cell": self._cell.gates} if self._carries else {}
        inner = self._cell.features if self._carries else None
        of_truth = 0 if forced == "never" else units
        self.features = None if inner is None else inner - units + of_truth

    def start(self) -> State:
        """See `Cell`."""
        own = {"cell": self._cell.start()} if self._carries else {}
        return {**own, "output": np.zeros(self.units, np.float32)}

    def output_before(self, state: State) -> Array:
        """See `SteppedCell`."""
        return state["output"]

    def step(self, x: Array, state: State) -> tuple[Array, State, State]:
        """See `SteppedCell`."""
        before = state["output"]
        if self._forced != "never":
            x, truth = x[:, : -self.units], x[:, -self.units :]
            if self._forced == "always":
                before = np.where(np.isnan(truth), before, truth)
        x = np.ascontiguousarray(np.concatenate([x, before], axis=-1))
        if not self._carries:
            output = self._readout(self._cell(x))
            return output, {"output": output}, {}
        ran = self._cell.run(x[:, None], state["cell"], None, Wanted(True, True))
        output = self._readout(ran.output)
        gates = states.map_leaves(lambda leaf: leaf[:, 0], ran.gates)
        return output, {"cell": ran.state, "output": output}, {"cell": gates}


def _beside(ran: Mapping[str, Ran], output: Array, sequence: Array, wanted: Wanted) -> Ran:
    """Put the states of several runs side by side, under their names."""
    return Ran(
        output,
        {name: one.state for name, one in ran.items()},
        sequence,
        {name: one.states for name, one in ran.items()} if wanted.each else None,
        {name: one.gates for name, one in ran.items()} if wanted.gates else None,
    )
