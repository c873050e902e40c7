"""Pictures of a forecast and of a back-test, from a forecaster and from its results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from seqstate.arguments import whole_number
from seqstate.errors import ArgumentError, message
from seqstate.forecast import ahead
from seqstate.forecast.fitted import Fitted
from seqstate.forecast.form import on_the_wall
from seqstate.forecast.settings import checked_levels
from seqstate.plots.forecast_figure import Ahead, Panel, forecast_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from seqstate.forecast.backtest import Backtest

WHERE = "Forecaster.plot"
_HORIZONS = 4  # of history, by default
_PANELS, _NAMED = 8, 10  # series that are drawn, and that are named beside


def forecast_picture(
    forecaster: Any,
    fitted: Fitted,
    horizon: int | None,
    known: Any,
    name: Any,
    target: int,
    history: int | None,
) -> Figure:
    """See `Forecaster.plot`."""
    steps, covariates = ahead.asked(forecaster, fitted, horizon, known)
    names = [place.name for place in fitted.places]
    drawn, note = _drawn(name, names)
    count = fitted.network.shape.targets
    _check_target(target, count)
    shown = _HORIZONS * steps if history is None else whole_number(history, WHERE, "history")
    values = ahead.points(fitted, steps, covariates)[..., target]
    bounds, interval = None, ""
    if fitted.network.shape.head != "point":
        levels = checked_levels(forecaster.quantiles, WHERE)
        if len(levels) > 1:
            bounds = ahead.quantiles(
                fitted, steps, covariates, levels, forecaster.paths, forecaster.seed
            )[:, :, target]
            interval = f"{levels[-1] - levels[0]:.0%} interval"
    label = fitted.form.target_names(count)[target]
    ahead_of_it = f"the next {steps} steps" if steps > 1 else "the next step"
    times, panels = fitted.times_ahead(steps), []
    for at in drawn:
        place = fitted.places[at]
        observed = place.recent.values[-shown:, target]
        past, coming = place.recent.times, times[at]
        if past is None or coming is None:
            past = np.arange(place.count - len(place.recent), place.count)
            coming = np.arange(place.count, place.count + steps)
        else:
            past, coming = (on_the_wall(one, fitted.form.first) for one in (past, coming))
        low, high = (None, None) if bounds is None else (bounds[at, :, 0], bounds[at, :, -1])
        panels.append(
            Panel(
                title=f"{_title(label, place.name, len(names))}: {ahead_of_it}",
                unit=label,
                time=past[-len(observed) :],
                observed=observed,
                forecasts=[Ahead(coming, values[at], low, high)],
            )
        )
    return forecast_figure(panels, interval=interval, note=note)


def backtest_picture(result: Backtest, name: Any, target: int) -> Figure:
    """See `Backtest.plot`."""
    drawn, note = _drawn(name, result.names)
    _check_target(target, result.observed.shape[-1])
    origins, own = len(result.observed), result.scores["model"]
    said = f"{origins} forecasts of the past" if origins > 1 else "a forecast of the past"
    if len(drawn) == 1:
        said += f", skill {own.skill:+.0%} against {result.reference}"
    label = result.targets[target]
    panels = []
    for at in drawn:
        time, came, forecasts = _of_series(result, at, target)
        title = f"{_title(label, result.names[at], len(result.names))}: {said}"
        panels.append(Panel(title, label, time, came, forecasts))
    return forecast_figure(
        panels,
        interval=f"{result.interval:.0%} interval",
        baseline=result.reference,
        note=note,
        where="Backtest.plot",
    )


def _of_series(
    result: Backtest, at: int, target: int
) -> tuple[np.ndarray, np.ndarray, list[Ahead]]:
    """Give what came of one series, with its times, and the forecasts from each origin."""
    origins, _, horizon, _ = result.observed.shape
    times = (
        np.arange(origins * horizon).reshape(origins, horizon)
        if result.times is None
        else result.times[:, at]
    )
    forecasts = []
    for origin in range(origins):
        low = high = None
        if result.interval:
            low, high = (result.quantiles[origin, at, :, target, end] for end in (0, -1))
        forecasts.append(
            Ahead(
                times[origin],
                result.forecasts["model"][origin, at, :, target],
                low,
                high,
                result.forecasts[result.reference][origin, at, :, target],
            )
        )
    # Forecasts may overlap; what came is drawn once.
    flat, first = np.unique(times.ravel(), return_index=True)
    return flat, result.observed[:, at, :, target].ravel()[first], forecasts


def _drawn(name: Any, names: Sequence[str]) -> tuple[list[int], str]:
    """Give the numbers of the series to draw, and what is said of those that are not."""
    if name is not None:
        return [number_of(name, names)], ""
    rest = names[_PANELS:]
    note = ""
    if rest:
        listed = ", ".join(rest[:_NAMED]) + (" ..." if len(rest) > _NAMED else "")
        note = f"Not drawn: {len(rest)} more series, {listed}"
    return list(range(min(len(names), _PANELS))), note


def number_of(name: Any, names: Sequence[str]) -> int:
    """Give the number of a series.

    Raises:
        ArgumentError: there is none of that name.
    """
    if str(name) in names:
        return list(names).index(str(name))
    raise ArgumentError(
        message(
            WHERE,
            f"there is no series {name!r}; there are {', '.join(map(repr, names[:10]))}.",
            "Pass one of these as name.",
        )
    )


def _check_target(target: int, count: int) -> None:
    if not 0 <= target < count:
        raise ArgumentError(
            message(
                WHERE,
                f"target={target}; the series has {count} {'target' if count == 1 else 'targets'}.",
                f"Pass a number from 0 to {count - 1}.",
            )
        )


def _title(label: str, name: str, series: int) -> str:
    return label if series == 1 else f"{name}, {label}"
