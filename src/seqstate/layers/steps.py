"""How a layer runs any cell, by names: ours, a stack of cells, or a cell that somebody wrote.

`steps_of(cell)` picks the one class that knows the cell. What a cell's states and gates are
called and what sizes they have is settled here, so that the layers see names only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import keras
from keras import ops

from seqstate.layers.call_steps import CallSteps
from seqstate.layers.cell import GatedCell
from seqstate.layers.composed_cell import ComposedCell
from seqstate.state import Spec, State


class Steps(Protocol):
    """A cell as a layer runs it.

    Attributes:
        spec: the states of one row by name, each leaf a tuple of sizes.
        gates: the gates of one row by name, each leaf a tuple of sizes.
        output: the sizes of one row of the output.
        vectors: whether the input of a step is known to be `[batch, features]`.
    """

    spec: Spec
    gates: Spec
    output: tuple[int, ...]
    vectors: bool

    @property
    def dtype(self) -> str:
        """The compute type of the states."""

    def initial(self, batch: Any) -> State:
        """Give the state before the first step, each leaf `[batch, *sizes]`."""

    def begin(self, inputs: Any, state: State, training: bool | None) -> Any:
        """Draw what stays the same over a sequence: dropout masks, from one step's input."""

    def prepare(self, inputs: Any, drawn: Any) -> Any:
        """Do ahead of the loop what does not depend on the state; any number of leading axes."""

    def step(self, prepared: Any, state: State, drawn: Any) -> tuple[Any, State, State]:
        """Run one step: the output, the new state and the gates."""

    def end(self) -> None:
        """Forget what `begin` drew."""

    def output_before(self, state: State) -> Any:
        """Give the output that goes with a state: what a step gives that the mask skips."""

    def listed(self, state: State) -> list[Any]:
        """Give a state as the list that Keras's own layers return."""


class GatedSteps:
    """Our own cells: where that is faster, the input is projected before the loop, all at once."""

    def __init__(self, cell: GatedCell) -> None:
        sizes = (cell.units,)
        self.cell = cell
        self.spec: Spec = dict.fromkeys(cell.kind.states, sizes)
        self.gates: Spec = dict.fromkeys(cell.kind.gates, sizes)
        self.output: tuple[int, ...] = sizes
        self.vectors = True
        self._rewritten = _rewritten(type(cell))

    @property
    def dtype(self) -> str:
        return str(self.cell.compute_dtype)

    def initial(self, batch: Any) -> State:
        return dict(zip(self.spec, self.cell.get_initial_state(batch), strict=True))

    def begin(self, inputs: Any, state: State, training: bool | None) -> Any:
        return self.cell.dropout_masks(inputs, state, training)

    def prepare(self, inputs: Any, drawn: Any) -> Any:
        inputs = ops.cast(inputs, self.dtype)
        return self.cell.project(inputs, drawn[0]) if _projects_ahead() else inputs

    def step(self, prepared: Any, state: State, drawn: Any) -> tuple[Any, State, State]:
        projected = prepared if _projects_ahead() else self.cell.project(prepared, drawn[0])
        new, gates = self.cell.equations(projected, state, drawn[1])
        return new[self.cell.kind.states[0]], new, gates

    def end(self) -> None:
        self.cell.reset_dropout_mask()
        self.cell.reset_recurrent_dropout_mask()

    def output_before(self, state: State) -> Any:
        return state[self.cell.kind.states[0]]

    def listed(self, state: State) -> list[Any]:
        return list(state.values())

    def rewritten(self) -> str | None:
        """Name something of the cell that a class on top of ours, or its user, wrote anew."""
        if self._rewritten is not None:
            return self._rewritten
        return next(iter(_COMPUTED_BY & vars(self.cell).keys()), None)


class StackedSteps:
    """Cells on top of each other; `cell_0` is the one that reads the input."""

    def __init__(self, cells: Sequence[Any]) -> None:
        self.inner: dict[str, Steps] = {f"cell_{i}": steps_of(c) for i, c in enumerate(cells)}
        self.last = list(self.inner.values())[-1]
        self.spec: Spec = {name: steps.spec for name, steps in self.inner.items()}
        self.gates: Spec = {name: steps.gates for name, steps in self.inner.items()}
        self.output = self.last.output
        self.vectors = self.inner["cell_0"].vectors

    @property
    def dtype(self) -> str:
        return self.last.dtype

    def initial(self, batch: Any) -> State:
        return {name: steps.initial(batch) for name, steps in self.inner.items()}

    def begin(self, inputs: Any, state: State, training: bool | None) -> Any:
        drawn = {}
        for name, steps in self.inner.items():
            drawn[name] = steps.begin(inputs, state[name], training)
            inputs = ops.ones((ops.shape(inputs)[0], *steps.output), dtype=steps.dtype)
        return drawn

    def prepare(self, inputs: Any, drawn: Any) -> Any:
        return self.inner["cell_0"].prepare(inputs, drawn["cell_0"])

    def step(self, prepared: Any, state: State, drawn: Any) -> tuple[Any, State, State]:
        new: State = {}
        gates: State = {}
        output = prepared
        for name, steps in self.inner.items():
            if new:
                output = steps.prepare(output, drawn[name])
            output, new[name], gates[name] = steps.step(output, state[name], drawn[name])
        return output, new, gates

    def end(self) -> None:
        for steps in self.inner.values():
            steps.end()

    def output_before(self, state: State) -> Any:
        return self.last.output_before(list(state.values())[-1])

    def listed(self, state: State) -> list[Any]:
        return [steps.listed(state[name]) for name, steps in self.inner.items()]


def steps_of(cell: Any) -> Steps:
    """Pick how a cell is run."""
    if isinstance(cell, GatedCell) and type(cell).call is GatedCell.call:
        return GatedSteps(cell)
    if isinstance(cell, keras.layers.StackedRNNCells) or hasattr(cell, "stacks_cells"):
        return StackedSteps(cell.cells)
    if isinstance(cell, ComposedCell) and type(cell).call is ComposedCell.call:
        return cell.as_steps()
    return CallSteps(cell)


def _projects_ahead() -> bool:
    """Tell whether to project the input of all steps before the loop.

    XLA on a CPU runs a loop up to twice as fast whose steps do it themselves, gradients included.
    """
    if keras.backend.backend() != "jax":
        return True
    import jax

    return jax.default_backend() != "cpu"


# The methods of a cell that settle its numbers.
_COMPUTED_BY = {
    "equations",
    "project",
    "recur",
    "_times",
    "input_bias",
    "weight",
    "dropout_masks",
    "get_dropout_mask",
    "get_recurrent_dropout_mask",
    "_draw",
}


def _rewritten(cell_class: type[GatedCell]) -> str | None:
    for name in sorted(_COMPUTED_BY):
        maker = next(one for one in cell_class.__mro__ if name in vars(one))
        if not maker.__module__.startswith("seqstate.layers."):
            return name
    return None
