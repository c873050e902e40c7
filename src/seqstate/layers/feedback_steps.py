"""How a layer runs a `FeedbackCell`: what is fed back, and where the truth is taken instead."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from seqstate import state as states
from seqstate.errors import ArgumentError, message
from seqstate.layers.inner_layer import InnerLayer
from seqstate.layers.steps import Steps, steps_of
from seqstate.state import Spec, State


class FeedbackSteps:
    """A cell and its readout, whose output goes back in.

    Args:
        cell: the `FeedbackCell`.
    """

    vectors = True

    def __init__(self, cell: Any) -> None:
        self.cell = cell
        # A layer in the place of a cell carries nothing.
        self.below: Steps | None = steps_of(cell.cell) if hasattr(cell.cell, "state_size") else None
        self.hidden = InnerLayer(cell.cell)
        self.readout = InnerLayer(cell.readout)
        self.hidden_sizes = self.below.output if self.below else _row_of(cell.cell, (1,), "cell")
        self.output = _row_of(cell.readout, self.hidden_sizes, "readout")
        below = {"cell": self.below} if self.below else {}
        self.spec: Spec = {**{k: one.spec for k, one in below.items()}, "output": self.output}
        self.gates: Spec = {k: one.gates for k, one in below.items()}

    @property
    def dtype(self) -> str:
        return str(self.cell.compute_dtype)

    def initial(self, batch: Any) -> State:
        below = {"cell": self.below.initial(batch)} if self.below else {}
        return {**below, "output": ops.zeros((batch, *self.output), dtype=self.dtype)}

    def begin(self, inputs: Any, state: State, training: bool | None) -> Any:
        self.readout.begin(training)
        if self.below is None:
            self.hidden.begin(training)
            return training, None
        x, _ = self._split(ops.cast(inputs, self.dtype))
        read = ops.concatenate([x, state["output"]], axis=-1)
        return training, self.below.begin(read, state["cell"], training)

    def prepare(self, inputs: Any, drawn: Any) -> Any:
        inputs = ops.cast(inputs, self.dtype)
        share = self.cell.share_forced(drawn[0])
        if not self.cell.reads_truth or share == 1:
            return inputs
        x, truth = self._split(inputs)
        unknown = ops.full_like(truth, float("nan"))
        if share > 0:
            unknown = ops.where(self._drawn(truth) < share, truth, unknown)
        return ops.concatenate([x, unknown], axis=-1)

    def step(self, prepared: Any, state: State, drawn: Any) -> tuple[Any, State, State]:
        x, truth = self._split(prepared)
        own = state["output"]
        fed = own if truth is None else ops.where(ops.isnan(truth), own, truth)
        read = ops.concatenate([x, fed], axis=-1)
        new: State = {}
        gates: State = {}
        if self.below is None:
            hidden = self.hidden(read)
        else:
            read = self.below.prepare(read, drawn[1])
            hidden, new["cell"], gates["cell"] = self.below.step(read, state["cell"], drawn[1])
        output = ops.cast(self.readout(hidden), self.dtype)
        return output, {**new, "output": output}, gates

    def end(self) -> None:
        self.readout.end()
        (self.hidden if self.below is None else self.below).end()

    def output_before(self, state: State) -> Any:
        return state["output"]

    def listed(self, state: State) -> list[Any]:
        return list(states.flatten(state).values())

    def _split(self, inputs: Any) -> tuple[Any, Any]:
        """Give an input as its own features and the true output, or None, in its last ones."""
        if not self.cell.reads_truth:
            return inputs, None
        (outputs,) = self.output
        return inputs[..., :-outputs], inputs[..., -outputs:]

    def _drawn(self, truth: Any) -> Any:
        """Give numbers from 0 to 1, one for each row and step `[batch, time, 1]`."""
        if len(truth.shape) != 3:
            raise ArgumentError(
                message(
                    "FeedbackCell",
                    f"forcing={self.cell.forcing!r} draws for a whole sequence at once; this cell "
                    "sees one step at a time.",
                    "Make it the first cell of a stack, or the only one of an RNN.",
                )
            )
        shape = (*ops.shape(truth)[:2], 1)
        return keras.random.uniform(shape, dtype=self.dtype, seed=self.cell.seed_generator)


def _row_of(layer: Any, sizes: tuple[int, ...], what: str) -> tuple[int, ...]:
    """Give the sizes of one row of what a layer makes of rows of these sizes.

    Raises:
        ArgumentError: the layer does not say so, or it makes no vectors.
    """
    try:
        found = layer.compute_output_shape((None, *sizes))
    except Exception as error:
        raise ArgumentError(
            message(
                "FeedbackCell",
                f"the {what} {type(layer).__name__} does not say the shape of its output for "
                f"{(None, *sizes)}: {error}",
                "Use a layer that takes such an input and has compute_output_shape, for example "
                "keras.layers.Dense(1).",
            )
        ) from error
    if len(found) != 2 or not isinstance(found[1], int):
        raise ArgumentError(
            message(
                "FeedbackCell",
                f"the {what} {type(layer).__name__} makes {tuple(found)} of {(None, *sizes)}; "
                "expected [batch, outputs].",
                "Use a layer that makes one vector of each row, for example keras.layers.Dense(1).",
            )
        )
    return (found[1],)
