"""`SteppedCell`: a cell that is known by one step, and the loop over the steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from seqstate import state as states
from seqstate.runtime.plan.maker import zeros_like_spec
from seqstate.runtime.recurrence.cell import Array, Ran, Wanted
from seqstate.state import State


class SteppedCell:
    """The base of cells whose steps are made one by one; see `Cell` for the attributes."""

    spec: Mapping[str, Any]
    gates: Mapping[str, Any]
    units: int
    features: int | None

    def start(self) -> State:
        """See `Cell`."""
        return zeros_like_spec(self.spec)

    def listed(self, state: State) -> list[Any]:
        """See `Cell`."""
        return list(states.flatten(state).values())

    def step(self, x: Array, state: State) -> tuple[Array, State, State]:
        """Make a step: from `[batch, features]` the output, the state after it and the gates."""
        raise NotImplementedError

    def output_before(self, state: State) -> Array:
        """Give the output that goes with a state: that of a step which the mask skips."""
        return next(leaf for _, leaf in states.leaves(state))

    def run(
        self, x: Array, state: State, mask: Array, wanted: Wanted, backwards: bool = False
    ) -> Ran:
        """See `Cell`."""
        time = x.shape[1]
        output = self.output_before(state)
        outputs, each, gates = [], [], []
        for t in reversed(range(time)) if backwards else range(time):
            new_output, new, at = self.step(x[:, t], state)
            if mask is not None:
                counts = mask[:, t]
                new = states.map_leaves(_where(counts), new, state)
                new_output = _where(counts)(new_output, output)
                at = states.map_leaves(lambda leaf, c=counts: leaf * c[:, None], at)
            state, output = new, new_output
            if wanted.each:
                outputs.append(output)
                each.append(state)
            if wanted.gates:
                gates.append(at)
        return Ran(
            output,
            state,
            np.stack(outputs, 1) if wanted.each else None,
            _stacked(each) if wanted.each else None,
            _stacked(gates) if wanted.gates else None,
        )


def _where(rows: Array) -> Any:
    def choose(new: Array, old: Array) -> Array:
        return np.where(rows.reshape(-1, *[1] * (new.ndim - 1)), new, old)

    return choose


def _stacked(parts: list[State]) -> State:
    first, *rest = parts
    return states.map_leaves(lambda *leaves: np.stack(leaves, 1), first, *rest)
