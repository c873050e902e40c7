"""What `fit` makes: the trained network, the scales, and the state at which each series stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any

import numpy as np

from seqstate.forecast.feedback import Feedback
from seqstate.forecast.form import Form, on_the_wall
from seqstate.forecast.heads import middle_of
from seqstate.forecast.inputs import Reader
from seqstate.forecast.lags import Reach, bases
from seqstate.forecast.network import Network
from seqstate.forecast.reading import Series
from seqstate.forecast.scaling import Scale

_TOGETHER = 64  # Series that are run at once.


@dataclass
class Place:
    """Where one series stands.

    Attributes:
        name: of the series.
        scale: of its values.
        recent: its last steps, as many as forecasts and a plot need.
        count: how many steps it had in all.
        naive_error: the mean absolute error of the seasonal-naive forecast one season ahead,
            over the history that was fitted, `[targets]`.
    """

    name: str
    scale: Scale
    recent: Series
    count: int
    naive_error: np.ndarray


@dataclass
class Fitted:
    """A trained forecaster, and where it stands.

    Attributes:
        form: in which the series came.
        reader: how a series becomes what the model reads.
        network: the trained layers.
        places: where each series stands.
        state: what is carried, by name, `[series, ...]`.
        losses: of the training, by name.
        recursive: whether forecasts are fed back.
    """

    form: Form
    reader: Reader
    network: Network
    places: list[Place]
    state: dict[str, np.ndarray]
    losses: dict[str, list[float]]
    recursive: bool
    _feedback: Feedback | None = field(default=None, init=False, repr=False)

    @property
    def feedback(self) -> Feedback:
        """The model that goes on from its own forecasts; made when it is first asked for."""
        if self._feedback is None:
            self._feedback = Feedback(self.network, self.reader.ratio)
        return self._feedback

    def wall(self, times: np.ndarray | None) -> np.ndarray | None:
        """Give times as clocks on the wall show them, where the calendar is read."""
        if times is None or not self.reader.cycles:
            return None
        return on_the_wall(times, self.form.first)

    # Moving the state on

    def advance(self, new: Sequence[Series]) -> None:
        """Move the state on over new steps of each series; none is fine too."""
        inputs = [self.inputs_of(place, one) for place, one in zip(self.places, new, strict=True)]
        moved = run_on(self.network, self.state, inputs)
        for place, one in zip(self.places, new, strict=True):
            place.recent = _joined(place.recent, one, self.keep)
            place.count += len(one)
        self.state = moved

    def inputs_of(self, place: Place, new: Series) -> np.ndarray:
        """Give what the model reads of new steps of a series."""
        season = self.reader.reach.season
        before = place.recent.values[len(place.recent) - min(season, len(place.recent)) :]
        scaled = place.scale.apply(np.concatenate([before, new.values]))
        return self.reader.inputs(scaled, new, self.wall(new.times))

    @property
    def keep(self) -> int:
        """How many of the last steps are kept."""
        return kept_steps(self.reader.reach)

    # Saying what comes

    def times_ahead(self, horizon: int) -> list[np.ndarray | None]:
        """Give the times of the steps ahead of each series."""
        clock = self.reader.clock
        return [
            None
            if clock is None or p.recent.times is None
            else clock.after(p.recent.times[-1], horizon)
            for p in self.places
        ]

    def said(self, known: Sequence[np.ndarray]) -> np.ndarray:
        """Give what the head says now, `[series, horizon, targets, size]`, in spreads.

        Args:
            known: covariates of the steps ahead, `[horizon, known]` for each series.
        """
        reach, shape = self.reader.reach, self.network.shape
        at = np.array([reach.memory - 1])
        found, starts = [], []
        for place, ahead in zip(self.places, known, strict=True):
            scaled, covariates = self._memory(place, ahead)
            found.append(self.reader.ahead(scaled, covariates, at))
            starts.append(bases(scaled, at, reach)[0])
        output = self.state["output"][:, None]
        beside = [np.stack(part) for part in zip(*found, strict=True)]
        raw = np.asarray(self.network.saying.predict_on_batch([output, *beside]), "float64")
        said = raw.reshape(len(self.places), reach.horizon, shape.targets, -1)
        base = np.stack(starts)[..., None]
        if shape.head == "gaussian":
            return np.concatenate([said[..., :1] + base, said[..., 1:]], axis=-1)
        return said + base

    def paths(self, known: Sequence[np.ndarray], horizon: int, draws: np.ndarray) -> np.ndarray:
        """Give paths of forecasts that are fed back: `[series, paths, horizon, targets]`.

        Args:
            known: covariates of the steps ahead, `[horizon, known]` for each series.
            horizon: how many steps.
            draws: what each value is drawn with, `[series, paths, horizon, targets]`.
        """
        paths = draws.shape[1]
        ahead, past = [], []
        for place, times, more in zip(self.places, self.times_ahead(horizon), known, strict=True):
            scaled, covariates = self._memory(place, more)
            steps = np.arange(horizon) + len(scaled)
            here, start = covariates[steps], covariates[steps - self.reader.reach.season]
            beside = self.reader.beside(here, self.wall(times))
            ahead.append(np.concatenate([here, start, beside], axis=-1))
            past.append(scaled)
        rows = {name: np.repeat(value, paths, axis=0) for name, value in self.state.items()}
        read = np.repeat(np.stack(ahead), paths, axis=0)
        read = np.concatenate([read, draws.reshape(len(read), horizon, -1)], axis=-1)
        # Compiled once for each length: round up, and leave out what was not asked for.
        padded = np.pad(read, [(0, 0), (0, _rounded(horizon) - horizon), (0, 0)], mode="edge")
        said = self.feedback.path(
            rows,
            np.repeat(np.stack(past), paths, axis=0).astype("float32"),
            padded.astype("float32"),
        )
        values = np.asarray(said, "float64")[:, :horizon]
        return values.reshape(len(self.places), paths, horizon, -1)

    def _memory(self, place: Place, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Give the last values in spreads, and the covariates of those steps and the next."""
        memory = self.reader.reach.memory
        values = place.recent.values[-memory:]
        covariates = np.concatenate([place.recent.known[-memory:], known])
        return place.scale.apply(values), self.reader.known.apply(covariates)

    def undone(self, said: np.ndarray) -> np.ndarray:
        """Give values `[series, ..., targets]` in spreads back in their own units."""
        return np.stack([p.scale.undo(one) for p, one in zip(self.places, said, strict=True)])


def run_on(
    network: Network, state: Mapping[str, np.ndarray], inputs: Sequence[np.ndarray]
) -> dict[str, np.ndarray]:
    """Run the layers over steps of each series, `[time, width]`, from where they stand."""
    lengths = np.array([len(one) for one in inputs], "int32")
    if not lengths.any():
        return dict(state)
    parts = []
    for first in range(0, len(inputs), _TOGETHER):
        rows = slice(first, first + _TOGETHER)
        # Compiled once for each length: round up, and tell the layers where the steps end.
        x = np.zeros((len(lengths[rows]), _rounded(int(lengths[rows].max())), network.shape.inputs))
        for row, one in enumerate(inputs[rows]):
            x[row, : len(one)] = one
        given = {name: value[rows] for name, value in state.items()}
        parts.append(
            network.running.predict_on_batch(
                {**given, "x": x.astype("float32"), "lengths": lengths[rows]}
            )
        )
    return {name: np.concatenate([np.asarray(p[name]) for p in parts]) for name in state}


def points_of(said: np.ndarray, head: str, levels: Sequence[float]) -> np.ndarray:
    """Give the point forecast of what is said, `[..., size]`: the mean or the median."""
    return said[..., middle_of(levels) if head == "quantile" else 0]


def quantiles_of(said: np.ndarray, head: str, levels: Sequence[float], wanted: Any) -> np.ndarray:
    """Give `[..., wanted]`, the quantiles of what is said."""
    if head == "gaussian":
        return said[..., :1] + said[..., 1:] * [NormalDist().inv_cdf(level) for level in wanted]
    places = [int(np.argmin(np.abs(np.asarray(levels) - level))) for level in wanted]
    return said[..., places]


def neutral(head: str) -> float:
    """Give the draw that gives the point forecast."""
    return 0.5 if head == "quantile" else 0.0


def kept_steps(reach: Reach) -> int:
    """Give how many of the last steps of a series are kept, for forecasts and for a plot."""
    return max(reach.memory, 4 * reach.horizon, 128)


def _rounded(steps: int) -> int:
    """Round up to a power of two; from 1,024 on, to a multiple of that."""
    return -(-steps // 1024) * 1024 if steps > 1024 else 1 << (steps - 1).bit_length()


def _joined(before: Series, new: Series, keep: int) -> Series:
    def join(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.concatenate([a, b])[-keep:]

    times = None
    if before.times is not None and new.times is not None:
        times = join(before.times, new.times)
    return Series(
        before.name,
        join(before.values, new.values),
        join(before.known, new.known),
        join(before.past, new.past),
        times,
    )
