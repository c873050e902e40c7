"""Where a run starts: the initial state of a call, and `LearnedState`, one that is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
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


def check_initial_state(spec: Spec, given: Any, batch: int | None, where: str) -> None:
    """Refuse an initial state that does not fit; see `state.name_leaves` and `check_leaf`."""
    sizes = states.flatten(spec)
    for path, value in states.name_leaves(spec, given, where).items():
        states.check_leaf(value, sizes[path], batch, where, path, "initial_state")


def numbers_as_arrays(given: Any) -> Any:
    """Turn the numbers of an initial state into arrays: Keras takes no mix of the two."""
    if isinstance(given, Mapping):
        return {name: numbers_as_arrays(value) for name, value in given.items()}
    if isinstance(given, list | tuple):
        return [numbers_as_arrays(value) for value in given]
    return np.asarray(given, "float32") if isinstance(given, int | float) else given


def initial_state(spec: Spec, given: Any, start: dict[str, Any], where: str, dtype: str) -> Any:
    """Complete what was given with `start`, each leaf cast and given to every row.

    Args:
        spec: the states of one row.
        given: the `initial_state` of a call, already checked.
        start: the whole state that the layer starts from by itself.
        where: the layer, for messages.
        dtype: the type of the result.

    Returns:
        A nested state, each leaf `[batch, *sizes]`.
    """
    named = states.name_leaves(spec, given, where)
    flat = {}
    for path, default in states.flatten(start).items():
        value = named.get(path)
        if value is None:
            flat[path] = ops.cast(default, dtype)
            continue
        value = ops.cast(ops.convert_to_tensor(value), dtype)
        if len(value.shape) < len(default.shape) or value.shape[0] == 1:
            value = ops.broadcast_to(value, ops.shape(default))
        flat[path] = value
    return states.unflatten(flat)
