"""`windows`: inputs and targets for forecasting, as views of a series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from seqstate.arguments import whole_number
from seqstate.data.series import is_several, one_series, several_series
from seqstate.errors import ArgumentError, DataError, message

WHERE = "windows"


class Windows(NamedTuple):
    """What `windows` gives for one series; `x, y = windows(...)` takes it apart.

    Attributes:
        x: `[windows, length, features]`, what the model reads.
        y: `[windows, horizon, targets]`, what it has to say; with `every_step` `[windows,
            length, horizon, targets]`.
    """

    x: np.ndarray
    y: np.ndarray


def windows(
    series: Any,
    length: int,
    horizon: int = 1,
    *,
    stride: int = 1,
    gap: int = 0,
    targets: int | Sequence[int] | None = None,
    every_step: bool = False,
) -> Any:
    """Cut windows for forecasting from a series, without copying it.

    Both results are read-only views of the series. To train on them without a copy, see
    `batches`.

    Args:
        series: `[time, features]` or `[time]`; several as a list, or `[series, time, features]`.
            `[time]` of floats is one feature; `[time]` of whole numbers are ids and stay without
            a feature axis.
        length: time steps that the model reads.
        horizon: time steps that it has to say.
        stride: time steps from the start of a window to the start of the next.
        gap: time steps between what is read and what is said.
        targets: the columns to say: one, or several; all by default. Columns that are not evenly
            spaced are copied once.
        every_step: say the next `horizon` steps after each step of the window, not only after
            the last; for layers with `return_sequences=True`.

    Returns:
        `Windows`: `x`, `[windows, length, features]`, and `y`, `[windows, horizon, targets]`
        (with `every_step` `[windows, length, horizon, targets]`). Of several series a list of
        them; no window reaches from one series into another.

    Raises:
        ArgumentError: `length`, `horizon` or `stride` is not a whole number above zero, `gap`
            one from zero on; a column that is not there.
        DataError: a series that can't be read, holds NaN or is too short.

    Example:
        >>> import numpy as np
        >>> x, y = windows(np.arange(6.0), length=3, horizon=2)
        >>> x[..., 0]
        array([[0., 1., 2.],
               [1., 2., 3.]])
        >>> y[..., 0]
        array([[3., 4.],
               [4., 5.]])
    """
    length = whole_number(length, WHERE, "length")
    horizon = whole_number(horizon, WHERE, "horizon")
    stride = whole_number(stride, WHERE, "stride")
    gap = whole_number(gap, WHERE, "gap", least=0)
    several = is_several(series)
    read = several_series(series, WHERE) if several else [one_series(series, WHERE)]
    found = []
    for number, one in enumerate(read):
        needed = length + gap + horizon
        if len(one) < needed:
            raise DataError(
                message(
                    WHERE,
                    f"{f'series[{number}]' if several else 'the series'} has {len(one)} steps; "
                    f"expected at least {needed}: length={length} + "
                    + (f"gap={gap} + " if gap else "")
                    + f"horizon={horizon}.",
                    "Use shorter windows" + (", or leave the series out." if several else "."),
                )
            )
        count = len(one) - needed + 1
        x = _sliding(one, length)[:count:stride]
        said = _sliding(_columns(one, targets)[1 + gap :], horizon)
        y = _sliding(said, length) if every_step else said[length - 1 :]
        found.append(Windows(x, y[:count:stride]))
    return found if several else found[0]


def _sliding(array: np.ndarray, size: int) -> np.ndarray:
    """Give `[starts, size, ...]`, the windows of `size` along the first axis, as a view."""
    return np.moveaxis(sliding_window_view(array, size, axis=0), -1, 1)


def _columns(series: np.ndarray, targets: int | Sequence[int] | None) -> np.ndarray:
    """Give the target columns; a view where they are evenly spaced."""
    if targets is None:
        return series
    features = series.shape[1] if series.ndim > 1 else 0
    columns = np.atleast_1d(np.asarray(targets))
    if columns.ndim != 1 or not columns.size or columns.dtype.kind not in "iu":
        raise ArgumentError(
            message(
                WHERE,
                f"targets={targets!r} does not name columns.",
                "Pass the number of a column or a list of numbers, for example targets=[0].",
            )
        )
    if columns.min() < -features or columns.max() >= features:
        raise ArgumentError(
            message(
                WHERE,
                f"targets={targets!r} is out of range; the series has {features} features.",
                f"Pass numbers from 0 to {features - 1}."
                if features
                else "Leave targets out: a series of ids has no feature axis.",
            )
        )
    columns = columns % features
    steps = np.diff(columns)
    if len(columns) == 1:
        return series[:, columns[0] : columns[0] + 1]
    if steps[0] > 0 and (steps == steps[0]).all():
        return series[:, columns[0] : columns[-1] + 1 : steps[0]]
    return series[:, columns]
