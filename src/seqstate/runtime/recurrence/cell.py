"""`Cell`: what runs over a sequence and carries a state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from seqstate.state import State

Array = Any


class Wanted(NamedTuple):
    """What is wanted of a run beside its output and its last state.

    Attributes:
        each: the output and the states of each step.
        gates: the gates of each step.
    """

    each: bool = False
    gates: bool = False


class Ran(NamedTuple):
    """What came of a run; what has a time axis is in the order of the run.

    Attributes:
        output: `[batch, units]`, after the last step that counts.
        state: after it, each leaf `[batch, *sizes]`.
        sequence: `[batch, time, units]`, if each step was wanted.
        states: of each step, if wanted.
        gates: of each step, if wanted.
    """

    output: Array
    state: State
    sequence: Array = None
    states: State | None = None
    gates: State | None = None


class Cell(Protocol):
    """A cell of a saved model.

    Attributes:
        spec: the states of one row, each leaf a tuple of sizes.
        gates: the gates of one row.
        units: the size of the output.
        features: of the input; None if any will do.
    """

    spec: Mapping[str, Any]
    gates: Mapping[str, Any]
    units: int
    features: int | None

    def start(self) -> State:
        """Give the state of one row before the first step."""

    def listed(self, state: State) -> list[Any]:
        """Give a state as the (nested) list that Keras's layers return."""

    def run(
        self, x: Array, state: State, mask: Array, wanted: Wanted, backwards: bool = False
    ) -> Ran:
        """Run over `[batch, time, features]`; `mask` is `[batch, time]` bool or None."""


def rows_of(start: Mapping[str, Any], batch: int) -> State:
    """Give each row of a batch the state of one."""
    return {
        name: rows_of(leaf, batch)
        if isinstance(leaf, Mapping)
        else np.repeat(np.asarray(leaf, np.float32)[None], batch, axis=0)
        for name, leaf in start.items()
    }
