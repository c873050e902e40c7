"""What is checked of a call before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from seqstate import state as states
from seqstate.errors import InputError, message


def check_sequences(sequences: Any, where: str, exact: bool) -> None:
    """Refuse an input that is not `[batch, time, features]`.

    Raises:
        InputError: several tensors, something that is no array of numbers, another rank (a
            higher one is fine unless `exact`), no time step.
    """
    if isinstance(sequences, list | tuple | Mapping):
        raise InputError(message(where, *_several(sequences)))
    if not hasattr(sequences, "shape"):
        raise InputError(
            message(
                where,
                f"got {type(sequences).__name__}; expected an array or a tensor, "
                "[batch, time, features].",
                "Pass the data itself.",
            )
        )
    shape, dtype = states.describe_array(sequences)
    if any(kind in dtype for kind in ("str", "object", "complex", "datetime")):
        raise InputError(
            message(
                where,
                f"the input has dtype {dtype}; expected numbers.",
                'Convert it first: numpy.asarray(x, dtype="float32").',
            )
        )
    if len(shape) < 3 or (exact and len(shape) != 3):
        axes = "1 axis" if len(shape) == 1 else f"{len(shape)} axes"
        raise InputError(
            message(
                where,
                f"the input has shape {shape}, {axes}; expected 3: [batch, time, features].",
                _rank_advice(sequences),
            )
        )
    if shape[1] == 0:
        raise InputError(
            message(
                where,
                f"the input has shape {shape}: its time axis is empty.",
                "Pass at least one time step. Where some rows of a batch are empty, pad them "
                "and say lengths=[...]; a length of zero is fine.",
            )
        )


def _several(given: Any) -> tuple[str, str]:
    """Say what is wrong with a container in the place of a tensor, and what to do."""
    kind = type(given).__name__
    if isinstance(given, Mapping):
        return (
            f"got a dict with {', '.join(map(repr, given))}; expected one tensor, "
            "[batch, time, features].",
            'Pass one result, for example r["sequence"]; a state goes into initial_state.',
        )
    padded = 'keras.utils.pad_sequences(series, dtype="float32", padding="post") and lengths=[...]'
    if given and all(hasattr(part, "shape") for part in given):
        return (
            f"got {len(given)} tensors in a {kind}; expected one, [batch, time, features].",
            "A layer with return_state=True gives several: take the one you mean, as in "
            "sequence, *state = layer(x), and pass states as initial_state. Several series: "
            f"numpy.stack them, or {padded}.",
        )
    return (
        f"got a Python {kind}; expected an array or a tensor, [batch, time, features].",
        f"Convert it first: numpy.asarray(x, dtype='float32'). Series of unequal length: {padded}.",
    )


def _rank_advice(sequences: Any) -> str:
    shape, dtype = states.describe_array(sequences)
    if len(shape) == 2:
        b, n = ("batch" if size is None else size for size in shape)
        advice = (
            f"If these are {n} time steps of one feature: x[..., None], shape ({b}, {n}, 1). "
            f"If they are {n} features at one time step: x[:, None, :], shape ({b}, 1, {n})."
        )
        if isinstance(sequences, keras.KerasTensor):
            below = "If it comes from a recurrent layer, give that one return_sequences=True. "
            return below + advice
        if "int" in dtype:
            return "If these are token ids, put a keras.layers.Embedding before. " + advice
        return f"{advice} If it is one series of {b} steps: x[None], shape (1, {b}, {n})."
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


def unknown_features(where: str, shape: tuple[int | None, ...]) -> InputError:
    """Make the error for an input whose number of features is not known."""
    return InputError(
        message(
            where,
            f"the input has shape {shape}: the number of features is not known.",
            "Give it in keras.Input((time, features)); time may be None, features not.",
        )
    )


def check_carried_batch(sequences: Any, carried: int, where: str) -> None:
    """Refuse another number of rows than a stateful layer carries the state of.

    Raises:
        InputError: another number.
    """
    rows = sequences.shape[0]
    if rows not in (None, carried):
        raise InputError(_wrong_rows(rows, carried, where))


def with_carried_batch(sequences: Any, carried: int, where: str) -> Any:
    """Give the input, and see to it that it has the rows that a stateful layer carries.

    Inside a TensorFlow graph the number is known only when the graph runs; there TensorFlow
    raises its own error, with the same message, before the input is used.
    """
    if sequences.shape[0] is not None or isinstance(sequences, keras.KerasTensor):
        return sequences
    import tensorflow as tf

    text = _wrong_rows("another number of", carried, where)
    same = tf.debugging.assert_equal(tf.shape(sequences)[0], carried, message=text)
    with tf.control_dependencies([same]):
        return tf.identity(sequences)


def _wrong_rows(rows: Any, carried: int, where: str) -> str:
    return message(
        where,
        f"stateful=True: the input has {rows} rows; the layer carries the state of {carried}.",
        f"Use batch_size={carried} in fit, evaluate and predict, with a number of samples that "
        f"{carried} divides.",
    )


def as_array(value: Any) -> Any:
    """Give a list of truth values, or of such lists, as an array; leave anything else."""
    if isinstance(value, list | tuple) and not any(hasattr(part, "dtype") for part in value):
        return np.asarray(value)
    return value


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

    Inside a compiled model the numbers are not known; there a length below 0 counts as 0, one
    above the number of steps as all of them.

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
                'Convert them first: numpy.asarray(lengths, dtype="int32"); as an input of a '
                'model: keras.Input((), dtype="int32").',
            )
        )
    known = _numbers(value)
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


def _numbers(value: Any) -> np.ndarray[Any, Any] | None:
    """Give the numbers of an array or a tensor, where they are known."""
    if isinstance(value, keras.KerasTensor):
        return None
    try:
        return np.asarray(value if isinstance(value, list) else ops.convert_to_numpy(value))
    except (TypeError, AttributeError, NotImplementedError):
        return None  # a tensor of a program that is being compiled
