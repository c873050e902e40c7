"""What is checked of a call before anything is computed, and what the masks come to."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from seqstate import state as states
from seqstate.errors import InputError, message
from seqstate.state import Spec


def check_sequences(sequences: Any, where: str, rank: int | None = 3) -> None:
    """Refuse an input that is not `[batch, time, features]`.

    Raises:
        InputError: several tensors, something that is no array, another rank, no time step.
    """
    if isinstance(sequences, list | tuple | Mapping):
        parts = list(sequences.values()) if isinstance(sequences, Mapping) else list(sequences)
        if parts and all(hasattr(part, "shape") for part in parts):
            raise InputError(
                message(
                    where,
                    f"got {len(parts)} tensors in a {type(sequences).__name__}; expected one, "
                    "[batch, time, features].",
                    "A layer with return_state=True or returns= gives several: take the one you "
                    "mean, as in sequence, *state = layer(x), and pass states as initial_state.",
                )
            )
        raise InputError(
            message(
                where,
                f"got a Python {type(sequences).__name__}; expected an array or a tensor, "
                "[batch, time, features].",
                "Convert it first: numpy.asarray(x, dtype='float32').",
            )
        )
    if not hasattr(sequences, "shape"):
        raise InputError(
            message(
                where,
                f"got {type(sequences).__name__}; expected an array or a tensor, "
                "[batch, time, features].",
                "Pass the data itself.",
            )
        )
    shape = tuple(sequences.shape)
    if rank is not None and len(shape) != rank:
        raise InputError(message(where, _rank_text(shape, rank), _rank_advice(shape)))
    if len(shape) > 1 and shape[1] == 0:
        raise InputError(
            message(
                where,
                f"the input has shape {shape}: its time axis is empty.",
                "Pass at least one time step. Where some rows of a batch are empty, pad them "
                "and say lengths=[...]; a length of zero is fine.",
            )
        )


def _rank_text(shape: tuple[int | None, ...], rank: int) -> str:
    return (
        f"the input has shape {shape}, {len(shape)} axes; expected {rank}: "
        "[batch, time, features]."
    )


def _rank_advice(shape: tuple[int | None, ...]) -> str:
    if len(shape) == 2:
        b, n = ("batch" if size is None else size for size in shape)
        return (
            f"If these are {n} time steps of one feature: x[..., None], shape ({b}, {n}, 1). "
            f"If they are {n} features at one time step: x[:, None, :], shape ({b}, 1, {n}). "
            f"If it is one series of {b} steps: x[None], shape (1, {b}, {n})."
        )
    if len(shape) == 1:
        return f"One series of one feature: x.reshape(1, -1, 1), shape (1, {shape[0]}, 1)."
    return (
        "Put the axes after time together: x.reshape(batch, time, -1); or run the layer on each "
        "part with keras.layers.TimeDistributed."
    )


def wrong_features(where: str, shape: tuple[int | None, ...], features: int) -> InputError:
    """Make the error for an input of another width than the layer was built for."""
    return InputError(
        message(
            where,
            f"the input has shape {shape}, {shape[-1]} features; the layer was built for "
            f"{features}.",
            f"Pass [batch, time, {features}], or make a new layer for {shape[-1]} features. "
            "Any number of time steps is fine.",
        )
    )


def check_initial_state(spec: Spec, given: Any, batch: int | None, where: str) -> None:
    """Refuse an initial state that does not fit; see `state.name_leaves` and `check_leaf`."""
    sizes = states.flatten(spec)
    for path, value in states.name_leaves(spec, given, where).items():
        states.check_leaf(value, sizes[path], batch, where, path, "initial_state")


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


def check_steps(value: Any, sequences: Any, where: str, name: str) -> None:
    """Refuse a `mask` or a `reset_mask` whose axes are not the input's batch and time.

    Raises:
        InputError: another shape.
    """
    shape, _ = states.describe_array(value)
    if len(shape) == 3 and name == "mask":
        shape = shape[:2]
    expected = tuple(sequences.shape[:2])
    same = len(shape) == 2 and all(
        a is None or b is None or a == b for a, b in zip(shape, expected, strict=True)
    )
    if not same:
        raise InputError(
            message(
                where,
                f"{name} has shape {shape}; expected {expected}, [batch, time].",
                "Give one True or False for each time step of each row.",
            )
        )


def check_lengths(value: Any, sequences: Any, where: str) -> None:
    """Refuse `lengths` that are no whole numbers, one a row, from 0 to the number of steps.

    The numbers themselves can be checked only where they are known: not inside a compiled
    model.

    Raises:
        InputError: another shape, another type, a number out of range.
    """
    shape, dtype = states.describe_array(value)
    batch, time = sequences.shape[:2]
    if len(shape) != 1 or (None not in (shape[0], batch) and shape[0] != batch):
        raise InputError(
            message(
                where,
                f"lengths has shape {shape}; expected ({batch},), [batch].",
                "Give one number for each row: how many of its steps count.",
            )
        )
    if "int" not in dtype:
        raise InputError(
            message(
                where,
                f"lengths has dtype {dtype}; expected whole numbers.",
                'Convert them first: numpy.asarray(lengths, dtype="int32").',
            )
        )
    known = np.asarray(value) if isinstance(value, list | tuple | np.ndarray) else None
    if known is not None and known.size:
        low, high = int(known.min()), int(known.max())
        if low < 0 or (time is not None and high > time):
            raise InputError(
                message(
                    where,
                    f"lengths goes from {low} to {high}; expected 0 to {time}, the number of "
                    "time steps.",
                    "A length counts the steps of a row that are real; the rest is padding at "
                    "the end.",
                )
            )


def warn_of_dropped_mask(sequences: Any, where: str) -> None:
    """Warn that a mask that travels with the input is not used, as in Keras."""
    if getattr(sequences, "_keras_mask", None) is not None:
        warnings.warn(
            message(
                where,
                "the input carries a mask that is not used, because initial_state was given as "
                "a list (Keras's own layers drop it silently).",
                "Pass mask=... as well, or give the initial state by name as a dict: then the "
                "mask is used. Pass mask=None with a dict without it to ignore the mask.",
            ),
            stacklevel=4,
        )


def steps_that_count(sequences: Any, mask: Any, lengths: Any) -> Any:
    """Bring `mask` and `lengths` together as one `[batch, time]` bool mask, or None."""
    if mask is not None:
        mask = ops.cast(keras.tree.flatten(mask)[0], "bool")
        if len(mask.shape) == 3:
            mask = ops.any(mask, axis=-1)
    if lengths is not None:
        lengths = ops.cast(ops.convert_to_tensor(lengths), "int32")
        inside = ops.arange(ops.shape(sequences)[1], dtype="int32") < lengths[:, None]
        mask = inside if mask is None else ops.logical_and(mask, inside)
    return mask


def zero_where_skipped(value: Any, mask: Any) -> Any:
    """Put zeros where `mask`, which has the leading axes of `value`, is False."""
    for _ in range(len(value.shape) - len(mask.shape)):
        mask = ops.expand_dims(mask, -1)
    return ops.where(mask, value, ops.zeros_like(value))


def resets_in_running_order(reset_mask: Any, go_backwards: bool) -> Any:
    """Give, for each step, whether the state is dropped before it in the order of the run.

    `reset_mask` marks the first step of each sequence in the order of the input. Run forwards,
    the state is dropped before that step; run backwards, before the step that precedes it, so
    that the cut lies between the same two steps.
    """
    if reset_mask is None:
        return None
    reset_mask = ops.cast(reset_mask, "bool")
    if not go_backwards:
        return reset_mask
    return ops.concatenate([reset_mask[:, 1:], ops.zeros_like(reset_mask[:, :1])], axis=1)
