"""The carried states of all stateful layers of a model: get, set and reset them by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from seqstate import state as states
from seqstate.errors import NoStateError, StateMismatchError, message
from seqstate.layers import RNN
from seqstate.layers.carried import check_at_hand, chosen_rows
from seqstate.layers.steps import steps_of
from seqstate.models.recurrent_layers import (
    directions_of,
    is_bidirectional,
    recurrent_layers,
    spec_of,
)
from seqstate.state import State


def get_state(model: Any) -> State:
    """Give the carried state of every stateful layer of a model.

    Args:
        model: a Keras model with stateful layers, Keras's own or ours, nested models included.

    Returns:
        A nested dict by layer name and state name, `{"encoder": {"h": ..., "c": ...}}`, of
        NumPy arrays `[batch, units]`; for a `Bidirectional` with "forward" and "backward"
        between the two. A layer in a nested model is below the model's name.

    Raises:
        NoStateError: no layer is stateful, or one is not built yet.

    Example:
        >>> import keras, numpy as np, seqstate
        >>> from seqstate.layers import LSTM
        >>> layers = [keras.Input(batch_shape=(2, None, 1)), LSTM(3, stateful=True, name="lstm")]
        >>> model = keras.Sequential(layers)
        >>> _ = model(np.ones((2, 5, 1), "float32"))
        >>> state = seqstate.get_state(model)
        >>> seqstate.reset_state(model, rows=[1])
        >>> seqstate.set_state(model, state)
        >>> sorted(state["lstm"]), state["lstm"]["c"].shape
        (['c', 'h'], (2, 3))
    """
    held = _held(model, "get_state")
    return states.unflatten({path: _value(variable) for path, variable in held.items()})


def set_state(model: Any, state: Mapping[str, Any], rows: Any = None) -> None:
    """Set the carried state of the stateful layers of a model.

    Nothing is changed if any part of it does not fit.

    Args:
        model: as for `get_state`.
        state: by layer name and state name, also a part of it. Each value is `[batch, units]`,
            or `[units]` or a number to give every row the same.
        rows: the rows to set, as a number, a list, a slice or a bool mask; all by default.

    Raises:
        NoStateError: no layer is stateful, or one is not built yet.
        StateMismatchError: a name, a shape or a type that does not fit; a row out of range.
    """
    held = _held(model, "set_state")
    where = _where(model, "set_state")
    if not isinstance(state, Mapping):
        raise StateMismatchError(
            message(
                where,
                f"state is a {type(state).__name__}; expected a dict by layer name.",
                f"There are: {', '.join(held)}. seqstate.get_state(model) gives the form.",
            )
        )
    spec = states.unflatten({path: tuple(v.shape[1:]) for path, v in held.items()})
    new = {}
    for path, value in states.name_leaves(spec, state, where, "state").items():
        variable = held[path]
        batch, *sizes = variable.shape
        chosen = chosen_rows(rows, batch, where)
        states.check_leaf(value, tuple(sizes), len(chosen), where, path, "state")
        whole = _value(variable)
        whole[chosen] = keras.ops.convert_to_numpy(value)
        new[path] = whole
    for path, whole in new.items():
        held[path].assign(whole)


def reset_state(model: Any, rows: Any = None) -> None:
    """Start the stateful layers of a model anew: from zeros, or as a cell of your own says.

    Args:
        model: as for `get_state`.
        rows: the rows to reset, as a number, a list, a slice or a bool mask; all by default.

    Raises:
        NoStateError: no layer is stateful, or one is not built yet.
        StateMismatchError: a row out of range.
    """
    where = _where(model, "reset_state")
    held = _held(model, "reset_state")
    starts = {
        f"{name}/{path}": value
        for name, layer in _stateful(model, "reset_state").items()
        if carried_variables(layer)
        for path, value in _start(layer).items()
    }
    new = {}
    for path, variable in held.items():
        new[path] = _value(variable)
        chosen = chosen_rows(rows, len(new[path]), where)
        new[path][chosen] = starts[path][chosen]
    for path, whole in new.items():
        held[path].assign(whole)


def carried_variables(layer: Any) -> dict[str, Any]:
    """Give the variables of a layer's carried state by path; none if it carries nothing."""
    if is_bidirectional(layer):
        return {
            f"{direction}/{path}": variable
            for direction, one in directions_of(layer).items()
            for path, variable in carried_variables(one).items()
        }
    if not layer.stateful or layer.states is None:
        return {}
    if isinstance(layer, RNN):
        return layer.carried_variables()
    flat = keras.tree.flatten(layer.states)
    return dict(zip(states.flatten(spec_of(layer)), flat, strict=True))


def _start(layer: Any) -> dict[str, np.ndarray]:
    """Give the state that a stateful layer starts from, by path: zeros, or what its cell says."""
    if is_bidirectional(layer):
        return {
            f"{direction}/{path}": value
            for direction, one in directions_of(layer).items()
            for path, value in _start(one).items()
        }
    batch = next(iter(carried_variables(layer).values())).shape[0]
    start = steps_of(layer.cell).initial(batch)
    return {path: np.array(keras.ops.convert_to_numpy(v)) for path, v in states.leaves(start)}


def _stateful(model: Any, who: str) -> dict[str, Any]:
    layers = recurrent_layers(model, _where(model, who))
    return {name: layer for name, layer in layers.items() if layer.stateful}


def _held(model: Any, who: str) -> dict[str, Any]:
    """Give the variables of all carried states by path, or say why there are none."""
    where = _where(model, who)
    stateful = _stateful(model, who)
    if not stateful:
        raise NoStateError(
            message(
                where,
                "no layer carries a state between calls (stateful=False in all of "
                f"{', '.join(recurrent_layers(model, where))}).",
                "Make the layers with stateful=True. To look at the states of a run, "
                "seqstate.trace(model, x) works with any model.",
            )
        )
    held = {
        f"{name}/{path}": variable
        for name, layer in stateful.items()
        # A layer that the model does not run is never built, and carries nothing.
        for path, variable in carried_variables(layer).items()
    }
    if not held:
        raise NoStateError(
            message(
                where,
                f"{', '.join(stateful)}: not built, so the batch size is not known yet.",
                "Call the model once, or start it with keras.Input(batch_shape=(batch, time, "
                "features)).",
            )
        )
    check_at_hand(held.values(), where, "read or change the state")
    return held


def _value(variable: Any) -> np.ndarray:
    return np.array(keras.ops.convert_to_numpy(variable.value))


def _where(model: Any, who: str) -> str:
    return f'{who}("{getattr(model, "name", type(model).__name__)}")'
