"""`CarriedState`: the state that a `stateful` layer keeps from one call to the next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from seqstate import state as states
from seqstate.errors import NoStateError, StateMismatchError, message
from seqstate.layers.steps import Steps
from seqstate.state import State

_FILE = "state.npz"


class _Variables:
    """The variables by path, in an object that Keras does not take for weights."""

    def __init__(self, named: Mapping[str, Any]) -> None:
        self.named = dict(named)
        self.batch: int = next(iter(self.named.values())).shape[0]


class CarriedState(keras.layers.Layer):
    """Get, set, reset and save what a layer carries.

    The variables are among the layer's `variables`, so that every backend's trainer moves them
    on, and not among its `weights`, so that `get_weights()` and weight files stay as they are.
    """

    _carried: _Variables | None = None
    steps: Steps
    stateful: bool

    @property
    def where(self) -> str:
        """The layer as messages name it: class and name."""
        return f'{type(self).__name__} "{self.name}"'

    def start(self, batch: Any) -> State:
        """Give the state that rows start from by themselves, each leaf `[batch, *sizes]`."""
        return self.steps.initial(batch)

    def start_values(self, batch: int) -> State:
        """Give `start` as NumPy arrays."""
        return states.map_leaves(
            lambda value: np.array(keras.ops.convert_to_numpy(value)), self.start(batch)
        )

    @property
    def states(self) -> list[Any] | None:
        """The variables of the carried state, nested as Keras nests them, or None."""
        if self._carried is None:
            return None
        named: list[Any] = self.steps.listed(states.unflatten(self._carried.named))
        return named

    def carried_variables(self) -> dict[str, Any]:
        """Give the variables of the carried state by path; none if there is no such state."""
        return {} if self._carried is None else dict(self._carried.named)

    @property
    def variables(self) -> list[Any]:
        """All variables: the weights, the seeds and the carried state."""
        carried = list(self._carried.named.values()) if self._carried else []
        return [*super().variables, *carried]

    def _create_carried(self, batch: int, dtype: str) -> None:
        # Without autocast: on torch an assignment to a variable that is read cast is lost.
        how = {"trainable": False, "dtype": dtype, "autocast": False, "name": "rnn_state"}
        with keras.name_scope(self.name):
            # From a function, so that Keras can put the creation off where it traces.
            self._carried = _Variables(
                {
                    path: keras.Variable(self._starting(path), shape=(batch, *sizes), **how)
                    for path, sizes in states.flatten(self.steps.spec).items()
                }
            )

    def _starting(self, path: str) -> Any:
        def initial(shape: tuple[int, ...], dtype: str | None = None) -> Any:
            started = states.flatten(self.steps.initial(shape[0]))[path]
            # Torch can't write into a row that is shown to all rows.
            return keras.ops.copy(keras.ops.cast(started, dtype))

        return initial

    def _held(self, what: str) -> dict[str, Any]:
        if self._carried is not None:
            check_at_hand(self._carried.named.values(), self.where, what)
            return self._carried.named
        where = self.where
        if not self.stateful:
            raise NoStateError(
                message(
                    where,
                    f"can't {what}: it keeps no state between calls (stateful=False).",
                    'Make it with stateful=True, or ask for the state with returns="state" and '
                    "pass it on as initial_state.",
                )
            )
        raise NoStateError(
            message(
                where,
                f"can't {what}: the layer is not built, so its batch size is not known yet.",
                "Call it once, or start the model with keras.Input(batch_shape=(batch, time, "
                "features)).",
            )
        )

    def get_state(self) -> State:
        """Give the carried state: a nested dict of NumPy arrays, `[batch, *sizes]`.

        Raises:
            NoStateError: the layer is not stateful, or not built.
        """
        held = self._held("get the state")
        return states.unflatten(
            {path: np.array(keras.ops.convert_to_numpy(v.value)) for path, v in held.items()}
        )

    def set_state(self, state: Any, rows: Any = None) -> None:
        """Set the carried state.

        Nothing is changed if any part of it does not fit.

        Args:
            state: by name, also a part of the names, or a list in their order. Each value is
                `[batch, *sizes]`, or `sizes` or a number to give every row the same.
            rows: the rows to set, as a number, a list, a slice or a bool mask; all by default.

        Raises:
            NoStateError: the layer is not stateful, or not built.
            StateMismatchError: a name, a shape or a type that does not fit; a row out of range.
        """
        held = self._held("set the state")
        where = self.where
        sizes = states.flatten(self.steps.spec)
        given = states.name_leaves(self.steps.spec, state, where, "state")
        batch = next(iter(held.values())).shape[0]
        chosen = chosen_rows(rows, batch, where)
        new = {}
        for path, value in given.items():
            states.check_leaf(value, sizes[path], len(chosen), where, path, "state")
            whole = np.array(keras.ops.convert_to_numpy(held[path].value))
            whole[chosen] = keras.ops.convert_to_numpy(value)
            new[path] = whole
        for path, whole in new.items():
            held[path].assign(whole)

    def reset_state(self, states: Any = None, rows: Any = None) -> None:
        """Start anew: from zeros (or the learned initial state), or from `states`.

        Args:
            states: a state to start from instead, as in `set_state`.
            rows: the rows to reset, as in `set_state`; all by default.

        Raises:
            NoStateError: `states` or `rows` was given to a layer that holds no state.
            StateMismatchError: as in `set_state`.
        """
        if states is None and rows is None and self._carried is None:
            return
        held = self._held("reset the state")
        if states is None:
            batch = next(iter(held.values())).shape[0]
            chosen = chosen_rows(rows, batch, self.where)
            states = self.start_values(len(chosen))
        self.set_state(states, rows)

    def reset_states(self) -> None:
        """Do what `reset_state()` does; the name that Keras keeps for old code."""
        self.reset_state()

    # Files: a `.keras` archive keeps the carried state beside the weights.

    def save_assets(self, folder: str) -> None:
        """Write the carried state into the layer's folder of a `.keras` archive."""
        if self._carried is not None:
            # NumPy's files know no bfloat16.
            full = states.map_leaves(lambda v: v.astype("float32"), self.get_state())
            np.savez(Path(folder) / _FILE, **states.flatten(full))

    def load_assets(self, folder: str) -> None:
        """Read the carried state from the layer's folder, if it was saved there."""
        path = Path(folder or "") / _FILE
        if self._carried is not None and folder and path.exists():
            with np.load(path, allow_pickle=False) as saved:
                self.set_state(states.unflatten(dict(saved)))


def check_at_hand(variables: Iterable[Any], where: str, what: str) -> None:
    """Refuse to read states whose values Keras holds elsewhere, in an epoch on JAX.

    Raises:
        NoStateError: the values are not at hand.
    """
    try:
        for variable in variables:
            _ = variable.value
    except TypeError as error:
        raise NoStateError(
            message(
                where,
                f"can't {what}: in an epoch on JAX, Keras keeps the values to itself.",
                "In a callback call self.model.jax_state_sync() first.",
            )
        ) from error


def chosen_rows(rows: Any, batch: int, where: str) -> np.ndarray[Any, Any]:
    """Give the numbers of the chosen rows."""
    if rows is None:
        return np.arange(batch)
    if isinstance(rows, slice):
        return np.arange(batch)[rows]
    chosen = np.atleast_1d(np.asarray(rows))
    if not chosen.size:
        return np.arange(0)
    if chosen.dtype == bool and chosen.shape == (batch,):
        return np.flatnonzero(chosen)
    if chosen.dtype.kind not in "iu" or chosen.ndim != 1:
        raise StateMismatchError(
            message(
                where,
                f"rows={rows!r} does not name rows.",
                f"Pass a number, a list of numbers, a slice, or a bool mask of shape ({batch},).",
            )
        )
    if chosen.size and (chosen.min() < -batch or chosen.max() >= batch):
        raise StateMismatchError(
            message(
                where,
                f"rows={rows!r} is out of range; the state has {batch} rows.",
                f"Pass numbers from 0 to {batch - 1}.",
            )
        )
    return chosen
