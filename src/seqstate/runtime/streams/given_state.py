"""A state that a user gives, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from seqstate import state as states
from seqstate.errors import StateMismatchError, message
from seqstate.runtime.streams.places import Array, Places, empty
from seqstate.runtime.streams.stepping import Stepping


def checked_state(state: Mapping[str, Any], stepping: Stepping, where: str) -> list[Array]:
    """Give the leaves of a state, each `[1, *sizes]`.

    Raises:
        StateMismatchError: a leaf that is missing, of another name or size, or NaN.
    """
    spec = stepping.model.state_spec
    named = states.name_leaves(spec, state, where, "state")
    flat = states.flatten(spec)
    missing = [path for path in flat if path not in named]
    if missing:
        raise StateMismatchError(
            message(
                where,
                f"state lacks {', '.join(missing)}.",
                "Pass all of it: change what state(key) gives.",
            )
        )
    leaves = []
    for path, start in zip(flat, stepping.start, strict=True):
        states.check_leaf(named[path], flat[path], 1, where, path, "state")
        leaf = np.broadcast_to(np.asarray(named[path], start.dtype), start.shape)
        if np.isnan(leaf).any():
            raise StateMismatchError(
                message(
                    where,
                    f"state has NaN in {path}.",
                    "Every step from there would give NaN: pass numbers.",
                )
            )
        leaves.append(leaf)
    return leaves


def place_at(leaves: Sequence[Array], stepping: Stepping, number: int) -> Places:
    """Give the place of a key that stands at a state, after the push of a number."""
    place = empty(1, stepping.start, 0, stepping.width)
    for leaf, value in zip(place.leaves, leaves, strict=True):
        leaf[:] = value
    place.number[:] = number
    return place
