"""What the model reads at each step, and what it is held to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from seqstate.forecast.calendar import calendar_features
from seqstate.forecast.clock import Clock
from seqstate.forecast.lags import Reach, base_of, bases, earlier_changes
from seqstate.forecast.reading import Series
from seqstate.forecast.scaling import Scale


@dataclass(frozen=True)
class Reader:
    """How a series becomes what the model reads; fixed by `fit`.

    Attributes:
        reach: how far forecasts look.
        ratio: how many spreads the values spread over, `[targets]`.
        known: the scale of the known covariates.
        past: the scale of the past ones.
        cycles: of the calendar.
        clock: of the series; None without times.
    """

    reach: Reach
    ratio: np.ndarray
    known: Scale
    past: Scale
    cycles: tuple[str, ...]
    clock: Clock | None

    @property
    def width(self) -> int:
        """How many numbers the model reads at each step."""
        targets = 2 * len(self.ratio)
        return targets + len(self.known.centre) + 2 * len(self.cycles) + len(self.past.centre)

    def inputs(self, scaled: np.ndarray, series: Series, wall: np.ndarray | None) -> np.ndarray:
        """Give `[time, width]`.

        Args:
            scaled: the values in spreads, `[before + time, targets]`; those before are known
                from earlier, so that the first step of `series` has its change too.
            series: the steps to read.
            wall: the times of these steps as clocks on the wall show them.
        """
        steps, season = len(series), self.reach.season
        before = len(scaled) - steps
        change = np.zeros((len(scaled), scaled.shape[1]))
        change[season:] = scaled[season:] - scaled[:-season]
        columns = [
            scaled[before:] / self.ratio,
            change[before:],
            self.beside(self.known.apply(series.known), wall),
            self.past.apply(series.past),
        ]
        return np.concatenate(columns, axis=-1).astype("float32")

    def beside(self, known: np.ndarray, wall: np.ndarray | None) -> np.ndarray:
        """Give what is known of a step beside its values: scaled covariates, the calendar."""
        if wall is None:
            return known
        return np.concatenate([known, calendar_features(wall, self.cycles)], axis=-1)

    def ahead(self, scaled: np.ndarray, known: np.ndarray, at: np.ndarray) -> list[np.ndarray]:
        """Give what the head reads beside the output, for forecasts made at the steps `at`.

        Args:
            scaled: the values in spreads, `[time, targets]`.
            known: scaled covariates, `[time + horizon, known]`.
            at: steps, of any shape `[...]`.

        Returns:
            `[..., horizon, targets, seasons - 1]` and, with covariates, `[..., horizon,
            2 * known]`.
        """
        found = [earlier_changes(scaled, at, self.reach).astype("float32")]
        if known.shape[1]:
            steps = at[..., None] + np.arange(1, self.reach.horizon + 1)
            start = at[..., None] + base_of(self.reach)
            found.append(np.concatenate([known[steps], known[start]], axis=-1).astype("float32"))
        return found

    def target(self, scaled: np.ndarray, at: np.ndarray) -> Any:
        """Give what the model has to say at the steps `at`: `[..., horizon * targets]`."""
        steps = at[..., None] + np.arange(1, self.reach.horizon + 1)
        change = scaled[steps] - bases(scaled, at, self.reach)
        size = self.reach.horizon * scaled.shape[1]
        return change.reshape(*at.shape, size).astype("float32")
