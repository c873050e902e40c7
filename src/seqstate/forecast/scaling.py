"""Scales, from the training part of the series alone: kept, used, and undone in the forecasts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_ROUNDING = 1e-13  # The deviation of a constant is zero but for so much of its size.


@dataclass(frozen=True)
class Scale:
    """Of one series: values are taken less `centre`, in units of `spread`.

    Attributes:
        centre: `[targets]`, the mean.
        spread: `[targets]`, how much a value differs from that of the season before.
    """

    centre: np.ndarray
    spread: np.ndarray

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Scale values `[..., targets]`."""
        return (values - self.centre) / self.spread

    def undo(self, scaled: np.ndarray) -> np.ndarray:
        """Give values `[..., targets]` back in their own units."""
        return scaled * self.spread + self.centre


def scale_of(values: np.ndarray, season: int) -> Scale:
    """Measure the scale of a series `[time, targets]`.

    Example:
        >>> scale_of(np.array([[1.0], [3.0], [1.0], [3.0]]), season=1)
        Scale(centre=array([2.]), spread=array([2.]))
    """
    change = values[season:] - values[:-season]
    spread = np.sqrt((change**2).mean(axis=0)) if len(change) else values.std(axis=0)
    deviation, size = values.std(axis=0), np.abs(values).max(axis=0, initial=0.0)
    # A series that repeats itself exactly has no change; one that never moves has no spread.
    spread = np.where(spread > 1e-9 * deviation, spread, deviation)
    for other in (np.abs(values).mean(axis=0), np.ones(values.shape[1])):
        spread = np.where(spread > _ROUNDING * size, spread, other)
    return Scale(values.mean(axis=0), spread)


def ratio_of(values: Sequence[np.ndarray], scales: Sequence[Scale]) -> np.ndarray:
    """Give `[targets]`: how many spreads the values themselves spread over, in the median."""
    ratios = [one.std(axis=0) / scale.spread for one, scale in zip(values, scales, strict=True)]
    return np.maximum(np.median(ratios, axis=0), 1.0)


def column_scale(columns: Sequence[np.ndarray]) -> Scale:
    """Measure one scale for covariates `[time, columns]` of all series."""
    together = np.concatenate(list(columns))
    deviation = together.std(axis=0)
    moves = deviation > _ROUNDING * np.abs(together).max(axis=0, initial=0.0)
    return Scale(together.mean(axis=0), np.where(moves, deviation, 1.0))
