"""From series to a trained network: what is learned from, how far it looks, and the training."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from seqstate.errors import DataError, message
from seqstate.forecast.calendar import choose_cycles
from seqstate.forecast.clock import Clock, clock_of
from seqstate.forecast.core import make_layers
from seqstate.forecast.fitted import Fitted, Place, kept_steps, run_on
from seqstate.forecast.form import Form, on_the_wall
from seqstate.forecast.inputs import Reader
from seqstate.forecast.lags import SEASONS, Reach
from seqstate.forecast.network import Network, Shape
from seqstate.forecast.reading import Series
from seqstate.forecast.scaling import Scale, column_scale, ratio_of, scale_of
from seqstate.forecast.season import find_season
from seqstate.forecast.settings import Settings
from seqstate.forecast.training import HeldOut, Prepared, Windows, start_from_changes, train

_SHORTEST, _USUAL, _LONGEST = 4, 32, 256  # steps in a window


def fit_series(settings: Settings, series: Sequence[Series], form: Form, report: Any) -> Fitted:
    """Train on series, and warm the state over the whole of each."""
    where = settings.where
    clock = shared_clock(series, where)
    longest = max(map(len, series))
    held = [_held_out(settings, len(one), longest) for one in series]
    parts = [one.values[: len(one) - out] for one, out in zip(series, held, strict=True)]
    season = find_season(settings.season, parts, clock, settings.horizon, where)
    reach = _reach(settings, season, series, parts)
    season = reach.season  # A season that was found may be too long to be used.
    scales = [scale_of(part, season) for part in parts]
    reader = Reader(
        reach=reach,
        ratio=ratio_of(parts, scales),
        known=_covariates([one.known for one in series], held),
        past=_covariates([one.past for one in series], held),
        cycles=choose_cycles(settings.calendar, clock, max(map(len, parts)), where),
        clock=clock,
    )
    prepared = [
        _prepared(one, scale, len(part), reader, form)
        for one, scale, part in zip(series, scales, parts, strict=True)
    ]
    length = _window(settings, reach, prepared)
    shape = Shape(
        inputs=reader.width,
        targets=series[0].values.shape[1],
        known=series[0].known.shape[1],
        reach=reach,
        head=settings.head,
        levels=settings.levels,
    )
    with seeded(settings.seed):
        network = Network(shape, make_layers(settings.layer, settings.units, where))
        windows = Windows(
            prepared,
            reader,
            length,
            settings.method != "direct",
            settings.batch_size,
            settings.seed,
        )
        start_from_changes(network, prepared, reader, settings.seed)
        losses = train(
            network,
            windows,
            HeldOut(prepared if settings.validation else [], reader, length),
            epochs=settings.epochs,
            patience=settings.patience,
            learning_rate=settings.learning_rate,
            report=report,
        )
    keep = kept_steps(reach)
    places = [
        Place(one.name, scale, one.cut(slice(-keep, None)), len(one), _naive_error(one, season))
        for one, scale in zip(series, scales, strict=True)
    ]
    state = run_on(network, network.zeros(len(series)), [one.x for one in prepared])
    return Fitted(form, reader, network, places, state, losses, settings.method == "recursive")


def shared_clock(series: Sequence[Series], where: str) -> Clock | None:
    """Give the clock of all series.

    Raises:
        DataError: a series is not regular, or has another step than the first; or is too short.
    """
    for one in series:
        if len(one) < 2:
            raise DataError(
                message(
                    where,
                    f"{one.name} has {len(one)} {'step' if len(one) == 1 else 'steps'}; that is "
                    "no history.",
                    "Pass the whole history, not the last value alone, or leave the series out.",
                )
            )
    if series[0].times is None:
        return None
    clocks = [clock_of(one.times, where, one.name) for one in series if one.times is not None]
    # Two months may both be ends of months, and one of them by chance.
    for clock, one in zip(clocks, series, strict=True):
        if (clock.kind, clock.step, clock.dated) != (
            clocks[0].kind,
            clocks[0].step,
            clocks[0].dated,
        ):
            raise DataError(
                message(
                    where,
                    f"{one.name} has a step of {clock.name}, {series[0].name} of "
                    f"{clocks[0].name}; expected the same for all.",
                    "Bring all series to one step first, or fit a forecaster for each.",
                )
            )
    return clocks[0]


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw the weights from a seed; the generators of Python and NumPy go on as before."""
    python, numpy = random.getstate(), np.random.get_state()
    keras.utils.set_random_seed(seed)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


def _held_out(settings: Settings, steps: int, longest: int) -> int:
    """Give how many steps at the end of a series are kept out of training."""
    if not settings.validation:
        return 0
    held = max(settings.horizon_said, round(settings.validation * steps))
    # What would be left of a short series says little of its scale; longer ones decide then.
    return 0 if steps < longest and steps < 2 * held else held


def _reach(
    settings: Settings, season: int, series: Sequence[Series], parts: Sequence[np.ndarray]
) -> Reach:
    """Give how far forecasts look, or say that the history is too short for it."""
    horizon = settings.horizon_said
    longest, shortest = max(map(len, parts)), min(map(len, series))
    for one in (season, 1) if settings.season == "auto" else (season,):
        for seasons in range(SEASONS, 1, -1):
            reach = Reach(horizon, one, seasons)
            # With fewer seasons a window should still hold one.
            window = max(_SHORTEST, one if seasons > 2 else 0)
            if longest >= _needed(reach, window) and shortest >= reach.memory:
                return reach
    where, history = settings.where, max(map(len, series))
    raise _too_short(settings, season, history, shortest, where)


def _needed(reach: Reach, window: int) -> int:
    """Give the least length of a training part."""
    return reach.memory - 1 + reach.horizon + window


def _too_short(
    settings: Settings, season: int, history: int, shortest: int, where: str
) -> DataError:
    tried = 1 if settings.season == "auto" else season
    reach = Reach(settings.horizon_said, tried, 2)
    needed = _needed(reach, _SHORTEST)
    while needed - _held_out(settings, needed, needed) < _needed(reach, _SHORTEST):
        needed += 1
    if history >= needed:
        what = f"the shortest series has {shortest} steps; expected at least {reach.memory}"
        needed = reach.memory
    else:
        what = f"the history has {history} steps; expected at least {needed}"
    return DataError(
        message(
            where,
            f"{what} for horizon={settings.horizon}"
            + (f", season={tried}" if tried > 1 else "")
            + f" and validation={settings.validation}.",
            "Ask for a shorter horizon"
            + (", a shorter season (or season=None)" if tried > 1 else "")
            + ", or pass a longer history.",
        )
    )


def _covariates(columns: Sequence[np.ndarray], held: Sequence[int]) -> Scale:
    return column_scale([c[: len(c) - out] for c, out in zip(columns, held, strict=True)])


def _prepared(one: Series, scale: Scale, train_steps: int, reader: Reader, form: Form) -> Prepared:
    wall = None
    if one.times is not None and reader.cycles:
        wall = on_the_wall(one.times, form.first)
    scaled = scale.apply(one.values)
    return Prepared(
        reader.inputs(scaled, one, wall), scaled, reader.known.apply(one.known), train_steps
    )


def _window(settings: Settings, reach: Reach, prepared: Sequence[Prepared]) -> int:
    """Give the steps in a window to learn from."""
    room = max(one.train for one in prepared) - reach.horizon - reach.memory + 1
    if settings.window is not None:
        if settings.window > room:
            raise DataError(
                message(
                    settings.where,
                    f"window={settings.window}; the training part of the longest series has room "
                    f"for {room} steps.",
                    f"Pass window={room} or less, or leave it out.",
                )
            )
        return settings.window
    usual = min(max(2 * reach.season, 2 * reach.horizon, _USUAL), _LONGEST)
    return max(_SHORTEST, min(usual, -(-room // 2)))


def _naive_error(one: Series, season: int) -> np.ndarray:
    return np.abs(one.values[season:] - one.values[:-season]).mean(axis=0)
