"""`seqstate forecast`: a CSV file in; forecasts, their scores and a picture out."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.text import Text

from seqstate.commands.read_series import WHERE, Wanted, read_series_file
from seqstate.errors import ArgumentError, DataError, MissingPackageError, message
from seqstate.forecast.clock import show
from seqstate.out_directory import make_directory, write

if TYPE_CHECKING:
    from seqstate.forecast.forecaster import Forecaster

_PACKAGES = ("matplotlib", "narwhals", "pandas", "sklearn")
FORECASTS, PICTURE, PAST = "forecasts.csv", "forecast.png", "backtest.png"
_FULL: dict[str, Any] = {"units": 32, "epochs": 60}
_QUICK: dict[str, Any] = {"units": 12, "epochs": 5, "patience": 3}
_ORIGINS = {True: 3, False: None}  # of the back-test, by `quick`


@dataclass(frozen=True)
class Options:
    """How to forecast.

    Attributes:
        horizon: steps ahead.
        method: see `Forecaster`.
        season: steps in a season; None to find it.
        interval: the share of what comes that the interval ought to hold, in percent.
        quick: train for a moment only.
        fill: fill holes and missing times.
        seed: of the training.
    """

    horizon: int
    method: str
    season: int | None
    interval: float
    quick: bool
    fill: bool
    seed: int


def run_forecast(console: Console, path: Path, wanted: Wanted, options: Options, out: Path) -> None:
    """Train on a file, back-test, forecast, and write `forecasts.csv` and two pictures.

    Args:
        console: where to print.
        path: of the CSV file.
        wanted: its columns.
        options: how to forecast.
        out: the directory for the files; made if it isn't there.

    Raises:
        MissingPackageError: one of the packages of the extra `forecast` is not installed.
        SeqstateError: as `Forecaster`; a file that can't be read; a directory that can't be
            written to.
    """
    _require_packages()
    from seqstate.forecast.forecaster import Forecaster

    if not 0 < options.interval < 100:
        raise ArgumentError(
            message(
                WHERE,
                f"--interval {options.interval:g}; expected percent between 0 and 100.",
                "Write --interval 80 for the middle 80% of what may come.",
            )
        )
    history, ahead = read_series_file(path, wanted, options.fill)
    make_directory(out, WHERE)
    tail = (1 - options.interval / 100) / 2
    forecaster = Forecaster(
        options.horizon,
        options.method,
        quantiles=(round(tail, 6), 0.5, round(1 - tail, 6)),
        season="auto" if options.season is None else options.season,
        time=wanted.time,
        target=wanted.target,
        series=wanted.series,
        known=list(wanted.covariates),
        seed=options.seed,
        **(_QUICK if options.quick else _FULL),
    )
    known = _known_ahead(history, ahead, wanted, options.horizon)
    _say(console, _described(history, wanted))
    result = forecaster.backtest(history, origins=_ORIGINS[options.quick])
    forecaster.fit(history)
    _say(console, _season(forecaster, options.horizon))
    count = len(result.observed)
    _say(
        console,
        f"Back-test: {count} {'forecast' if count == 1 else 'forecasts'} of the past, each from "
        "a model that was trained on what lay before the first of them.",
    )
    console.print(result.table())
    _say(console, result.verdict())
    table = _table(forecaster, wanted, known)
    figure = forecaster.plot(known=known)
    paths = write(
        out,
        {
            FORECASTS: lambda to: table.to_csv(to, index=False, float_format="%.6g"),
            PICTURE: figure.savefig,
            PAST: result.plot().savefig,
        },
        WHERE,
    )
    console.print()
    for one in paths:
        console.print(Text(str(one), style="bold"), soft_wrap=True)


def _require_packages() -> None:
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise MissingPackageError(
            message(
                WHERE,
                f"not installed: {', '.join(missing)}.",
                'Run: pip install "seqstate[forecast]"; in a checkout: pip install ".[forecast]"',
            )
        )


def _known_ahead(history: Any, ahead: Any, wanted: Wanted, horizon: int) -> Any:
    """Give the rows after the last value of each series, where there are covariates."""
    if not wanted.covariates:
        return None
    names = [None] if wanted.series is None else list(history[wanted.series].unique())
    for name in names:
        rows = 0
        if ahead is not None:
            rows = len(ahead if name is None else ahead[ahead[wanted.series] == name])
        if rows < horizon:
            of = "" if name is None else f" of {name!r}"
            raise DataError(
                message(
                    WHERE,
                    f"--covariate {wanted.covariates[0]}: the file has {rows} rows{of} after the "
                    f"last value of {wanted.target!r}; expected {horizon}, one for each step of "
                    "the horizon.",
                    "A covariate has to be known for the future: add rows with its values and "
                    f"an empty {wanted.target!r}, or leave it out.",
                )
            )
    return ahead


def _described(history: Any, wanted: Wanted) -> str:
    rows = f"{len(history):,} rows"
    if wanted.series is not None:
        rows = f"{history[wanted.series].nunique()} series, {rows}"
    times = history[wanted.time]
    first, last = (
        show(time.to_datetime64() if hasattr(time, "to_datetime64") else time)
        for time in (times.min(), times.max())
    )
    return f"{wanted.target}: {rows}, {first} to {last}."


def _season(forecaster: Forecaster, horizon: int) -> str:
    season, epochs = forecaster.season_, len(forecaster.losses_["loss"])
    found = f"Season: {season} steps." if season > 1 else "No season."
    return f"{found} Horizon: {horizon} steps. Trained for {epochs} epochs."


def _table(forecaster: Forecaster, wanted: Wanted, known: Any) -> Any:
    """Give the forecasts with their intervals: time, series, forecast, low, high."""
    table = forecaster.predict(known=known).rename(columns={wanted.target: "forecast"})
    said = forecaster.predict_quantiles(known=known)
    low, _, high = forecaster.quantiles
    # A forecast that is fed back is one path, the interval is made of many.
    for name, level, bound in (("low", low, np.minimum), ("high", high, np.maximum)):
        table[name] = bound(said[f"{wanted.target}_q{level:g}"], table["forecast"])
    return table


def _say(console: Console, text: str) -> None:
    console.print(Text(text))
