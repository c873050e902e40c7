"""`ComposedCell`: what cells share that are made of others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from seqstate.state import Spec, State, flatten, map_leaves

if TYPE_CHECKING:
    from seqstate.layers.steps import Steps


class ComposedCell(keras.layers.Layer):
    """A cell that is made of others and knows how they are run: its `as_steps` says so."""

    def as_steps(self) -> Steps:
        """Give the cell as a layer runs it."""
        raise NotImplementedError

    @property
    def state_size(self) -> dict[str, Any]:
        """The sizes of the states by name, nested."""
        return _said(self.as_steps().spec)

    @property
    def gate_sizes(self) -> dict[str, Any]:
        """The sizes of the gates by name, nested."""
        return _said(self.as_steps().gates)

    @property
    def output_size(self) -> Any:
        """The size of the output."""
        sizes = self.as_steps().output
        return sizes[0] if len(sizes) == 1 else sizes

    def call(self, inputs: Any, states: Any, training: bool = False) -> tuple[Any, ...]:
        """Run one step: `(inputs, states) -> (output, new states, gates)`, by name.

        The gates come where a cell inside has any.

        Args:
            inputs: `[batch, features]`.
            states: a nested dict by name.
            training: whether this is training.
        """
        steps = self.as_steps()
        drawn = steps.begin(inputs, states, training)
        try:
            output, new, gates = steps.step(steps.prepare(inputs, drawn), states, drawn)
        finally:
            steps.end()
        return (output, new, gates) if flatten(gates) else (output, new)

    def get_initial_state(self, batch_size: Any = None) -> State:
        """Give the states before the first step, by name."""
        return self.as_steps().initial(batch_size)


def _said(spec: Spec) -> dict[str, Any]:
    """Give a spec as a cell says it: a size as a number where it is one."""
    return map_leaves(lambda sizes: sizes[0] if len(sizes) == 1 else sizes, spec)
