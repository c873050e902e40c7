"""Numbers with a time axis: read, and refused where one is missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from seqstate.errors import DataError, message
from seqstate.forecast.clock import show


def as_matrix(given: Any, where: str, name: str) -> np.ndarray:
    """Give an array `[time, features]` of finite numbers.

    Raises:
        DataError: no numbers, other axes, or a value that is not finite.
    """
    try:
        array = np.asarray(given)
    except (ValueError, TypeError):
        array = np.empty(0, object)
    if array.dtype.kind not in "fiub" or array.ndim not in (1, 2) or 0 in array.shape[1:]:
        raise DataError(
            message(
                where,
                f"{name} is a {type(given).__name__} of shape {array.shape} and type "
                f"{array.dtype}; expected numbers, [time] or [time, features].",
                "Pass an array, a series or a frame of pandas or polars, or several as a list "
                "or a dict.",
            )
        )
    matrix = array.astype("float64")
    matrix = matrix[:, None] if matrix.ndim == 1 else matrix
    check_finite(matrix, where, name)
    return matrix


def check_finite(
    matrix: np.ndarray,
    where: str,
    name: str,
    times: np.ndarray | None = None,
    columns: Sequence[Any] = (),
) -> None:
    """Refuse NaN and infinity.

    Raises:
        DataError: there is one; the message says where the first one is.
    """
    bad = ~np.isfinite(matrix)
    if not bad.any():
        return
    row, column = (int(i) for i in np.argwhere(bad)[0])
    place = f"row {row}" + (f" ({show(times[row])})" if times is not None else "")
    what = f", column {columns[column]!r}" if len(columns) else ""
    value = matrix[row, column]
    raise DataError(
        message(
            where,
            f"{name} is {'missing (NaN)' if np.isnan(value) else value} at {place}{what}; "
            f"{int(bad.any(axis=1).sum())} of {len(matrix)} rows are concerned.",
            "Fill the holes with values that make sense there, for example "
            "frame.interpolate(), or cut the series and pass the parts as a list.",
        )
    )
