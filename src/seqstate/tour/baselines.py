"""Forecasts that need no learning, and the scores by which all forecasts are compared.

All of them are made at midnight for the 24 hours that follow, from what is known by then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from seqstate.forecast import baselines
from seqstate.forecast.baselines import NAIVE, SEASONAL
from seqstate.forecast.scores import mean_absolute_error, root_mean_squared_error
from seqstate.tour.data import DAY

DRIFT = "drift"


def naive(past: np.ndarray) -> np.ndarray:
    """Repeat the last hour. Takes `[days, 48]`, the two days before; gives `[days, 24]`."""
    return baselines.naive(past, DAY)


def seasonal_naive(past: np.ndarray) -> np.ndarray:
    """Repeat the last day. Takes `[days, 48]`, the two days before; gives `[days, 24]`."""
    return baselines.seasonal_naive(past, DAY, season=DAY)


def drift(past: np.ndarray) -> np.ndarray:
    """Repeat the last day and its change. Takes `[days, 48]`; gives `[days, 24]`."""
    return 2 * past[:, DAY:] - past[:, :DAY]


BASELINES: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    NAIVE: naive,
    SEASONAL: seasonal_naive,
    DRIFT: drift,
}


def days_of(celsius: np.ndarray, part: slice) -> np.ndarray:
    """Give the days of a part of a series `[time]` as `[days, 24]`."""
    return celsius[part].reshape(-1, DAY)


def past_of(celsius: np.ndarray, part: slice) -> np.ndarray:
    """Give, for each day of a part, the 48 hours before it: `[days, 48]`."""
    starts = range(part.start, part.stop, DAY)
    return np.stack([celsius[start - 2 * DAY : start] for start in starts])


@dataclass(frozen=True)
class Score:
    """How far a forecast is off.

    Attributes:
        mae: mean absolute error, °C.
        rmse: root of the mean squared error, °C.
        by_day: mean absolute error of each day, `[days]`, °C.
    """

    mae: float
    rmse: float
    by_day: np.ndarray


def score(observed: np.ndarray, forecast: np.ndarray) -> Score:
    """Score a forecast `[days, 24]` against what was observed `[days, 24]`, both in °C."""
    return Score(
        mae=mean_absolute_error(observed, forecast),
        rmse=root_mean_squared_error(observed, forecast),
        by_day=np.abs(forecast - observed).mean(axis=1),
    )
