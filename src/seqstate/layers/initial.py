"""`LearnedState`: an initial state that is trained."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from seqstate import state as states
from seqstate.state import Spec, State


class LearnedState(keras.layers.Layer):
    """Holds one weight for each state, zero at first.

    Args:
        spec: the states of one row.
        **kwargs: of `keras.layers.Layer`.
    """

    def __init__(self, spec: Spec, **kwargs: Any) -> None:
        super().__init__(name="initial_state", **kwargs)
        self.sizes = states.flatten(spec)

    def build(self, input_shape: Any = None) -> None:
        """Create the weights."""
        self.leaves = {
            path: self.add_weight(shape=sizes, initializer="zeros", name=path.replace("/", "_"))
            for path, sizes in self.sizes.items()
        }
        self.built = True

    def for_rows(self, batch: Any, dtype: str) -> State:
        """Give the state to each row of a batch: each leaf `[batch, *sizes]`."""
        return states.unflatten(
            {
                path: ops.broadcast_to(
                    ops.cast(self.leaves[path], dtype), (batch, *self.sizes[path])
                )
                for path in self.sizes
            }
        )
