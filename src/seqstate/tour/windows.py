"""What the forecaster reads and what it learns to say, and the windows it is trained on.

The temperature itself is easy to get nearly right: the same hour of the day before is a very
good forecast. So the forecaster says only how the next 24 hours will *differ* from the 24 hours
that have just passed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seqstate.tour.data import DAY

FEATURES = (
    "temperature, °C",
    "change since the same hour of the day before, °C",
    "hour of the day, sine",
    "hour of the day, cosine",
)


@dataclass(frozen=True)
class Scale:
    """Means and spreads, from the training part alone.

    Attributes:
        mean: `[features]`, in the units of `FEATURES`.
        variance: `[features]`, the same squared.
        change: the spread of the change since the day before, °C.
    """

    mean: tuple[float, ...]
    variance: tuple[float, ...]
    change: float


def change_since_yesterday(celsius: np.ndarray) -> np.ndarray:
    """Give `[time]`: each hour less the same hour of the day before; NaN on the first day."""
    change = np.full(len(celsius), np.nan)
    change[DAY:] = celsius[DAY:] - celsius[:-DAY]
    return change


def features(celsius: np.ndarray) -> np.ndarray:
    """Give `[time, features]`: all of it is known at the hour where it stands.

    Args:
        celsius: `[time]`, from a midnight on.
    """
    angle = 2 * np.pi * np.arange(len(celsius)) / DAY
    columns = (celsius, change_since_yesterday(celsius), np.sin(angle), np.cos(angle))
    return np.stack(columns, axis=-1).astype("float32")


def targets(celsius: np.ndarray) -> np.ndarray:
    """Give `[time, 24]`: the changes of the 24 hours after each hour; NaN where unknown."""
    change = change_since_yesterday(celsius)
    ahead = np.full((len(celsius), DAY), np.nan, dtype="float32")
    ahead[:-DAY] = np.lib.stride_tricks.sliding_window_view(change, DAY)[1:]
    return ahead


def scale_of(celsius: np.ndarray, train: slice) -> Scale:
    """Measure the scale on the training part of a series `[time]`."""
    temperature = celsius[train]
    change = float(np.nanstd(change_since_yesterday(temperature)))
    # The change keeps its zero, and sine and cosine are in range as they are.
    return Scale(
        mean=(float(temperature.mean()), 0.0, 0.0, 0.0),
        variance=(float(temperature.var()), change**2, 1.0, 1.0),
        change=change,
    )


def windows(
    celsius: np.ndarray, part: slice, length: int, stride: int
) -> tuple[np.ndarray, np.ndarray]:
    """Cut windows whose inputs and targets all lie inside one part of the series.

    Args:
        celsius: `[time]`, the whole series.
        part: the hours that may be used.
        length: hours in a window.
        stride: hours from the start of a window to the start of the next.

    Returns:
        Inputs `[windows, length, features]` and targets `[windows, length, 24]`.
    """
    x, y = features(celsius), targets(celsius)
    # The first day of the series has no day before it.
    starts = range(max(part.start, DAY), part.stop - length - DAY + 1, stride)
    return (
        np.stack([x[start : start + length] for start in starts]),
        np.stack([y[start : start + length] for start in starts]),
    )
