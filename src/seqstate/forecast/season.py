"""The season of a series: the step back that forecasts best by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from seqstate.arguments import whole_number
from seqstate.errors import ArgumentError, message
from seqstate.forecast.clock import Clock

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0
_SEEN = 3  # A season has to be seen so often to be believed.
_LONGEST, _STEPS = 400, 20_000
_CLEARLY, _AS_GOOD, _NOTHING = 0.97, 1.1, 1e-6


def find_season(
    wanted: Any, series: Sequence[np.ndarray], clock: Clock | None, horizon: int, where: str
) -> int:
    """Give the steps in a season; 1 where there is none.

    Args:
        wanted: a number; None for none; "auto" to try those of the calendar (of a series
            without dates, all) and take the one whose seasonal-naive forecast is best.
        series: the training parts, each `[time, targets]`.
        clock: of the series; None without times.
        horizon: of the forecasts.
        where: who asks, for messages.

    Raises:
        ArgumentError: another value.

    Example:
        >>> wave = np.sin(np.arange(200) * 2 * np.pi / 12)[:, None]
        >>> find_season("auto", [wave], None, 6, "here")
        12
    """
    if wanted is None:
        return 1
    if not (isinstance(wanted, str) and wanted == "auto"):
        if isinstance(wanted, str):
            raise ArgumentError(
                message(
                    where,
                    f'season={wanted!r}; expected a number of steps, None or "auto".',
                    "Write season=24 for hourly values that repeat every day.",
                )
            )
        return whole_number(wanted, where, "season")
    longest = max(map(len, series))
    # What the shortest one can't show must not be asked of it.
    most = min(map(len, series)) // _SEEN
    dated = clock is not None and clock.seconds is not None
    tried = _of_calendar(clock) if dated and clock else range(2, min(longest // _SEEN, _LONGEST))
    candidates = [season for season in tried if 1 < season <= most]
    if not candidates:
        return 1
    ahead = max(horizon, min(candidates) if dated else min(2 * horizon, most))
    ahead = min(ahead, longest // 2)
    return _best(candidates, series, ahead)


def _of_calendar(clock: Clock) -> list[int]:
    """Give the seasons, in steps, of a day, a week and a year."""
    if clock.kind == "business days":
        return [5]
    seconds = clock.seconds or 1.0
    if clock.kind == "months":
        return [12 // clock.step] if 12 % clock.step == 0 else []
    lengths = [_HOUR, _DAY, 7 * _DAY] if seconds >= _MINUTE else [_MINUTE, _HOUR]
    found = [length / seconds for length in lengths]
    weekly = [52] if seconds == 7 * _DAY else []
    return [int(season) for season in found if season == int(season) and season > 1] + weekly


def _best(candidates: Sequence[int], series: Sequence[np.ndarray], ahead: int) -> int:
    errors: dict[int, float] = {}

    def error_at(lag: int) -> float:
        if lag not in errors:
            each = [_error(one, lag) for one in series if len(one) > lag]
            errors[lag] = float(np.mean(each)) if each else np.inf
        return errors[lag]

    def error_of(season: int) -> float:
        lags = -(-np.arange(1, ahead + 1) // season) * season
        return float(np.mean([error_at(int(lag)) for lag in lags]))

    found = {season: error_of(season) for season in candidates}
    least = min(found.values())
    if least > _CLEARLY * error_of(1):
        return 1
    # A multiple of the season is as good but for chance: the shortest one is the season.
    return next(season for season, error in found.items() if error <= _AS_GOOD * least + _NOTHING)


def _error(values: np.ndarray, lag: int) -> float:
    """Give how far values `[time, targets]` lie from those so many steps before, in spreads."""
    recent = values[-_STEPS:]
    spread = recent.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    return float((np.abs(recent[lag:] - recent[:-lag]) / spread).mean())
