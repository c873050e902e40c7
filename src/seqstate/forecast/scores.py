"""How far a forecast is off."""

from __future__ import annotations

import numpy as np


def mean_absolute_error(observed: np.ndarray, forecast: np.ndarray) -> float:
    """Give `mean |forecast - observed|`."""
    return float(np.abs(forecast - observed).mean())


def root_mean_squared_error(observed: np.ndarray, forecast: np.ndarray) -> float:
    """Give `sqrt(mean (forecast - observed)^2)`."""
    return float(np.sqrt(((forecast - observed) ** 2).mean()))


def symmetric_percentage_error(observed: np.ndarray, forecast: np.ndarray) -> float:
    """Give `mean 200 |forecast - observed| / (|forecast| + |observed|)`, in percent.

    Where both are zero the error is zero.

    >>> symmetric_percentage_error(np.array([1.0, 0.0]), np.array([3.0, 0.0]))
    50.0
    """
    size = np.abs(forecast) + np.abs(observed)
    error = 200 * np.abs(forecast - observed)
    return float(np.divide(error, size, out=np.zeros_like(size), where=size > 0).mean())


def coverage(observed: np.ndarray, low: np.ndarray, high: np.ndarray) -> float:
    """Give the share of what was observed that lies between `low` and `high`."""
    return float(((observed >= low) & (observed <= high)).mean())
