"""The check of the arrays that the native kernels check by themselves, in their words."""

from __future__ import annotations

from typing import Any

import numpy as np

from seqstate.errors import InputError, message


def float_array(where: str, name: str, value: Any, *shape: int | None) -> np.ndarray:
    """Give a value that is a float32 array of this shape, None standing for any size.

    Raises:
        InputError: it is another one; without a shape, any will do.
    """
    array = np.asarray(value)
    if array.dtype != np.float32:
        raise InputError(
            message(where, f"{name} has dtype {array.dtype}; expected float32", "Cast it.")
        )
    fits = len(shape) == array.ndim and all(
        size in (None, found) for size, found in zip(shape, array.shape, strict=True)
    )
    if shape and not fits:
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise InputError(
            message(
                where,
                f"{name} has shape {array.shape}; expected ({wanted})",
                "The weights and the other arrays of the call set these sizes.",
            )
        )
    return array
