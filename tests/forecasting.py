"""Small series and forecasters for the tests of forecasts."""

import numpy as np

from seqstate.forecast.forecaster import Forecaster

SEASON = 6
SMALL = {
    "units": 4,
    "epochs": 1,
    "season": SEASON,
    "window": 12,
    "validation": 0,  # one program less to compile
    "progress": False,
}


def wave(steps, seed=0, noise=0.1, targets=None):
    """A season, a trend and noise: `[time]`, or `[time, targets]`."""
    random = np.random.default_rng(seed)
    time = np.arange(steps)
    values = [
        np.sin(2 * np.pi * (time + number) / SEASON)
        + 0.01 * time
        + noise * random.normal(size=steps)
        for number in range(targets or 1)
    ]
    return np.stack(values, axis=-1) if targets else values[0]


def small(horizon=3, **arguments):
    """A forecaster that is trained in a moment."""
    return Forecaster(horizon, **{**SMALL, **arguments})
