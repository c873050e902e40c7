"""Forecasts that need no learning; every other one has to beat them."""

from __future__ import annotations

import numpy as np

NAIVE = "naive"
SEASONAL = "seasonal-naive"


def naive(past: np.ndarray, horizon: int) -> np.ndarray:
    """Repeat the last value: of `[..., time]` give `[..., horizon]`.

    >>> naive(np.array([1.0, 2.0, 3.0]), 2).tolist()
    [3.0, 3.0]
    """
    return np.repeat(past[..., -1:], horizon, axis=-1)


def seasonal_naive(past: np.ndarray, horizon: int, season: int) -> np.ndarray:
    """Repeat the last season: of `[..., time]` give `[..., horizon]`.

    >>> seasonal_naive(np.array([9.0, 1.0, 2.0, 3.0]), 4, season=3).tolist()
    [1.0, 2.0, 3.0, 1.0]
    """
    last = past[..., past.shape[-1] - season :]
    return last[..., np.arange(horizon) % season]
