"""What is asked of the steps ahead: points, quantiles and a score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from seqstate.arguments import whole_number
from seqstate.errors import ArgumentError, DataError, message
from seqstate.forecast.baselines import seasonal_naive
from seqstate.forecast.clock import show
from seqstate.forecast.fitted import Fitted, neutral, points_of, quantiles_of
from seqstate.forecast.reading import Series, read_covariates
from seqstate.forecast.scores import mean_absolute_error
from seqstate.forecast.settings import Settings, columns_of

WHERE = "Forecaster"


def asked(
    forecaster: Any, fitted: Fitted, horizon: int | None, known: Any
) -> tuple[int, list[np.ndarray]]:
    """Check what is asked for: the steps, and of each series the covariates `[steps, known]`."""
    steps = forecaster.horizon if horizon is None else whole_number(horizon, WHERE, "horizon")
    _check_reached(fitted, steps)
    return steps, _covariates(forecaster, fitted, steps, known)


def _check_reached(fitted: Fitted, steps: int) -> None:
    """Refuse more steps than the model says."""
    most = fitted.reader.reach.horizon
    if not fitted.recursive and steps > most:
        raise ArgumentError(
            message(
                WHERE,
                f"horizon={steps}; the model was trained to say {most} "
                f"{'step' if most == 1 else 'steps'} ahead.",
                f'Fit one with Forecaster(horizon={steps}), or with method="recursive", which '
                "can go on for any horizon.",
            )
        )


def points(fitted: Fitted, steps: int, known: Sequence[np.ndarray]) -> np.ndarray:
    """Give the point forecasts, `[series, steps, targets]`, in the units of the series."""
    shape = fitted.network.shape
    if fitted.recursive:
        draws = np.full((len(known), 1, steps, shape.targets), neutral(shape.head))
        return fitted.undone(fitted.paths(known, steps, draws)[:, 0])
    said = fitted.said(_filled(known, fitted.reader.reach.horizon))
    return fitted.undone(points_of(said, shape.head, shape.levels)[:, :steps])


def quantiles(
    fitted: Fitted,
    steps: int,
    known: Sequence[np.ndarray],
    levels: Sequence[float],
    paths: int,
    seed: int,
) -> np.ndarray:
    """Give quantiles, `[series, steps, targets, levels]`, in the units of the series."""
    shape = fitted.network.shape
    if fitted.recursive:
        whole_number(paths, WHERE, "paths", least=2)
        random = np.random.default_rng(seed)
        size = (len(known), paths, steps, shape.targets)
        gaussian = shape.head == "gaussian"
        draws = random.standard_normal(size) if gaussian else random.random(size)
        values = fitted.undone(fitted.paths(known, steps, draws))
        return np.moveaxis(np.quantile(values, levels, axis=1), 0, -1)
    said = fitted.said(_filled(known, fitted.reader.reach.horizon))
    found = quantiles_of(said, shape.head, shape.levels, levels)[:, :steps]
    return np.stack([fitted.undone(found[..., i]) for i in range(len(levels))], axis=-1)


def check_levels(forecaster: Any, fitted: Fitted, levels: Sequence[float]) -> None:
    """Refuse quantiles that the head does not say."""
    shape = fitted.network.shape
    if shape.head == "point":
        raise ArgumentError(
            message(
                WHERE,
                'quantiles of head="point": it says a mean and nothing about how sure it is.',
                'Fit one with head="quantile" or head="gaussian".',
            )
        )
    missing = [level for level in levels if level not in shape.levels]
    if missing and shape.head == "quantile" and not fitted.recursive:
        raise ArgumentError(
            message(
                WHERE,
                f"the quantile {missing[0]:g} is not trained; trained are "
                f"{', '.join(f'{level:g}' for level in shape.levels)}.",
                f'Fit one with quantiles={tuple(levels)}, or with head="gaussian", which gives '
                "any.",
            )
        )


def check_past(settings: Settings, count: int) -> None:
    """Refuse covariates of the past where their future would be needed."""
    if count and settings.method == "recursive":
        raise ArgumentError(
            message(
                WHERE,
                f'{count} past covariates with method="recursive": to go on from its own '
                "forecasts it would need them for the future.",
                'Use method="sequence" or "direct", or pass as known what is known for the future.',
            )
        )


def skill(fitted: Fitted, came: Sequence[Series]) -> float:
    """Give 1 - MAE / MAE of the seasonal-naive forecast, for what came."""
    steps = max(map(len, came))
    if not steps:
        raise DataError(
            message(
                f"{WHERE}.score",
                "no steps came.",
                "Pass what was observed after the point where the forecaster stands.",
            )
        )
    _check_reached(fitted, steps)
    # Series of which less came, or nothing, are not scored beyond that.
    covariates = [
        _filled([one.known], steps)[0] if len(one) else np.zeros((steps, one.known.shape[1]))
        for one in came
    ]
    said = points(fitted, steps, covariates)
    season = fitted.reader.reach.season
    own, naive = [], []
    for place, one, forecast in zip(fitted.places, came, said, strict=True):
        if len(one):
            repeated = seasonal_naive(place.recent.values.T, len(one), season).T
            own.append(mean_absolute_error(one.values, forecast[: len(one)]) * len(one))
            naive.append(mean_absolute_error(one.values, repeated) * len(one))
    if not sum(naive):
        return 1.0 if not sum(own) else -np.inf
    return 1.0 - sum(own) / sum(naive)


def _filled(known: Sequence[np.ndarray], horizon: int) -> list[np.ndarray]:
    """Go on with the last covariates up to the horizon; what is said there is left out."""
    return [np.concatenate([k, np.repeat(k[-1:], horizon - len(k), axis=0)]) for k in known]


def _covariates(forecaster: Any, fitted: Fitted, steps: int, known: Any) -> list[np.ndarray]:
    count = fitted.network.shape.known
    if not count:
        if known is not None and len(known):
            raise DataError(
                message(
                    WHERE,
                    "known covariates came; the model was fitted without.",
                    "Leave known out, or fit with known=....",
                )
            )
        return [np.zeros((steps, 0)) for _ in fitted.places]
    if known is None:
        raise DataError(
            message(
                WHERE,
                f"the model reads {count} known {'covariate' if count == 1 else 'covariates'}, "
                f"and known is missing for the {steps} steps ahead.",
                f"Pass predict(known=...) with {steps} rows for each series.",
            )
        )
    columns = columns_of(forecaster.get_params(), fitted.form.first.wall)
    found = read_covariates(known, columns, WHERE, fitted.form)
    times = fitted.times_ahead(steps)
    return [
        _checked(values, came, place.name, count, steps, expected)
        for (values, came), place, expected in zip(found, fitted.places, times, strict=True)
    ]


def _checked(
    values: np.ndarray,
    came: np.ndarray | None,
    name: str,
    count: int,
    steps: int,
    expected: np.ndarray | None,
) -> np.ndarray:
    if values.shape[1] != count:
        raise DataError(
            message(
                WHERE,
                f"known of {name} has {values.shape[1]} columns; expected {count}, as in fit.",
                "Pass the same covariates in the same order.",
            )
        )
    if len(values) < steps:
        raise DataError(
            message(
                WHERE,
                f"known of {name} has {len(values)} rows; expected {steps}, one for each step "
                "ahead.",
                f"Pass the covariates of the next {steps} steps, or ask for horizon={len(values)}.",
            )
        )
    if came is not None and expected is not None:
        other = np.flatnonzero(came[:steps] != expected)
        if len(other):
            at = int(other[0])
            raise DataError(
                message(
                    WHERE,
                    f"known of {name} has the time {show(came[at])} at row {at}; expected "
                    f"{show(expected[at])}.",
                    "The covariates have to start right after the last observation.",
                )
            )
    return values[:steps]
