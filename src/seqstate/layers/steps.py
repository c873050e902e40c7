"""How a layer runs any cell, by names: ours, a stack of cells, or a cell that somebody wrote.

`steps_of(cell)` picks the one class that knows the cell. What a cell's states and gates are
called and what sizes they have is settled here, so that the layers see names only.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import keras
from keras import ops

from seqstate import state as states
from seqstate.cells import KINDS, LSTM
from seqstate.errors import ArgumentError, message
from seqstate.layers.cell import GatedCell
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


class CallSteps:
    """A cell known by its `call(inputs, states)` alone: Keras's own, or a user's.

    `state_size` is a number, a list of them or a dict from name to size (a number or a tuple).
    With a dict, `states` is a dict too, in `call` and in what it returns. A list gets its names
    from the cell's `state_names`; without those a single state is `h`, several are `state_0`,
    `state_1` and so on. A cell with `gate_sizes`, a dict from name to size, returns the gates
    by name as a third value.
    """

    def __init__(self, cell: Any) -> None:
        self.cell = cell
        self.where = f"cell {type(cell).__name__}"
        self.spec = self._read_spec(cell)
        self.gates: Spec = {k: _sizes(v) for k, v in getattr(cell, "gate_sizes", {}).items()}
        first = next(iter(states.flatten(self.spec).values()))
        size = getattr(cell, "output_size", None)
        self.output = first if size is None else _sizes(size)
        self.takes_training = "training" in inspect.signature(cell.call).parameters
        self.vectors = isinstance(cell, _CELLS_OF_KERAS)

    @property
    def dtype(self) -> str:
        return str(getattr(self.cell, "compute_dtype", keras.config.floatx()))

    def initial(self, batch: Any) -> State:
        make = getattr(self.cell, "get_initial_state", None)
        if make is None:
            return states.map_leaves(
                lambda sizes: ops.zeros((batch, *sizes), dtype=self.dtype), self.spec
            )
        return self._checked("initial state", self.spec, make(batch_size=batch))

    def begin(self, inputs: Any, state: State, training: bool | None) -> Any:
        if hasattr(self.cell, "get_dropout_mask"):
            self.cell.get_dropout_mask(inputs)
            self.cell.get_recurrent_dropout_mask(next(iter(state.values())))
        # A loop that JAX traces must not leave its tracers in the variables of the cell.
        variables = getattr(self.cell, "non_trainable_variables", [])
        self.kept = [(v, v.value) for v in variables if keras.backend.backend() == "jax"]
        return {"training": training} if self.takes_training else {}

    def prepare(self, inputs: Any, drawn: Any) -> Any:
        return inputs

    def step(self, prepared: Any, state: State, drawn: Any) -> tuple[Any, State, State]:
        call = self.cell if callable(self.cell) else self.cell.call
        packed = state if isinstance(self.cell.state_size, Mapping) else list(state.values())
        made = call(prepared, packed, **drawn)
        wanted = 3 if self.gates else 2
        if not isinstance(made, tuple | list) or len(made) != wanted:
            raise ArgumentError(
                message(
                    self.where,
                    f"call returned {_described(made)}; expected {wanted} values.",
                    "Return (output, new states), and the gates by name if the cell has "
                    "`gate_sizes`.",
                )
            )
        output, new, *gates = made
        self._check_size("the output", output, self.output)
        named = self._checked("new state", self.spec, new)
        return output, named, self._checked("gate", self.gates, gates[0] if gates else {})

    def end(self) -> None:
        for variable, value in self.kept:
            variable.assign(value)
        for reset in ("reset_dropout_mask", "reset_recurrent_dropout_mask"):
            if hasattr(self.cell, reset):
                getattr(self.cell, reset)()

    def output_before(self, state: State) -> Any:
        first = next(leaf for _, leaf in states.leaves(state))
        if tuple(first.shape[1:]) == self.output:
            return first
        return ops.zeros((ops.shape(first)[0], *self.output), dtype=self.dtype)

    def listed(self, state: State) -> list[Any]:
        return list(states.flatten(state).values())

    def _checked(self, what: str, spec: Spec, given: Any) -> State:
        """Name what the cell made, and hold it against what the cell says of itself."""
        named = states.name_leaves(spec, given, self.where, argument=f"the {what}")
        for path, sizes in states.flatten(spec).items():
            if path not in named:
                raise ArgumentError(
                    message(
                        self.where,
                        f"the {what} {path!r} is missing; there are: {', '.join(named)}.",
                        "Give every one that `state_size` and `gate_sizes` name.",
                    )
                )
            self._check_size(f"the {what} {path!r}", named[path], sizes)
        return states.nest(spec, named)

    def _check_size(self, what: str, value: Any, sizes: tuple[int, ...]) -> None:
        got = tuple(value.shape[1:])
        if got != sizes:
            raise ArgumentError(
                message(
                    self.where,
                    f"{what} has shape {tuple(value.shape)}; expected (batch, "
                    f"{', '.join(map(str, sizes))}), from `state_size` and `output_size`.",
                    "Correct the cell's `call`, or what it says of its sizes.",
                )
            )

    def _read_spec(self, cell: Any) -> Spec:
        size = cell.state_size
        if isinstance(size, Mapping):
            return {name: _spec(inner) for name, inner in size.items()}
        sizes = [size] if isinstance(size, int) else list(size)
        names = getattr(cell, "state_names", None)
        if names is None and isinstance(cell, keras.layers.LSTMCell):
            names = LSTM.states
        if names is None:
            names = ("h",) if len(sizes) == 1 else [f"state_{i}" for i in range(len(sizes))]
        if len(names) != len(sizes):
            raise ArgumentError(
                message(
                    self.where,
                    f"state_names has {len(names)} names; state_size has {len(sizes)} sizes.",
                    "Give each state one name.",
                )
            )
        return {name: _sizes(one) for name, one in zip(names, sizes, strict=True)}


def steps_of(cell: Any) -> Steps:
    """Pick how a cell is run."""
    if isinstance(cell, GatedCell) and type(cell).call is GatedCell.call:
        return GatedSteps(cell)
    if isinstance(cell, keras.layers.StackedRNNCells) or hasattr(cell, "stacks_cells"):
        return StackedSteps(cell.cells)
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
    if cell_class.kind not in KINDS.values():
        return "states and gates"
    for name in sorted(_COMPUTED_BY):
        maker = next(one for one in cell_class.__mro__ if name in vars(one))
        if not maker.__module__.startswith("seqstate.layers."):
            return name
    return None


_CELLS_OF_KERAS = (keras.layers.LSTMCell, keras.layers.GRUCell, keras.layers.SimpleRNNCell)


def _described(made: Any) -> str:
    return f"{len(made)} values" if isinstance(made, tuple | list) else "one thing"


def _sizes(size: Any) -> tuple[int, ...]:
    return tuple(size) if isinstance(size, list | tuple) else (int(size),)


def _spec(size: Any) -> Any:
    if isinstance(size, Mapping):
        return {name: _spec(inner) for name, inner in size.items()}
    return _sizes(size)
