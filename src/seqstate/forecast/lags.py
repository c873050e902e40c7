"""What a forecast is measured from: the same time of the season before, and the ones before that.

With the season m, a forecast h steps ahead of t starts from the value at t + h - j m, where j is
the smallest number of seasons that brings it into the past. With m = 1 that is the last value.
The model says only how the value will differ from this one.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

SEASONS = 4
"""How many seasons back a forecast looks, where the history has as many."""


class Reach(NamedTuple):
    """How far a forecast looks ahead and back.

    Attributes:
        horizon: steps ahead.
        season: steps in a season; 1 where there is none.
        seasons: how many seasons back, at least two.
    """

    horizon: int
    season: int
    seasons: int

    @property
    def memory(self) -> int:
        """How many of the last values a forecast needs."""
        return self.season * self.seasons


def base_of(reach: Reach) -> np.ndarray:
    """Give where each forecast starts from, `[horizon]`, counted from the step it is made at.

    >>> base_of(Reach(horizon=5, season=3, seasons=2)).tolist()
    [-2, -1, 0, -2, -1]
    """
    ahead = np.arange(1, reach.horizon + 1)
    return ahead - -(-ahead // reach.season) * reach.season


def bases(values: np.ndarray, at: np.ndarray, reach: Reach) -> np.ndarray:
    """Give the values that forecasts start from: the seasonal-naive forecast.

    Args:
        values: `[time, targets]`.
        at: the steps at which forecasts are made, of any shape `[...]`.
        reach: how far they look.

    Returns:
        `[..., horizon, targets]`.
    """
    return values[at[..., None] + base_of(reach)]


def earlier_changes(values: np.ndarray, at: np.ndarray, reach: Reach) -> np.ndarray:
    """Give how the value changed from season to season before the one a forecast starts from.

    Returns:
        `[..., horizon, targets, seasons - 1]`, the latest change first.
    """
    base = at[..., None] + base_of(reach)
    back = [values[base - k * reach.season] for k in range(reach.seasons)]
    return np.stack([later - earlier for later, earlier in pairwise(back)], -1)
