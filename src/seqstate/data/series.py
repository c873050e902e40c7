"""Series as they are given: read as views, and checked once.

A series is `[time, features]`, or has more axes after time. `[time]` of floats is one feature,
`[time, 1]`; `[time]` of whole numbers stays as it is: these are ids, for an `Embedding`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from seqstate.errors import DataError, message

# To look for NaN needs a bool for each number: of a long series only so many steps at a time.
_BLOCK = 1 << 16


def one_series(given: Any, where: str, name: str = "series") -> np.ndarray:
    """Give one series as an array, a view of what was given if that was an array.

    Raises:
        DataError: no numbers, no time axis, NaN.
    """
    try:
        array = np.asarray(given)
    except (ValueError, TypeError) as error:
        raise DataError(
            message(
                where,
                f"{name} can't be read as an array: {str(error).splitlines()[0]}.",
                "Pass [time, features] or [time]; several series as a list of such arrays.",
            )
        ) from error
    if array.dtype.kind not in "fiub":
        raise DataError(
            message(
                where,
                f"{name} has dtype {array.dtype}; expected numbers.",
                'Convert it first: numpy.asarray(series, dtype="float32").',
            )
        )
    if array.ndim == 0:
        raise DataError(
            message(
                where,
                f"{name} is a single number; expected [time, features] or [time].",
                "Pass one series as an array, several as a list of arrays: "
                "numpy.asarray(series) makes an array of a list of numbers.",
            )
        )
    if 0 in array.shape[1:]:
        raise DataError(
            message(
                where,
                f"{name} has shape {array.shape}: no features.",
                "Pass at least one feature for each step.",
            )
        )
    _refuse_nan(array, where, name)
    return array[:, None] if array.ndim == 1 and array.dtype.kind == "f" else array


def several_series(given: Any, where: str, name: str = "series") -> list[np.ndarray]:
    """Give one or several series as a list of arrays that agree in all but their length.

    Args:
        given: one series; or a list of them; or an array `[series, time, features]`.
        where: who reads, for messages.
        name: the argument, for messages.

    Raises:
        DataError: as for `one_series`; no series; series of another shape or type than the first.
    """
    if not is_several(given):
        return [one_series(given, where, name)]
    found = [one_series(one, where, f"{name}[{i}]") for i, one in enumerate(given)]
    if not found:
        raise DataError(
            message(where, f"{name} is empty.", "Pass at least one series, [time, features].")
        )
    for i, one in enumerate(found):
        ids = [array.dtype.kind != "f" for array in (found[0], one)]
        if one.shape[1:] != found[0].shape[1:] or ids[0] != ids[1]:
            raise DataError(
                message(
                    where,
                    f"{name}[{i}] has shape {one.shape} and dtype {one.dtype}, {name}[0] "
                    f"{found[0].shape} and {found[0].dtype}; expected the same but for the "
                    "number of steps.",
                    "Give all series the same features, in the same order and of the same type.",
                )
            )
    return found


def is_several(given: Any) -> bool:
    """Tell whether what was given are several series, not one."""
    return isinstance(given, list | tuple) or len(getattr(given, "shape", ())) > 2


def batch_type(series: Sequence[np.ndarray], floats: str) -> str:
    """Give the dtype of a batch: whole numbers stay whole."""
    return floats if series[0].dtype.kind == "f" else "int32"


def _refuse_nan(array: np.ndarray, where: str, name: str) -> None:
    if array.dtype.kind != "f":
        return
    for start in range(0, len(array), _BLOCK):
        bad = np.isnan(array[start : start + _BLOCK])
        if bad.any():
            step = start + int(np.argwhere(bad)[0][0])
            raise DataError(
                message(
                    where,
                    f"{name} is NaN at step {step}.",
                    "Fill the gaps, or cut the series there and pass the parts as a list.",
                )
            )
