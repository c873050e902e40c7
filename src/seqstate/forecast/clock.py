"""The times of a series: checked to be regular, and continued."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from seqstate.errors import DataError, message

_MONTH = 28  # days, at least
_NAMES = ((86400 * 7, "week"), (86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


@dataclass(frozen=True)
class Clock:
    """How one time follows another.

    Attributes:
        kind: "steps" of one length; "months"; "business days", Monday to Friday.
        step: how many: of the unit of the times for "steps", else of months or days.
        dated: whether the times are dates; otherwise they are whole numbers.
        month_end: whether the times stand at the last day of their months.
    """

    kind: str
    step: int
    dated: bool
    month_end: bool = False

    def after(self, last: Any, count: int) -> np.ndarray:
        """Give the `count` times that follow `last`.

        Example:
            >>> monthly = Clock("months", 1, dated=True, month_end=True)
            >>> print(monthly.after(np.datetime64("2024-01-31", "us"), 2).astype("datetime64[D]"))
            ['2024-02-29' '2024-03-31']
        """
        return self._at(last, np.arange(1, count + 1))

    def until(self, last: Any, count: int) -> np.ndarray:
        """Give the last `count` times up to `last`, which is the last of them."""
        return self._at(last, np.arange(1 - count, 1))

    def _at(self, last: Any, steps: np.ndarray) -> np.ndarray:
        if not self.dated:
            return np.int64(last) + steps * self.step
        last = np.datetime64(last, "us")
        if self.kind == "steps":
            return last + steps * np.timedelta64(self.step, "us")
        day = last.astype("datetime64[D]")
        of_day = last - day
        if self.kind == "business days":
            return np.busday_offset(day, steps) + of_day
        months = day.astype("datetime64[M]") + steps * self.step
        first = months.astype("datetime64[D]")
        if self.month_end:
            return (months + 1).astype("datetime64[D]") - np.timedelta64(1, "D") + of_day
        return first + (day - day.astype("datetime64[M]").astype("datetime64[D]")) + of_day

    @property
    def seconds(self) -> float | None:
        """How long a step is, about; None where the times are numbers."""
        if not self.dated:
            return None
        if self.kind == "months":
            return self.step * 86400 * 30.44
        return 86400.0 if self.kind == "business days" else self.step / 1e6

    @property
    def name(self) -> str:
        """One step in words, such as "1 hour"."""
        if not self.dated or self.kind != "steps":
            noun = {"months": "month", "business days": "business day"}.get(self.kind, "")
            return f"{self.step} {noun}{'s' if self.step > 1 else ''}" if noun else str(self.step)
        for seconds, noun in _NAMES:
            if self.step % (seconds * 1_000_000) == 0:
                count = self.step // (seconds * 1_000_000)
                return f"{count} {noun}{'s' if count > 1 else ''}"
        return f"{self.step} microseconds"


def clock_of(times: np.ndarray, where: str, name: str) -> Clock:
    """Read how the times of a series follow each other.

    Args:
        times: `[time]`, `datetime64[us]` or whole numbers; at least two.
        where: who asks, for messages.
        name: of the series, for messages.

    Raises:
        DataError: the times don't rise, one comes twice, or a step is longer or shorter than
            the others.
    """
    steps = np.diff(times).astype("int64")
    dated = times.dtype.kind == "M"
    _check_rising(times, steps, where, name)
    usual = _usual(steps)
    if (steps == usual).all():
        return Clock("steps", usual, dated)
    if dated:
        days = times.astype("datetime64[D]")
        if (times - days == times[0] - days[0]).all():
            found = _months(days, where, name) or _business_days(days)
            if found:
                return found
    raise _irregular(times, steps, Clock("steps", usual, dated), where, name)


def without_gaps(times: np.ndarray) -> np.ndarray:
    """Give the times from the first to the last with those that are missing between.

    Where the rest does not fit a clock either, they come back as they are.

    Args:
        times: `[time]`, `datetime64[us]` or whole numbers that rise; at least two.

    Example:
        >>> without_gaps(np.array([0, 5, 10, 30])).tolist()
        [0, 5, 10, 15, 20, 25, 30]
    """
    for clock in _clocks_with_gaps(times):
        first, last = times[0], times[-1]
        if clock.kind == "months":
            months = (last.astype("datetime64[M]") - first.astype("datetime64[M]")).astype(int)
            count = int(months) // clock.step
        elif clock.kind == "business days":
            days = times.astype("datetime64[D]")
            count = int(np.busday_count(days[0], days[-1]))
        else:
            count = int((last - first).astype("int64")) // clock.step
        whole = np.concatenate([times[:1], clock.after(first, count)])
        if np.isin(times, whole).all():
            return whole
    return times


def _clocks_with_gaps(times: np.ndarray) -> list[Clock]:
    """Give the clocks that may have gone, the likeliest first."""
    steps = np.diff(times).astype("int64")
    dated = times.dtype.kind == "M"
    plain = Clock("steps", _usual(steps), dated)
    if not dated:
        return [plain]
    days = times.astype("datetime64[D]")
    usual_days = _usual(np.diff(days).astype(int))
    if usual_days >= _MONTH:
        months = days.astype("datetime64[M]")
        ends = bool(((months + 1).astype("datetime64[D]") - days == np.timedelta64(1, "D")).all())
        step = _usual(np.diff(months).astype(int))
        return [Clock("months", max(step, 1), True, ends), plain]
    # No weekend in several weeks of days is no chance.
    if usual_days == 1 and len(days) > 15 and np.is_busday(days).all():
        return [Clock("business days", 1, True), plain]
    return [plain]


def show(time: Any) -> str:
    """Write a time without what is zero at its end.

    >>> show(np.datetime64("2024-01-31T00:00:00.000000")), show(7)
    ('2024-01-31', '7')
    """
    text = str(time).replace("T", " ")
    if "." in text and not text.rpartition(".")[2].strip("0"):
        text = text.rpartition(".")[0]
    text = text.removesuffix(":00") if text.count(":") == 2 else text
    return text.removesuffix(" 00:00")


def _usual(steps: np.ndarray) -> int:
    found, counts = np.unique(steps, return_counts=True)
    return int(found[np.argmax(counts)])


def _months(days: np.ndarray, where: str, name: str) -> Clock | None:
    months = days.astype("datetime64[M]")
    same_day = (days - months.astype("datetime64[D]")).astype(int)
    ends = ((months + 1).astype("datetime64[D]") - days).astype(int) == 1
    if not ((same_day == same_day[0]).all() or ends.all()):
        return None
    steps = np.diff(months).astype(int)
    clock = Clock("months", _usual(steps), dated=True, month_end=bool(ends.all()))
    if _usual(np.diff(days).astype(int)) < _MONTH:
        return None
    if (steps != clock.step).any():
        raise _irregular(days, steps, clock, where, name)
    return clock


def _business_days(days: np.ndarray) -> Clock | None:
    if not np.is_busday(days).all():
        return None
    return (
        Clock("business days", 1, True)
        if (np.busday_count(days[:-1], days[1:]) == 1).all()
        else None
    )


def _check_rising(times: np.ndarray, steps: np.ndarray, where: str, name: str) -> None:
    if (steps > 0).all():
        return
    at = int(np.argmax(steps <= 0))
    if len(np.unique(times)) < len(times):
        found, counts = np.unique(times, return_counts=True)
        twice = found[counts > 1]
        raise DataError(
            message(
                where,
                f"{name} has the time {show(twice[0])} {counts[counts > 1][0]} times"
                + (
                    f", and {len(twice) - 1} other times more than once." if len(twice) > 1 else "."
                ),
                "Keep one row a time. If the rows are several series, name the column that "
                "tells them apart: series=... (in the shell: --series).",
            )
        )
    raise DataError(
        message(
            where,
            f"{name} is not sorted by time: row {at + 1} is {show(times[at + 1])}, after "
            f"{show(times[at])}.",
            "Sort the rows by time first.",
        )
    )


def _irregular(
    times: np.ndarray, steps: np.ndarray, usual: Clock, where: str, name: str
) -> DataError:
    wrong = np.flatnonzero(steps != usual.step)
    at = int(wrong[0])
    before, after = show(times[at]), show(times[at + 1])
    longer = steps[at] > usual.step
    return DataError(
        message(
            where,
            f"{name} has {'a gap' if longer else 'a step that is too short'}: {after} follows "
            f"{before}; the usual step is {usual.name}. It is the first of {len(wrong)}.",
            "Put the missing rows in, with values that make sense there (pandas: "
            "frame.asfreq(...).interpolate(); in the shell: --fill)."
            if longer
            else "Bring the series to one step, for example with pandas: frame.resample(...).",
        )
    )
