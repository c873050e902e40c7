"""The forecaster: a small LSTM that says at each hour how the next 24 hours will differ."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np

import seqstate
from seqstate.layers import LSTM
from seqstate.tour.baselines import past_of, seasonal_naive
from seqstate.tour.data import DAY, Split
from seqstate.tour.windows import FEATURES, Scale, features, windows
from seqstate.traces import Trace

LEARNED = "LSTM"
WINDOW = 7 * DAY
# The states start from zero; after two weeks nothing of that is left.
WARM_UP = 14 * DAY


@dataclass(frozen=True)
class Settings:
    """How much to train.

    Attributes:
        units: of the LSTM.
        epochs: at most.
        patience: epochs without progress on the validation part before training stops.
        stride: hours between the starts of training windows.
        seed: of weights and shuffling.
    """

    units: int
    epochs: int
    patience: int
    stride: int
    seed: int = 2010


@dataclass(frozen=True)
class Training:
    """What happened in training: the mean absolute error of each epoch on validation, in °C."""

    validation: list[float]
    windows: int

    @property
    def best(self) -> int:
        """The epoch, from 1, whose weights were kept."""
        return int(np.argmin(self.validation)) + 1


class EpochReport(keras.callbacks.Callback):
    """Calls `report(epoch, validation error in °C)` after each epoch, from 1."""

    def __init__(self, report: Callable[[int, float], None]) -> None:
        super().__init__()
        self.report = report

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Pass on what the epoch reached."""
        self.report(epoch + 1, (logs or {})["val_mae"])


def build(units: int, scale: Scale) -> keras.Model:
    """Make the model: °C in, °C out; the scale is inside, and saved with it.

    Returns:
        A model from `[batch, time, features]` to `[batch, time, 24]`: at each hour, the changes
        of the next 24 hours since the same hour of the day before, °C.
    """
    inputs = keras.Input((None, len(FEATURES)), name="hours")
    x = keras.layers.Normalization(mean=scale.mean, variance=scale.variance, name="scale")(inputs)
    x = LSTM(units, return_sequences=True, name="lstm")(x)
    x = keras.layers.Dense(DAY, name="next_24_hours")(x)
    outputs = keras.layers.Rescaling(scale.change, name="celsius")(x)
    return keras.Model(inputs, outputs, name="forecaster")


def train(
    model: keras.Model,
    celsius: np.ndarray,
    parts: Split,
    settings: Settings,
    report: Callable[[int, float], None],
) -> Training:
    """Train the model; the weights of the epoch that is best on validation are kept."""
    x, y = windows(celsius, parts.train, WINDOW, settings.stride)
    known = windows(celsius, parts.validation, WINDOW, DAY)
    model.compile(optimizer=keras.optimizers.Adam(3e-3), loss="mse", metrics=["mae"])
    stop = keras.callbacks.EarlyStopping(
        monitor="val_mae", patience=settings.patience, restore_best_weights=True
    )
    history = model.fit(
        x,
        y,
        batch_size=32,
        epochs=settings.epochs,
        validation_data=known,
        callbacks=[EpochReport(report), stop],
        verbose=0,
    )
    return Training(list(history.history["val_mae"]), len(x))


def forecast(model: keras.Model, celsius: np.ndarray, part: slice) -> np.ndarray:
    """Forecast each day of a part at the midnight before it: `[days, 24]`, °C.

    The model runs once over the hours, from two weeks before the part on; what it says at
    midnight depends on the hours up to then only.
    """
    start = part.start - WARM_UP
    run = model(features(celsius)[None, start : part.stop])
    change = keras.ops.convert_to_numpy(run)[0, WARM_UP - 1 : -1 : DAY]
    return seasonal_naive(past_of(celsius, part)) + change


def look_inside(model: keras.Model, celsius: np.ndarray, part: slice) -> Trace:
    """Give a trace of the run in which the forecasts were made, over the hours of the part."""
    hours = features(celsius)[None, part.start - WARM_UP : part.stop]
    return seqstate.trace(model, hours).cut(WARM_UP)
