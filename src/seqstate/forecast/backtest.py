"""Forecasts from several points of the past, held against what came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from seqstate.arguments import whole_number
from seqstate.errors import DataError, message
from seqstate.forecast import ahead
from seqstate.forecast.baselines import NAIVE, SEASONAL, naive, seasonal_naive
from seqstate.forecast.fitted import Fitted
from seqstate.forecast.form import Form, on_the_wall
from seqstate.forecast.reading import Series
from seqstate.forecast.scores import (
    coverage,
    mean_absolute_error,
    root_mean_squared_error,
    symmetric_percentage_error,
)
from seqstate.forecast.settings import checked_levels
from seqstate.models.progress import shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WHERE = "Forecaster.backtest"
MODEL = "model"
_MOST, _SHARE = 20, 5


@dataclass(frozen=True)
class Scores:
    """How far one kind of forecast is off, over all origins, series, steps and targets.

    Attributes:
        mae: mean absolute error.
        rmse: root of the mean squared error.
        mase: the mean absolute error of each series and target in units of that of the
            seasonal-naive forecast over the history before the first origin, one season ahead;
            the mean of these. Below 1 is better than that.
        smape: symmetric mean absolute percentage error, in percent.
        skill: how much less the mean absolute error is than that of the seasonal-naive
            forecast: 1 is perfect, 0 the same, below 0 worse.
    """

    mae: float
    rmse: float
    mase: float
    smape: float
    skill: float


@dataclass(frozen=True)
class Backtest:
    """What `Forecaster.backtest` found.

    Attributes:
        names: of the series.
        targets: what the targets are called.
        season: steps in a season; 1 without one.
        observed: what came, `[origin, series, horizon, target]`.
        forecasts: by name, "model", "naive" and "seasonal-naive", each as `observed`.
        levels: of the quantiles; empty where the head has none.
        quantiles: `[origin, series, horizon, target, level]`.
        times: of what came, `[origin, series, horizon]`, of a zone as the clocks there show
            them; None without times.
        scores: by name, as the forecasts.
    """

    names: tuple[str, ...]
    targets: tuple[str, ...]
    season: int
    observed: np.ndarray
    forecasts: Mapping[str, np.ndarray]
    levels: tuple[float, ...]
    quantiles: np.ndarray
    times: np.ndarray | None
    scores: Mapping[str, Scores]

    @property
    def reference(self) -> str:
        """The simple forecast that `skill` compares with."""
        return SEASONAL if SEASONAL in self.forecasts else NAIVE

    @property
    def interval(self) -> float:
        """The share of what comes that ought to lie in the interval of the outermost levels."""
        return self.levels[-1] - self.levels[0] if len(self.levels) > 1 else 0.0

    @property
    def coverage(self) -> float:
        """The share of what came that lay in the interval; NaN without an interval."""
        if not self.interval:
            return float("nan")
        return coverage(self.observed, self.quantiles[..., 0], self.quantiles[..., -1])

    def table(self) -> Table:
        """Give the scores as a table of rich."""
        table = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))
        table.add_column("forecast")
        for title in ("MAE", "RMSE", "MASE", "sMAPE %", "skill"):
            table.add_column(title, justify="right")
        best = min(score.mae for score in self.scores.values())
        for name, score in self.scores.items():
            cells = [f"{v:.4g}" for v in (score.mae, score.rmse, score.mase, score.smape)]
            style = "bold green" if score.mae == best else ""
            table.add_row(name, *cells, f"{score.skill:+.1%}", style=style)
        return table

    def verdict(self) -> str:
        """Say whether the model beats the simple forecasts, and how sure it rightly is."""
        own, lines = self.scores[MODEL], []
        for name, other in self.scores.items():
            if name == MODEL:
                continue
            if own.mae < other.mae:
                share = f"{1 - own.mae / other.mae:.0%} less error"
                lines.append(f"The model beats {name}: {share}.")
            else:
                lines.append(
                    f"The model does NOT beat {name}: MAE {own.mae:.4g} against {other.mae:.4g}. "
                    f"Use {name}, or try another method, more history or more epochs."
                )
        if self.interval:
            lines.append(f"The {self.interval:.0%} interval held {self.coverage:.0%} of what came.")
        return "\n".join(lines)

    def plot(self, name: Any = None, target: int = 0) -> Figure:
        """Draw what came, and the forecasts from each origin.

        Args:
            name: the series, where there are several; by default each has a panel, eight at
                most.
            target: the number of the target.
        """
        from seqstate.forecast.picture import backtest_picture

        return backtest_picture(self, name, target)

    def __str__(self) -> str:
        console = Console(width=100, color_system=None)
        with console.capture() as shown_text:
            console.print(self.table())
        return f"{shown_text.get().strip(chr(10))}\n{self.verdict()}"


def run_backtest(
    forecaster: Any,
    series: Sequence[Series],
    form: Form,
    origins: int | None,
    stride: int | None,
    refit: bool,
    progress: bool | None,
) -> Backtest:
    """See `Forecaster.backtest`."""
    from sklearn.base import clone

    horizon = whole_number(forecaster.horizon, WHERE, "horizon")
    step = horizon if stride is None else whole_number(stride, WHERE, "stride")
    count = _origins(series, horizon, step, origins)
    starts = [[len(s) - horizon - (count - 1 - i) * step for s in series] for i in range(count)]
    model = _fitted_until(clone(forecaster), series, form, starts[0])
    first = model._ready("backtest")
    season, errors = first.reader.reach.season, [p.naive_error for p in first.places]
    levels = () if forecaster.head == "point" else checked_levels(forecaster.quantiles, WHERE)
    found: list[dict[str, np.ndarray]] = []
    for number, start in enumerate(shown(starts, "back-testing", progress)):
        if number and refit:
            model = _fitted_until(clone(forecaster), series, form, start)
        elif number:
            new = [
                one.cut(slice(a, b))
                for one, a, b in zip(series, starts[number - 1], start, strict=True)
            ]
            model._ready("backtest").advance(new)
        found.append(_from_one(model, series, start, horizon, season, levels))
    together = {name: np.stack([one[name] for one in found]) for name in found[0]}
    observed, quantiles = together.pop("observed"), together.pop("quantiles")
    return Backtest(
        names=tuple(one.name for one in series),
        targets=form.target_names(series[0].values.shape[1]),
        season=season,
        observed=observed,
        forecasts=together,
        levels=levels,
        quantiles=quantiles,
        times=_times(form.first, series, starts, horizon),
        scores=_scores(observed, together, np.stack(errors)),
    )


def _origins(series: Sequence[Series], horizon: int, stride: int, wanted: int | None) -> int:
    shortest = min(series, key=len)
    if wanted is None:
        room = len(shortest) // _SHARE - horizon
        count = int(np.clip(room // stride + 1, 1, _MOST))
    else:
        count = whole_number(wanted, WHERE, "origins")
    if len(shortest) - horizon - (count - 1) * stride < 2:
        raise DataError(
            message(
                WHERE,
                f"{shortest.name} has {len(shortest)} steps; "
                + ("1 origin" if count == 1 else f"{count} origins, {stride} steps apart,")
                + f" with horizon={horizon} leave nothing to learn from.",
                "Ask for fewer origins, a shorter stride or a shorter horizon, or leave a series "
                "this short out.",
            )
        )
    return count


def _fitted_until(model: Any, series: Sequence[Series], form: Form, start: Sequence[int]) -> Any:
    before = [one.cut(slice(0, end)) for one, end in zip(series, start, strict=True)]
    return model._fit(before, form)


def _from_one(
    model: Any,
    series: Sequence[Series],
    start: Sequence[int],
    horizon: int,
    season: int,
    levels: tuple[float, ...],
) -> dict[str, np.ndarray]:
    fitted: Fitted = model._ready("backtest")
    known = [one.known[a : a + horizon] for one, a in zip(series, start, strict=True)]
    past = [one.values[:a].T for one, a in zip(series, start, strict=True)]
    found = {
        "observed": np.stack(
            [one.values[a : a + horizon] for one, a in zip(series, start, strict=True)]
        ),
        MODEL: ahead.points(fitted, horizon, known),
        NAIVE: np.stack([naive(one, horizon).T for one in past]),
    }
    if season > 1:
        found[SEASONAL] = np.stack([seasonal_naive(one, horizon, season).T for one in past])
    found["quantiles"] = (
        ahead.quantiles(fitted, horizon, known, levels, model.paths, model.seed)
        if levels
        else np.zeros((*found["observed"].shape, 0))
    )
    return found


def _times(
    form: Form, series: Sequence[Series], starts: Sequence[Sequence[int]], horizon: int
) -> np.ndarray | None:
    if series[0].times is None:
        return None
    return np.array(
        [
            [
                on_the_wall(one.times[a : a + horizon], form)
                for one, a in zip(series, start, strict=True)
                if one.times is not None
            ]
            for start in starts
        ]
    )


def _scores(
    observed: np.ndarray, forecasts: Mapping[str, np.ndarray], naive_error: np.ndarray
) -> dict[str, Scores]:
    """Score each forecast.

    Args:
        observed: `[origin, series, horizon, target]`.
        forecasts: the same, by name.
        naive_error: of the seasonal-naive forecast, `[series, target]`.
    """
    reference = forecasts.get(SEASONAL, forecasts[NAIVE])
    usual = mean_absolute_error(observed, reference)
    # A history that repeats itself exactly has no error to count in.
    unit = np.where(naive_error > 0, naive_error, np.nan)
    scores = {}
    for name, forecast in forecasts.items():
        mae = mean_absolute_error(observed, forecast)
        each = np.abs(forecast - observed).mean(axis=(0, 2)) / unit
        scores[name] = Scores(
            mae=mae,
            rmse=root_mean_squared_error(observed, forecast),
            mase=float(np.nanmean(each)) if np.isfinite(each).any() else float("nan"),
            smape=symmetric_percentage_error(observed, forecast),
            skill=1 - mae / usual if usual else float("nan"),
        )
    return scores
