"""What a kernel is given, and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from seqstate.state import State


@dataclass(frozen=True)
class Problem:
    """One run of a cell over a batch of sequences.

    Attributes:
        steps: the cell, as `seqstate.layers.steps.Steps` describes it.
        sequences: `[batch, time, ...]`, in the order of the input.
        state: the state before the first step, each leaf `[batch, *sizes]`.
        fresh: the state that a row starts anew from, of the same shape.
        drawn: what the cell drew for this run: its dropout masks.
        mask: `[batch, time]` bool, or None: True means that the step counts.
        reset_mask: `[batch, time]` bool, or None: True where a row starts anew before that
            step in the order of the run.
        go_backwards: start at the last time step.
        unroll: write the loop out.
        every_step: whether the output and the states of each step are wanted.
        gates: whether the gates of each step are wanted.
    """

    steps: Any
    sequences: Any
    state: State
    fresh: State
    drawn: Any
    mask: Any = None
    reset_mask: Any = None
    go_backwards: bool = False
    unroll: bool = False
    every_step: bool = True
    gates: bool = False


@dataclass(frozen=True)
class Results:
    """What came of a run; the last three in the order of the run, or None.

    Attributes:
        output: `[batch, *sizes]`, after the last step that counts.
        state: after the last step, each leaf `[batch, *sizes]`.
        sequence: the output at each step, `[batch, time, *sizes]`.
        states: after each step, each leaf `[batch, time, *sizes]`.
        gates: at each step, each leaf `[batch, time, *sizes]`; 0 where the mask skips it.
    """

    output: Any
    state: State
    sequence: Any = None
    states: State | None = None
    gates: State | None = None


class Watcher(Protocol):
    """Sees every run of a layer while it is set as the layer's `watcher`.

    Attributes:
        wanted: which of "sequence", "states" and "gates" the results must have, beside what the
            layer itself needs.
    """

    wanted: tuple[str, ...]

    def saw(self, problem: Problem, results: Results) -> None:
        """Take what a run was given and what came of it."""
