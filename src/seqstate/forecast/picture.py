"""Pictures of a forecast and of a back-test, from a forecaster and from its results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from seqstate.errors import ArgumentError, message
from seqstate.forecast import ahead
from seqstate.forecast.fitted import Fitted
from seqstate.forecast.settings import checked_levels
from seqstate.plots.forecast_figure import Ahead, forecast_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from seqstate.forecast.backtest import Backtest

WHERE = "Forecaster.plot"
_HORIZONS = 4  # of history, by default


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
    at = number_of(name, [p.name for p in fitted.places])
    place = fitted.places[at]
    _check_target(target, place.recent.values.shape[1])
    values = ahead.points(fitted, steps, covariates)[at, :, target]
    low = high = None
    interval = ""
    if fitted.network.shape.head != "point":
        levels = checked_levels(forecaster.quantiles, WHERE)
        said = ahead.quantiles(
            fitted, steps, covariates, levels, forecaster.paths, forecaster.seed
        )[at, :, target]
        if len(levels) > 1:
            low, high = said[:, 0], said[:, -1]
            interval = f"{levels[-1] - levels[0]:.0%} interval"
    shown = min(len(place.recent), _HORIZONS * steps if history is None else max(int(history), 1))
    times = fitted.times_ahead(steps)[at]
    before = place.recent.times
    past = np.arange(place.count - shown, place.count) if before is None else before[-shown:]
    if times is None:
        times = np.arange(place.count, place.count + steps)
    one = Ahead(times, values, low, high)
    label = fitted.form.target_names(place.recent.values.shape[1])[target]
    ahead_of_it = f"the next {steps} steps" if steps > 1 else "the next step"
    return forecast_figure(
        past,
        place.recent.values[-shown:, target],
        [one],
        title=f"{_title(label, place.name, len(fitted.places))}: {ahead_of_it}",
        unit=label,
        interval=interval,
    )


def backtest_picture(result: Backtest, name: Any, target: int) -> Figure:
    """See `Backtest.plot`."""
    at = number_of(name, result.names)
    _check_target(target, result.observed.shape[-1])
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
    came = result.observed[:, at, :, target].ravel()[first]
    own, label = result.scores["model"], result.targets[target]
    return forecast_figure(
        flat,
        came,
        forecasts,
        title=f"{_title(label, result.names[at], len(result.names))}: {origins} forecasts of the "
        f"past, skill {own.skill:+.0%} against {result.reference}",
        unit=label,
        interval=f"{result.interval:.0%} interval",
        baseline=result.reference,
        where="Backtest.plot",
    )


def number_of(name: Any, names: Sequence[str]) -> int:
    """Give the number of a series.

    Raises:
        ArgumentError: there is none of that name.
    """
    if name is None:
        return 0
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
