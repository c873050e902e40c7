"""A state in a file: safetensors, with names as paths (`encoder/forward/c`).

Nothing in such a file is code, and any program that reads safetensors can read it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
from safetensors.numpy import save_file

from seqstate import state as states
from seqstate.errors import DataError, StateMismatchError, message
from seqstate.files import existing_file, whole_file
from seqstate.state import State

_FORMAT = "seqstate state 1"
# The format keeps this name for itself.
_RESERVED = "__metadata__"
_LARGEST = 8  # bytes


def save_state(path: str | os.PathLike[str], state: Mapping[str, Any]) -> Path:
    """Write a state, of a model or of a layer, into a file.

    Args:
        path: of the file, ending in `.safetensors`; replaced if it is there.
        state: a nested dict of arrays, as `get_state` gives it.

    Returns:
        The path.

    Raises:
        StateMismatchError: no dict, an empty one, a name that can't be part of a path, or a value
            that is no array of numbers.
        ArgumentError: another ending, or a place that can't be written to.

    Example:
        >>> import numpy as np, seqstate, tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "state.safetensors"
        >>> _ = seqstate.save_state(path, {"lstm": {"h": np.zeros((2, 3)), "c": np.ones((2, 3))}})
        >>> seqstate.load_state(path)["lstm"]["c"][0]
        array([1., 1., 1.])
    """
    flat = _checked(state)
    # The file sorts its names.
    order = json.dumps(list(flat))
    with whole_file(path, "save_state", ".safetensors") as aside:
        save_file(flat, aside, metadata={"format": _FORMAT, "order": order})
    return Path(path)


def load_state(path: str | os.PathLike[str]) -> State:
    """Read a state that `save_state` wrote, or any safetensors file with paths as names.

    `set_state` holds it against the model that it is for.

    Returns:
        A nested dict of NumPy arrays, in the order in which it was saved.

    Raises:
        DataError: the file is not there, is damaged, or its names make no state.
    """
    found = existing_file(path, "load_state")
    try:
        with safetensors.safe_open(found, framework="numpy") as file:
            flat = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            about = file.metadata() or {}
        order = json.loads(about.get("order", "null")) or sorted(flat)
        if sorted(order) != sorted(flat):
            raise ValueError("the names in its header are not those of its arrays")
        _check_paths(order)
    except (safetensors.SafetensorError, OSError, ValueError, TypeError) as error:
        raise DataError(
            message(
                "load_state",
                f'"{found}" is no state, or it is damaged: {error}.',
                "Pass a file that seqstate.save_state wrote, whole.",
            )
        ) from error
    return states.unflatten({name: flat[name] for name in order})


def _checked(state: Any) -> dict[str, np.ndarray]:
    """Give the arrays of a state by path."""

    def wrong(what: str, todo: str) -> StateMismatchError:
        return StateMismatchError(message("save_state", what, todo))

    if not isinstance(state, Mapping):
        raise wrong(
            f"state is a {type(state).__name__}; expected a dict by name.",
            "The order is save_state(path, state); seqstate.get_state(model) gives a state.",
        )
    _check_names(state, wrong)
    flat = {}
    for path, leaf in states.leaves(state):
        if hasattr(leaf, "detach"):
            # NumPy knows no bfloat16 of torch's.
            leaf = leaf.detach().cpu().float() if "bfloat16" in str(leaf.dtype) else leaf.detach()
        array = _array(leaf, path, wrong)
        flat[path] = np.ascontiguousarray(array)
    if not flat:
        raise wrong("the state is empty.", "Pass what seqstate.get_state(model) gives.")
    return flat


def _array(leaf: Any, path: str, wrong: Any) -> np.ndarray:
    try:
        array = np.asarray(leaf)
    except ValueError:
        array = np.empty(0, object)
    if array.dtype.kind not in "fiubV" or array.dtype.itemsize > _LARGEST:
        raise wrong(
            f"{path} is a {type(leaf).__name__} ({array.dtype}); expected an array of numbers.",
            "Pass NumPy arrays or tensors of up to 64 bits.",
        )
    return array


def _check_names(state: Mapping[Any, Any], wrong: Any) -> None:
    for name, value in state.items():
        if not isinstance(name, str) or not name or "/" in name or name == _RESERVED:
            raise wrong(
                f"the name {name!r} can't be part of a path.",
                'Use texts without "/", nested as dicts: {"encoder": {"h": ...}}.',
            )
        if isinstance(value, Mapping):
            _check_names(value, wrong)


def _check_paths(paths: list[str]) -> None:
    """Refuse a name that is also the folder of another, and empty names."""
    folders = {
        "/".join(path.split("/")[:i]) for path in paths for i in range(1, path.count("/") + 1)
    }
    both = folders & set(paths)
    if both:
        raise ValueError(f"{min(both)} is an array and has names below it")
    if not paths or not all(all(path.split("/")) for path in paths):
        raise ValueError("a name is empty")
