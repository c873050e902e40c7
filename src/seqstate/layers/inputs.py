"""What is checked of a call before anything is computed."""

from __future__ import annotations

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
        f"the input has shape {shape}, {len(shape)} axes; expected {rank}: [batch, time, features]."
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


def check_carried_batch(sequences: Any, carried: int, where: str) -> None:
    """Refuse another number of rows than a stateful layer carries the state of.

    Inside a TensorFlow graph the number is known only when the graph runs; there TensorFlow
    raises its own error with the same message.

    Raises:
        InputError: another number.
    """
    rows = sequences.shape[0]
    text = message(
        where,
        f"stateful=True: the input has {'another number of' if rows is None else rows} rows; the "
        f"layer carries the state of {carried}.",
        f"Use batch_size={carried} in fit, evaluate and predict, with a number of samples that "
        f"{carried} divides.",
    )
    if rows not in (None, carried):
        raise InputError(text)
    if rows is None and not isinstance(sequences, keras.KerasTensor):
        import tensorflow as tf

        tf.debugging.assert_equal(tf.shape(sequences)[0], carried, message=text)


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
        return type(given)(numbers_as_arrays(value) for value in given)
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
