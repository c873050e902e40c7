"""The times that were given for the steps: checked, and made fit for an axis."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from seqstate.errors import ArgumentError, message

# A place on an axis of dates is a float, of days in matplotlib and of milliseconds in Bokeh. Near
# today these tell times apart that are a quarter of a microsecond apart, and no closer ones.
_FINEST_DATES = np.timedelta64(10, "us")


@dataclass(frozen=True)
class Times:
    """Times as an axis shows them.

    Attributes:
        values: `[time]`, `datetime64` or numbers, rising.
        label: what they are, such as "time".
    """

    values: np.ndarray
    label: str

    def __len__(self) -> int:
        return len(self.values)

    @property
    def dated(self) -> bool:
        """Whether they are dates."""
        return is_dated(self.values)


def is_dated(time: np.ndarray) -> bool:
    """Tell whether times are `datetime64`."""
    return np.issubdtype(time.dtype, np.datetime64)


def read_times(time: Any, lengths: Collection[int], where: str) -> Times:
    """Read the times of the steps.

    Dates that lie too close for an axis of dates become numbers that count from the first one.

    Args:
        time: `[time]` numbers or `datetime64`, or dates of Python's own.
        lengths: how many steps there are; one of them has to be that of `time`.
        where: who asks, for messages.

    Raises:
        ArgumentError: the times are of another kind or length, or don't rise.

    Example:
        >>> read_times([0.5, 1.0, 4.0], {3}, "here")
        Times(values=array([0.5, 1. , 4. ]), label='time')
    """
    times = _as_array(time)
    if times is None or times.ndim != 1 or times.dtype.kind not in "iufM":
        raise ArgumentError(
            message(
                where,
                f"time is {_described(time)}; expected rising numbers or datetime64, [time].",
                'Convert it, for example numpy.asarray(time, dtype="datetime64[s]"), or leave '
                "it out to count the steps.",
            )
        )
    if len(times) not in lengths:
        has = " and ".join(str(length) for length in sorted(set(lengths)))
        raise ArgumentError(
            message(
                where,
                f"time has {len(times)} entries; the sequences have {has} time steps.",
                "Pass one entry for each time step, or leave it out to count the steps.",
            )
        )
    _check_rising(times, where)
    if is_dated(times) and len(times) > 1:
        return _dates(times)
    return Times(times, "time")


def _as_array(time: Any) -> np.ndarray | None:
    try:
        times = np.asarray(time)
        if times.dtype != object:
            return times
        # Anything else, such as whole numbers, would be read as dates without a word.
        dates = all(isinstance(one, date | np.datetime64) for one in times.ravel())
        return times.astype("datetime64[us]") if dates else None
    except (TypeError, ValueError):
        return None


def _check_rising(times: np.ndarray, where: str) -> None:
    known = np.isfinite(times)
    # Compared, not subtracted: unsigned numbers have no differences below zero.
    rises = known[1:] & known[:-1] & (times[1:] > times[:-1])
    if known.all() and rises.all():
        return
    if known.all():
        at = int(np.argmin(rises)) + 1
        what = f"time[{at}] is {times[at]}, after {times[at - 1]}"
    else:
        at = int(np.argmin(known))
        what = f"time[{at}] is {times[at]}"
    raise ArgumentError(
        message(
            where,
            f"{what}; expected times that rise from each step to the next.",
            "Sort the data by time, and keep one entry for each time.",
        )
    )


def _dates(times: np.ndarray) -> Times:
    closest = np.diff(times).min()
    if closest >= _FINEST_DATES:
        return Times(times, "time")
    micro = np.timedelta64(1, "us")
    unit, one = ("us", micro) if closest >= micro else ("ns", np.timedelta64(1, "ns"))
    passed = (times - times[0]) / one
    return Times(passed, f"time, {unit} after {str(times[0]).replace('T', ' ')}")


def _described(value: Any) -> str:
    if isinstance(value, Mapping | str) or not hasattr(value, "__len__"):
        return repr(value)
    try:
        array = np.asarray(value)
    except ValueError:
        array = np.asarray(value, dtype=object)
    first = f" that starts with {array.ravel()[:2].tolist()}" if array.size else ""
    return f"a {type(value).__name__} of shape {array.shape} and type {array.dtype}{first}"
