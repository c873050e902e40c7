"""Training: windows of the history to learn from, its held-out end to stop by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from seqstate.forecast.heads import HeadLoss, raw_of
from seqstate.forecast.inputs import Reader
from seqstate.forecast.network import Network

_WINDOWS = 2048  # At most so many an epoch, drawn anew each time.
_PASSES = 8  # How often an epoch reads a step, where every step of a window is learned from.
_WARM = 4  # Windows that the state is warmed over before the held-out end.
_TOGETHER = 32  # Series whose held-out ends are run at once.
_SAMPLED, _RIDGE = 2000, 1e-3  # Of the least squares that the weights start from.


class Prepared(NamedTuple):
    """A series as the model reads it.

    Attributes:
        x: `[time, width]`.
        scaled: the values in spreads, `[time, targets]`.
        known: scaled covariates, `[time, known]`.
        train: how many of the first steps may be learned from.
    """

    x: np.ndarray
    scaled: np.ndarray
    known: np.ndarray
    train: int


class Windows(keras.utils.PyDataset):
    """Windows of all series: what the model reads, and what it has to say at the steps `said`."""

    def __init__(
        self,
        series: Sequence[Prepared],
        reader: Reader,
        length: int,
        every_step: bool,
        batch_size: int,
        seed: int,
    ) -> None:
        super().__init__()
        self.series = series
        self.reader = reader
        self.length = length
        self.said = np.arange(length) if every_step else np.array([length - 1])
        self.batch_size = batch_size
        self._random = np.random.default_rng(seed)
        self._starts = self._all_starts()
        most = len(self._starts)
        if every_step:
            steps = sum(one.train for one in series)
            most = max(_PASSES * steps // length, batch_size)
        self._count = min(len(self._starts), most, _WINDOWS)
        self.on_epoch_begin()

    def _all_starts(self) -> np.ndarray:
        """Give `[windows, 2]`, the series and the first step of each window that is possible."""
        reach, found = self.reader.reach, []
        for number, one in enumerate(self.series):
            first = max(0, reach.memory - 1 - int(self.said[0]))
            last = one.train - reach.horizon - self.length
            steps = np.arange(first, last + 1)
            found.append(np.stack([np.full(len(steps), number), steps], axis=-1))
        return np.concatenate(found)

    def __len__(self) -> int:
        return -(-self._count // self.batch_size)

    def on_epoch_begin(self) -> None:
        """Draw the windows of an epoch."""
        self._drawn = self._random.permutation(len(self._starts))[: self._count]

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        # The last batch is filled up: each new size would be compiled anew.
        places = np.arange(index * self.batch_size, (index + 1) * self.batch_size) % self._count
        chosen = self._starts[self._drawn[places]]
        parts = [self._one(self.series[number], start) for number, start in chosen]
        *inputs, y = (np.stack(part) for part in zip(*parts, strict=True))
        return tuple(inputs), y

    def _one(self, one: Prepared, start: int) -> tuple[np.ndarray, ...]:
        at = start + self.said
        ahead = self.reader.ahead(one.scaled, one.known, at)
        return one.x[start : start + self.length], *ahead, self.reader.target(one.scaled, at)


class HeldOut(keras.utils.PyDataset):
    """The held-out ends: the state is warmed before them and runs on through them."""

    def __init__(self, series: Sequence[Prepared], reader: Reader, length: int) -> None:
        super().__init__()
        horizon = reader.reach.horizon
        fits = [one for one in series if one.train >= reader.reach.memory]
        self.series = [one for one in fits if len(one.x) - one.train >= horizon]
        self.reader = reader
        self.steps = max((self._steps(one) for one in self.series), default=0)
        self.warm = min(_WARM * length, max((one.train for one in self.series), default=1))

    def _steps(self, one: Prepared) -> int:
        """Give at how many steps forecasts are made whose targets are all held out."""
        return len(one.x) - one.train - self.reader.reach.horizon + 1

    def __len__(self) -> int:
        return -(-len(self.series) // _TOGETHER)

    def __getitem__(self, index: int) -> tuple[Any, Any, Any]:
        part = self.series[index * _TOGETHER : (index + 1) * _TOGETHER]
        parts = [self._one(one) for one in part]
        *inputs, y, weight = (np.stack(found) for found in zip(*parts, strict=True))
        return tuple(inputs), y, weight

    def _one(self, one: Prepared) -> tuple[np.ndarray, ...]:
        steps = self._steps(one)
        at = one.train - 1 + np.arange(steps)
        read = one.x[max(0, one.train - self.warm) : one.train - 1 + steps]
        found = [*self.reader.ahead(one.scaled, one.known, at), self.reader.target(one.scaled, at)]
        # Series of other lengths are padded: zeros before what is read, weight 0 after the end.
        missing = self.steps - steps
        x = np.zeros((self.warm - 1 + self.steps, one.x.shape[1]), "float32")
        x[len(x) - missing - len(read) : len(x) - missing] = read
        padded = [np.pad(f, [(0, missing)] + [(0, 0)] * (f.ndim - 1)) for f in found]
        weight = (np.arange(self.steps) < steps).astype("float32")
        return x, *padded, weight


def start_from_changes(
    network: Network, series: Sequence[Prepared], reader: Reader, seed: int
) -> None:
    """Start the head where a seasonal autoregression ends, so that it learns what that can't say.

    The weights on the changes of earlier seasons are the least-squares solution, and the bias
    says how far off that is.
    """
    random, shape = np.random.default_rng(seed), network.shape
    reach, changes, targets = reader.reach, [], []
    for one in series:
        steps = np.arange(reach.memory - 1, one.train - reach.horizon)
        at = random.permutation(steps)[: max(_SAMPLED // len(series), 1)]
        changes.append(reader.ahead(one.scaled, one.known, at)[0])
        targets.append(reader.target(one.scaled, at))
    x = np.concatenate(changes).astype("float64").reshape(-1, reach.seasons - 1)
    y = np.concatenate(targets).astype("float64").ravel()
    # A little of a ridge: a series that repeats itself exactly would have no solution.
    square = x.T @ x + _RIDGE * len(x) * np.eye(x.shape[1])
    weights = np.linalg.solve(square, x.T @ y)
    off = (y - x @ weights).reshape(-1, reach.horizon, shape.targets)
    head = network.head
    head.from_changes.set_weights([weights[:, None]])
    kernel, _ = head.from_output.get_weights()
    head.from_output.set_weights([kernel, raw_of(off, shape.head, shape.levels).ravel()])


class EpochReport(keras.callbacks.Callback):
    """Calls `report(epoch, losses)` after each epoch, from 1."""

    def __init__(self, report: Any) -> None:
        super().__init__()
        self.report = report

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Pass on what the epoch reached."""
        self.report(epoch + 1, dict(logs or {}))


def train(
    network: Network,
    windows: Windows,
    held_out: HeldOut,
    *,
    epochs: int,
    patience: int,
    learning_rate: float,
    report: Any = None,
) -> dict[str, list[float]]:
    """Train the network; the weights of the best epoch on the held-out end are kept.

    Returns:
        The losses of each epoch, `loss` and, with a held-out end, `val_loss`.
    """
    shape = network.shape
    network.learning.compile(
        optimizer=keras.optimizers.Adam(learning_rate, clipnorm=1.0),
        loss=HeadLoss(shape.head, shape.levels),
    )
    callbacks: list[Any] = [EpochReport(report)] if report else []
    if held_out.series:
        callbacks += [
            keras.callbacks.ReduceLROnPlateau(factor=0.4, patience=max(patience // 2, 1)),
            keras.callbacks.EarlyStopping(patience=patience, restore_best_weights=True),
        ]
    history = network.learning.fit(
        windows,
        epochs=epochs,
        validation_data=held_out if held_out.series else None,
        callbacks=callbacks,
        verbose=0,
    )
    return {
        name: [float(v) for v in history.history[name]]
        for name in ("loss", "val_loss")
        if name in history.history
    }
