"""How a layer runs a cell that is known by its `call` alone."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from seqstate import state as states
from seqstate.cells import LSTM
from seqstate.errors import ArgumentError, message
from seqstate.state import Spec, State


class Kept:
    """The moving variables of a layer that is called inside the loop.

    A loop that JAX traces must not leave its tracers in them. Seeds move on by one draw a run.

    Args:
        layer: a layer, or any other cell.
    """

    def __init__(self, layer: Any) -> None:
        self.layer = layer
        variables = getattr(layer, "non_trainable_variables", [])
        self.values = [(v, v.value) for v in variables if keras.backend.backend() == "jax"]

    def give_back(self) -> None:
        """Put the values back after the loop."""
        for variable, value in self.values:
            variable.assign(value)
        for layer in self.layer._flatten_layers() if self.values else ():
            for generator in layer._seed_generators:
                generator.next()


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
        self.kept = Kept(self.cell)
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
        self.kept.give_back()
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


_CELLS_OF_KERAS = (keras.layers.LSTMCell, keras.layers.GRUCell, keras.layers.SimpleRNNCell)


def _described(made: Any) -> str:
    return f"{len(made)} values" if isinstance(made, tuple | list) else "one thing"


def _sizes(size: Any) -> tuple[int, ...]:
    return tuple(size) if isinstance(size, list | tuple) else (int(size),)


def _spec(size: Any) -> Any:
    if isinstance(size, Mapping):
        return {name: _spec(inner) for name, inner in size.items()}
    return _sizes(size)
