"""How a layer runs `CoupledCells`: the step of each cell, and then the mix."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras import ops

from seqstate import state as states
from seqstate.errors import ArgumentError, message
from seqstate.layers.inner_layer import InnerLayer
from seqstate.layers.steps import Steps, steps_of
from seqstate.state import Spec, State


class CoupledSteps:
    """Cells side by side, by name.

    Args:
        cell: the `CoupledCells`.
    """

    def __init__(self, cell: Any) -> None:
        self.cell = cell
        self.parts: dict[str, Steps] = {name: steps_of(one) for name, one in cell.cells.items()}
        self.spec: Spec = {name: part.spec for name, part in self.parts.items()}
        self.gates: Spec = {name: part.gates for name, part in self.parts.items()}
        self.output = _merged_sizes(cell.merge_mode, self.parts)
        self.vectors = all(part.vectors for part in self.parts.values())
        self.mix = InnerLayer(cell.mix)

    @property
    def dtype(self) -> str:
        return str(self.cell.compute_dtype)

    def initial(self, batch: Any) -> State:
        return {name: part.initial(batch) for name, part in self.parts.items()}

    def begin(self, inputs: Any, state: State, training: bool | None) -> Any:
        self.mix.begin(training)
        reads = self.cell.reads(inputs)
        return {
            name: part.begin(reads[name], state[name], training)
            for name, part in self.parts.items()
        }

    def prepare(self, inputs: Any, drawn: Any) -> Any:
        return inputs

    def step(self, prepared: Any, state: State, drawn: Any) -> tuple[Any, State, State]:
        reads = self.cell.reads(prepared)
        outputs: dict[str, Any] = {}
        new: State = {}
        gates: State = {}
        for name, part in self.parts.items():
            own = part.prepare(reads[name], drawn[name])
            outputs[name], new[name], gates[name] = part.step(own, state[name], drawn[name])
        if self.cell.mix is not None:
            mixed = self._mixed(new)
            outputs = {
                name: _after_mix(output, new[name], mixed[name]) for name, output in outputs.items()
            }
            new = mixed
        cast = {name: ops.cast(output, self.dtype) for name, output in outputs.items()}
        return self.cell.merge(cast), new, gates

    def end(self) -> None:
        self.mix.end()
        for part in self.parts.values():
            part.end()

    def output_before(self, state: State) -> Any:
        return self.cell.merge(
            {name: part.output_before(state[name]) for name, part in self.parts.items()}
        )

    def listed(self, state: State) -> list[Any]:
        return list(states.flatten(state).values())

    def _mixed(self, new: State) -> State:
        """Give the states to carry, held against those that the cells made."""
        made = self.mix({name: dict(state) for name, state in new.items()})
        if not isinstance(made, Mapping):
            raise _wrong(
                f"returned {_described(made)}; expected a dict with {', '.join(map(repr, new))}.",
                "Give back all states, as they came in: "
                '{"left": {"h": ..., "c": ...}, "right": {...}}.',
            )
        named = states.name_leaves(self.spec, made, "CoupledCells", "what mix returned")
        flat = states.flatten(new)
        missing = [path for path in flat if path not in named]
        if missing:
            raise _wrong(
                f"lost {', '.join(map(repr, missing))}.",
                "Give back every state, also those that stay as they are: "
                '{**states, "left": {**states["left"], "c": ...}}.',
            )
        for path, before in flat.items():
            shape = tuple(getattr(named[path], "shape", ()))
            if len(shape) != len(before.shape) or shape[1:] != tuple(before.shape)[1:]:
                raise _wrong(
                    f"gave {path!r} the shape {shape}; it came as {tuple(before.shape)}.",
                    "Each state keeps its shape, [batch, units].",
                )
        cast = {path: ops.cast(named[path], before.dtype) for path, before in flat.items()}
        return states.nest(self.spec, cast)


def _merged_sizes(merge_mode: str, parts: Mapping[str, Steps]) -> tuple[int, ...]:
    """Give the sizes of one row of the merged output."""
    if merge_mode in parts:
        return parts[merge_mode].output
    sizes = [part.output for part in parts.values()]
    if merge_mode != "concat":
        return sizes[0]
    return (*sizes[0][:-1], sum(size[-1] for size in sizes))


def _after_mix(output: Any, made: State, mixed: State) -> Any:
    """Give an output that is one of the states as the mix left that state."""
    flat = states.flatten(mixed)
    paths = (path for path, value in states.leaves(made) if value is output)
    return next((flat[path] for path in paths), output)


def _described(made: Any) -> str:
    if made is None:
        return "nothing"
    return f"an array of shape {tuple(made.shape)}" if hasattr(made, "shape") else repr(made)


def _wrong(what: str, todo: str) -> ArgumentError:
    return ArgumentError(message("CoupledCells", f"mix {what}", todo))
