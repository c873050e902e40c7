"""What the calendar says of a time, as sines and cosines that a model can read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from seqstate.errors import ArgumentError, message
from seqstate.forecast.clock import Clock

_DAY = 86400.0
CYCLES = {"hour of day": _DAY, "day of week": 7 * _DAY, "day of year": 365.2425 * _DAY}
"""The cycles by name, and how long they are in seconds."""

# A cycle that was seen less often can't be told from a trend.
_TIMES_SEEN = 2


def choose_cycles(wanted: Any, clock: Clock | None, steps: int, where: str) -> tuple[str, ...]:
    """Give the cycles to use.

    Args:
        wanted: "auto" for those that the step and the length of the history support; None for
            none; or names of `CYCLES`.
        clock: of the series; None without times.
        steps: of the longest history.
        where: who asks, for messages.

    Raises:
        ArgumentError: an unknown name, or names for a series without dates.

    Example:
        >>> hourly = Clock("steps", 3_600_000_000, dated=True)
        >>> choose_cycles("auto", hourly, 24 * 30, "here")
        ('hour of day', 'day of week')
    """
    seconds = clock.seconds if clock else None
    if wanted is None:
        return ()
    if isinstance(wanted, str) and wanted == "auto":
        if seconds is None:
            return ()
        return tuple(
            name
            for name, length in CYCLES.items()
            # Two points in a cycle would only say which of the two it is.
            if seconds * 3 <= length and steps * seconds >= _TIMES_SEEN * length
        )
    names = (wanted,) if isinstance(wanted, str) else tuple(wanted)
    unknown = [name for name in names if name not in CYCLES]
    if unknown:
        raise ArgumentError(
            message(
                where,
                f'calendar={wanted!r} has the unknown name {unknown[0]!r}; expected "auto", None '
                f"or some of {', '.join(map(repr, CYCLES))}.",
                'Write for example calendar=["hour of day"].',
            )
        )
    if seconds is None and names:
        raise ArgumentError(
            message(
                where,
                f"calendar={wanted!r}; the series has no dates.",
                "Pass pandas or polars data with a column or an index of dates, or leave "
                "calendar out.",
            )
        )
    return names


def calendar_features(times: np.ndarray, cycles: Sequence[str]) -> np.ndarray:
    """Give `[time, 2 * cycles]`: sine and cosine of each cycle.

    Args:
        times: `[time]`, `datetime64[us]`, as the clock on the wall shows them.
        cycles: names of `CYCLES`.
    """
    columns = []
    for name in cycles:
        if name == "day of year":
            since: Any = times - times.astype("datetime64[Y]").astype("datetime64[us]")
        else:
            # 1970 began on a Thursday: counted from a Monday, the week starts at zero.
            since = times - np.datetime64("1969-12-29", "us")
        angle = 2 * np.pi * (since / np.timedelta64(1, "s")) / CYCLES[name]
        columns += [np.sin(angle), np.cos(angle)]
    return np.stack(columns, axis=-1) if columns else np.zeros((len(times), 0))
