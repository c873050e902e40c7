"""The temperatures: read, checked, the missing hour filled, and split in time.

The file is the one that ships inside `vega_datasets`. Its makers call it the temperatures of
2010; their notes on the sources say what it is: the hourly climate normals of NOAA, where each
value is the average of that hour over thirty years (1981 to 2010). So there is no weather in
it, only the climate: it is far smoother than any single year.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from seqstate.errors import DataError, message

DAY = 24
PLACE = "Seattle"
SOURCE = "vega_datasets: seattle_temps"
VALIDATION_DAYS = 28
HELD_OUT_DAYS = 28


@dataclass(frozen=True)
class Temperatures:
    """Hourly temperatures without gaps.

    Attributes:
        time: `[time]`, `datetime64[h]`, each one hour after the one before.
        celsius: `[time]`, degrees Celsius.
        filled: the hours that were missing, filled with the mean of their two neighbours.
    """

    time: np.ndarray
    celsius: np.ndarray
    filled: tuple[np.datetime64, ...]


@dataclass(frozen=True)
class Split:
    """Three parts of a series, in this order in time, as slices of its hours.

    Attributes:
        train: what the weights and the scale are made from.
        validation: what decides when training stops.
        held_out: what the scores are computed on, and nothing else.
    """

    train: slice
    validation: slice
    held_out: slice


def load() -> Temperatures:
    """Load the temperatures of Seattle that ship inside `vega_datasets`."""
    from vega_datasets import data

    frame: Any = data.seattle_temps()
    return clean(frame["date"].to_numpy(), frame["temp"].to_numpy())


def clean(time: np.ndarray, fahrenheit: np.ndarray) -> Temperatures:
    """Check an hourly series, fill single missing hours and convert it to degrees Celsius.

    Args:
        time: `[rows]`, `datetime64`, rising.
        fahrenheit: `[rows]`, degrees Fahrenheit.

    Raises:
        DataError: the series is not hourly, has values that are not numbers, or misses more
            than one hour in a row.
    """
    exact = np.asarray(time).astype("datetime64[s]")
    hours = exact.astype("datetime64[h]")
    celsius = (np.asarray(fahrenheit, dtype="float64") - 32.0) / 1.8
    if len(hours) < 2 or (hours != exact).any() or hours[0] != hours[0].astype("datetime64[D]"):
        raise _unusable("the times are not full hours that start at midnight.")
    if not np.isfinite(celsius).all():
        raise _unusable(f"the value at {hours[~np.isfinite(celsius)][0]}:00 is not a number.")
    steps = np.diff(hours).astype(int)
    wrong = np.flatnonzero((steps != 1) & (steps != 2))
    if len(wrong):
        before, after = hours[wrong[0]], hours[wrong[0] + 1]
        raise _unusable(f"{after}:00 follows {before}:00; at most one hour may be missing.")
    complete = np.arange(hours[0], hours[-1] + np.timedelta64(1, "h"))
    offsets = (hours - hours[0]).astype(int)
    values = np.interp(np.arange(len(complete)), offsets, celsius)
    return Temperatures(complete, values, tuple(np.setdiff1d(complete, hours)))


def _unusable(what: str) -> DataError:
    return DataError(
        message(SOURCE, what, "Reinstall the data: pip install --force-reinstall vega-datasets")
    )


def split(hours: int) -> Split:
    """Split a series of whole days in time: the last four weeks are held out.

    Args:
        hours: length of the series.

    Raises:
        DataError: too short to leave as much for training as is taken away.
    """
    held_out = hours - HELD_OUT_DAYS * DAY
    validation = held_out - VALIDATION_DAYS * DAY
    if hours % DAY or validation < hours - validation:
        raise _unusable(f"{hours} hours can't be split; expected whole days, and 112 or more.")
    return Split(slice(0, validation), slice(validation, held_out), slice(held_out, hours))
