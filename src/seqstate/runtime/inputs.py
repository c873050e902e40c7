"""What a model is given, checked and made into arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from seqstate.errors import InputError, message
from seqstate.runtime.plan.value import Shape, flat

Array = Any


class Input(NamedTuple):
    """One input of a model.

    Attributes:
        name: of it.
        shape: with the batch first; None where any size will do.
        dtype: "float32", or a type of whole numbers.
        time: whether axis 1 is the time axis of the stream.
        key: of the dict of inputs that the model was built with; else the name.
    """

    name: str
    shape: Shape
    dtype: np.dtype[Any]
    time: bool
    key: str = ""

    def read(self, given: Any, where: str, step: bool = False) -> Array:
        """Give an array of what was passed.

        Args:
            given: an array, or what NumPy makes one of.
            where: the model, for messages.
            step: whether it is one time step: `[batch, features]`.

        Raises:
            InputError: no numbers, or another shape.
        """
        array = (
            given
            if isinstance(given, np.ndarray)
            else _as_array(given, f"the input {self.name!r}", where)
        )
        if array.dtype != self.dtype:
            if array.dtype.kind not in "fiub":
                raise InputError(
                    message(
                        where,
                        f"the input {self.name!r} has dtype {array.dtype}; expected numbers.",
                        'Convert it first: numpy.asarray(x, dtype="float32").',
                    )
                )
            array = self._converted(array, where)
        expected = self.shape
        if step and self.time:
            expected = (expected[0], *expected[2:])
        elif self.time:
            expected = (expected[0], None, *expected[2:])
        shape = array.shape
        if len(shape) != len(expected) or any(
            want is not None and want != got
            for want, got in zip(expected[1:], shape[1:], strict=True)
        ):
            raise self._wrong(shape, expected, where, step)
        if self.time and not step and shape[1] == 0:
            raise InputError(
                message(
                    where,
                    f"the input {self.name!r} has shape {shape}: its time axis is empty.",
                    "Pass at least one time step.",
                )
            )
        return array[:, None] if step and self.time else array

    def _converted(self, array: Array, where: str) -> Array:
        """Give another type; whole numbers must stay what they are."""
        if self.dtype.kind == "f":
            with np.errstate(over="ignore"):
                return array.astype(self.dtype)
        with np.errstate(invalid="ignore"):
            made = array.astype(self.dtype)
        if self.dtype.kind in "iu" and not np.array_equal(made, array):
            raise InputError(
                message(
                    where,
                    f"the input {self.name!r} holds numbers that {self.dtype} does not: "
                    f"{array[made != array].ravel()[:3].tolist()}.",
                    "Pass whole numbers, such as token ids, in the range of the type.",
                )
            )
        return made

    def _wrong(self, shape: Shape, expected: Shape, where: str, step: bool) -> InputError:
        names = ["batch", "time", "features"] if self.time and not step else ["batch", "features"]
        axes = ", ".join((*names, "...")[: len(expected)])
        todo = f"Pass [{axes}]."
        if self.time and step and len(shape) == len(expected) + 1:
            todo = f"Pass one time step, [{axes}]; whole sequences go to `run`."
        elif self.time and not step and len(shape) == len(expected) - 1:
            todo = f"Pass [{axes}]: one sequence is x[None]; one time step goes to `step`."
        return InputError(
            message(
                where,
                f"the input {self.name!r} has shape {tuple(shape)}; expected "
                f"{('batch', *expected[1:])}.".replace("'batch'", "batch").replace("None", "any"),
                todo,
            )
        )


def _as_array(given: Any, name: str, where: str) -> Array:
    try:
        return np.asarray(given)
    except (ValueError, TypeError) as error:
        raise InputError(
            message(
                where,
                f"{name} is no array: {error}.",
                "Pass numbers, each row of the same length; shorter rows padded, with lengths=.",
            )
        ) from error


def by_input(inputs: Sequence[Input], given: Any, where: str, what: str = "x") -> list[Any]:
    """Give what was passed for each input, in order.

    Args:
        inputs: of the model.
        given: one array for one input; several as a list in order, or as a dict by name; a dict
            may also have the keys that the model was built with.
        where: the model, for messages.
        what: the argument, for messages.

    Raises:
        InputError: too few, too many, or unknown names.
    """
    names = [one.name for one in inputs]
    if isinstance(given, Mapping):
        keys = [one.key for one in inputs]
        if set(given) == set(keys):
            return [given[key] for key in keys]
        if set(given) != set(names):
            raise InputError(
                message(
                    where,
                    f"{what} has {', '.join(map(repr, given)) or 'nothing'}; expected "
                    f"{', '.join(map(repr, names))}.",
                    "Pass one array for each input, by its name.",
                )
            )
        return [given[name] for name in names]
    if len(inputs) == 1:
        many = isinstance(given, list | tuple) and len(given) == 1 and hasattr(given[0], "shape")
        return [given[0] if many else given]
    if not isinstance(given, list | tuple) or len(flat(given)) != len(inputs):
        raise InputError(
            message(
                where,
                f"{what} is one {type(given).__name__}; the model has {len(inputs)} inputs.",
                f"Pass a dict: {{{', '.join(f'{name!r}: ...' for name in names)}}}.",
            )
        )
    return list(given) if len(given) == len(inputs) else flat(given)


def read_mask(given: Any, array: Array, where: str) -> Array:
    """Give a mask as `[batch, time]` bool.

    Raises:
        InputError: another shape.
    """
    mask = _as_array(given, "mask", where)
    if mask.ndim == 3 and mask.shape[2] == 1:
        mask = mask[..., 0]
    if mask.shape != array.shape[:2]:
        raise InputError(
            message(
                where,
                f"mask has shape {mask.shape}; expected {array.shape[:2]}, [batch, time].",
                "Give one True or False for each time step of each row.",
            )
        )
    return mask.astype(bool)


def mask_of_lengths(given: Any, array: Array, where: str) -> Array:
    """Give the mask that lengths mean.

    Raises:
        InputError: not one whole number a row, from 0 to the number of steps.
    """
    lengths = _as_array(given, "lengths", where)
    batch, time = array.shape[:2]
    right = lengths.shape == (batch,) and lengths.dtype.kind in "iu"
    if not right or (lengths.size and (lengths.min() < 0 or lengths.max() > time)):
        raise InputError(
            message(
                where,
                f"lengths is {str(lengths.tolist())[:60]}; expected {batch} whole numbers from 0 "
                f"to {time}.",
                "Give one number for each row: how many of its steps count.",
            )
        )
    return np.arange(time) < lengths[:, None]
