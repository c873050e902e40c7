"""`Forecaster`: forecasts of series with recurrent layers, in scikit-learn's manner."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from seqstate.errors import MissingPackageError, NotFittedError, message

try:
    import narwhals as _narwhals  # noqa: F401 - reads the frames
    from sklearn.base import BaseEstimator
except ImportError as error:
    raise MissingPackageError(
        message(
            "Forecaster",
            f"a package is not installed: {error.name}.",
            'Run: pip install "seqstate[forecast]"; in a checkout: pip install ".[forecast]"',
        )
    ) from error

from seqstate.forecast import ahead, continuing, storing
from seqstate.forecast.fitted import Fitted
from seqstate.forecast.fitting import fit_series
from seqstate.forecast.form import Form, written
from seqstate.forecast.progress import epochs_shown
from seqstate.forecast.reading import Series, read_series
from seqstate.forecast.settings import checked_levels, columns_of, settings_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from seqstate.forecast.backtest import Backtest

WHERE = "Forecaster"


class Forecaster(BaseEstimator):
    """Forecasts one series or many with recurrent layers whose state it keeps.

    `fit` trains on windows of the history and then runs the layers once over the whole of it.
    The state in which that ends is kept: `predict` goes on from it, and `update` moves it on
    over new observations, one step at the cost of one step. With the season m and the horizon
    H, the model says for the step h ahead of t

        forecast[t + h] = value[t + h - j m] + spread * change[h],      h = 1 ... H,

    where j is the smallest number of seasons that reaches into the past (without a season m is
    1: the last value), and `change` is what a dense layer makes of the output of the recurrent
    layers, and of how the value changed in the seasons before.

    Args:
        horizon: how many steps ahead to forecast.
        method: "sequence" says the next `horizon` steps after every step, and is trained with
            all of them; "direct" says the same but is trained with the last step of each
            window alone; "recursive" says one step, and is fed with what it said, so that it
            can go on for any horizon.
        layer: "lstm", "gru", "simple_rnn", or a function from units to a layer of seqstate.
        units: of the layer; several numbers for layers on top of each other.
        head: "quantile" says quantiles (pinball loss), its point forecast is the median;
            "gaussian" a mean and a deviation (likelihood); "point" the mean alone.
        quantiles: the levels that `predict_quantiles` gives; the outermost are the interval.
        season: steps in a season; "auto" finds it; None for none.
        calendar: "auto" reads hour of day, day of week and day of year where the dates support
            it; a list of these names; None for none.
        time: of a frame, the column of times; without it the index of pandas.
        target: of a frame, the column or columns to forecast; all other columns by default.
        series: of a frame with several series below each other, the column that tells them
            apart.
        known: of a frame, columns that are known for the future too (holidays, prices).
        past: of a frame, columns that are only known once they are observed.
        window: steps in a window to learn from; two seasons or horizons by default.
        validation: the share at the end of the history that is held out of training to decide
            when to stop; 0 for none.
        epochs: at most.
        patience: epochs without progress on the held-out end before training stops.
        batch_size: windows in a batch.
        learning_rate: of Adam.
        paths: how many paths the intervals of the recursive method are made of.
        seed: of weights, windows and paths.
        progress: whether to show a bar while it works; None: in a terminal, where it is long.

    Attributes:
        season_: steps in a season, 1 without one.
        losses_: the losses of each epoch, `loss` and `val_loss`.

    Example:
        >>> import numpy as np
        >>> series = np.sin(np.arange(200) * 2 * np.pi / 12)
        >>> forecaster = Forecaster(horizon=3, season=12, units=4, epochs=2)
        >>> forecaster.fit(series[:-3]).predict().shape
        (3,)
        >>> forecaster.update(series[-3:]).predict_quantiles().shape  # [horizon, quantiles]
        (3, 3)

    References:
        Wen, Torkkola, Narayanaswamy and Madeka, A Multi-Horizon Quantile Recurrent Forecaster
        (2017), for a recurrent network that says all horizons and quantiles after every step;
        Salinas, Flunkert, Gasthaus and Januschowski, DeepAR (2020), for paths of samples.
    """

    _fitted: Fitted | None = None

    def __init__(
        self,
        horizon: int,
        method: str = "sequence",
        *,
        layer: Any = "lstm",
        units: Any = 32,
        head: str = "quantile",
        quantiles: Sequence[float] = (0.1, 0.5, 0.9),
        season: Any = "auto",
        calendar: Any = "auto",
        time: Any = None,
        target: Any = None,
        series: Any = None,
        known: Any = None,
        past: Any = None,
        window: int | None = None,
        validation: float = 0.15,
        epochs: int = 60,
        patience: int = 8,
        batch_size: int = 32,
        learning_rate: float = 0.003,
        paths: int = 200,
        seed: int = 0,
        progress: bool | None = None,
    ) -> None:
        self.horizon = horizon
        self.method = method
        self.layer = layer
        self.units = units
        self.head = head
        self.quantiles = quantiles
        self.season = season
        self.calendar = calendar
        self.time = time
        self.target = target
        self.series = series
        self.known = known
        self.past = past
        self.window = window
        self.validation = validation
        self.epochs = epochs
        self.patience = patience
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.paths = paths
        self.seed = seed
        self.progress = progress

    def fit(self, y: Any, *, known: Any = None, past: Any = None) -> Self:
        """Train on the history, and take the state over the whole of it.

        Args:
            y: `[time]` or `[time, targets]`; a series or a frame of pandas or polars; several
                as a list (lengths may differ), a dict by name, or one frame with the column
                `series`.
            known: beside arrays, covariates that are known for the future, `[time, known]`.
            past: beside arrays, covariates of the past alone, `[time, past]`.

        Returns:
            The forecaster itself.

        Raises:
            DataError: a series that can't be read, has gaps or NaN, or is too short.
            ArgumentError: an argument that can't be used.
        """
        series, form = read_series(y, columns_of(self.get_params()), WHERE, known, past)
        return self._fit(series, form)

    def _fit(self, series: Sequence[Series], form: Form) -> Self:
        settings = settings_of(self.get_params(), WHERE)
        ahead.check_past(settings, series[0].past.shape[1])
        with epochs_shown(settings.epochs, self.progress) as report:
            self._fitted = fit_series(settings, series, form, report)
        self.season_ = self._fitted.reader.reach.season
        self.losses_ = self._fitted.losses
        return self

    def predict(self, horizon: int | None = None, *, known: Any = None) -> Any:
        """Forecast from where the state stands; it stays there.

        Args:
            horizon: steps, `self.horizon` by default; more than that only with "recursive".
            known: the known covariates of the steps ahead, `[horizon, known]` or a frame.

        Returns:
            What came, gone on: `[horizon]` for `[time]`, a series of pandas for one, and so on.

        Raises:
            NotFittedError: `fit` was not called yet.
            ArgumentError: a horizon beyond what the model says.
            DataError: covariates that are missing, too short or of other times.
        """
        fitted = self._ready("predict")
        steps, covariates = ahead.asked(self, fitted, horizon, known)
        return self._written(ahead.points(fitted, steps, covariates))

    def predict_quantiles(
        self, horizon: int | None = None, *, known: Any = None, quantiles: Any = None
    ) -> Any:
        """Forecast quantiles from where the state stands.

        With "direct" and "sequence" they are what the head says. With "recursive" they are
        taken over `self.paths` paths of values that are drawn, fed back and drawn again.

        Args:
            horizon: steps, as in `predict`.
            known: covariates, as in `predict`.
            quantiles: levels, `self.quantiles` by default; they come back rising. Others only
                with head="gaussian" or method="recursive".

        Returns:
            Of arrays, `[horizon, quantiles]` or `[horizon, targets, quantiles]`; of frames and
            series a frame with a column for each level: `temperature_q0.1`.

        Raises:
            NotFittedError: `fit` was not called yet.
            ArgumentError: as `predict`; a head that says no quantiles; a level that is not
                trained.
        """
        fitted = self._ready("predict_quantiles")
        levels = checked_levels(self.quantiles if quantiles is None else quantiles, WHERE)
        ahead.check_levels(self, fitted, levels)
        steps, covariates = ahead.asked(self, fitted, horizon, known)
        found = ahead.quantiles(fitted, steps, covariates, levels, self.paths, self.seed)
        return self._written(found, levels)

    def update(self, y: Any, *, known: Any = None, past: Any = None) -> Self:
        """Move the state on over new observations, without training.

        Args:
            y: what came since, in the form that `fit` was given; of a dict or a frame with
                several series, those that have something new.
            known: as in `fit`.
            past: as in `fit`.

        Returns:
            The forecaster itself.

        Raises:
            NotFittedError: `fit` was not called yet.
            DataError: other columns, or times that don't go on where the series ended.
        """
        fitted = self._ready("update")
        columns = columns_of(self.get_params(), fitted.form.first.wall)
        read = read_series(y, columns, f"{WHERE}.update", known, past)
        fitted.advance(continuing.in_order(fitted, *read))
        return self

    def score(self, y: Any, *, known: Any = None, past: Any = None) -> float:
        """Say how much smaller the error of a forecast is than that of the seasonal-naive one.

        Args:
            y: what came after the point where the state stands, not more than the horizon; the
                state stays where it is.
            known: as in `fit`.
            past: as in `fit`; not used.

        Returns:
            `1 - MAE / MAE of seasonal-naive`: 1 is perfect, 0 no better than to repeat the last
            season (without a season, the last value), below 0 worse.
        """
        fitted = self._ready("score")
        columns = columns_of(self.get_params(), fitted.form.first.wall)
        read = read_series(y, columns, f"{WHERE}.score", known, past)
        return ahead.skill(fitted, continuing.in_order(fitted, *read))

    def backtest(
        self,
        y: Any,
        *,
        known: Any = None,
        past: Any = None,
        origins: int | None = None,
        stride: int | None = None,
        refit: bool = False,
        progress: bool | None = None,
    ) -> Backtest:
        """Forecast from several points of the past, and hold the forecasts against what came.

        A clone is trained on what lies before the first of these points (with `refit` anew at
        each); from there its state moves on. This forecaster stays as it is.

        Args:
            y: the whole history, as for `fit`.
            known: as in `fit`.
            past: as in `fit`.
            origins: how many points; by default as many as fit into the last fifth, at most 20.
            stride: steps from one to the next; the horizon by default.
            refit: train anew at each point.
            progress: whether to show a bar; None: in a terminal, where it is long.

        Returns:
            The forecasts, and scores beside naive and seasonal-naive; see `Backtest`.

        Raises:
            DataError: the history is too short for so many points.
        """
        from seqstate.forecast.backtest import run_backtest

        series, form = read_series(y, columns_of(self.get_params()), WHERE, known, past)
        return run_backtest(self, series, form, origins, stride, refit, progress)

    def plot(
        self,
        horizon: int | None = None,
        *,
        known: Any = None,
        name: Any = None,
        target: int = 0,
        history: int | None = None,
    ) -> Figure:
        """Draw the end of the history, the forecast and, where the head has one, the interval.

        Args:
            horizon: as in `predict`.
            known: as in `predict`.
            name: the series, where there are several; by default each has a panel, eight at
                most.
            target: the number of the target.
            history: how many steps of the history; four horizons by default. Of a long history
                only the end is kept: four horizons or seasons, at least 128 steps.

        Returns:
            A figure of matplotlib.
        """
        from seqstate.forecast.picture import forecast_picture

        fitted = self._ready("plot")
        return forecast_picture(self, fitted, horizon, known, name, target, history)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the forecaster, with the state at which it stands, into a file.

        It is a zip of JSON and arrays; nothing in it is code.

        Raises:
            NotFittedError: `fit` was not called yet.
            ArgumentError: the layer is a function; a place that can't be written to.
        """
        return storing.save(self, self._ready("save"), path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a forecaster that `save` wrote; it goes on from the state at which it stood.

        Raises:
            DataError: the file is not there, or is no forecaster.
        """
        return storing.load(cls, path)

    def __getstate__(self) -> dict[str, Any]:
        return storing.pickled(self, self._fitted)

    def __setstate__(self, state: dict[str, Any]) -> None:
        storing.restore(self, state)

    def __sklearn_is_fitted__(self) -> bool:
        return self._fitted is not None

    def _ready(self, asked: str) -> Fitted:
        if self._fitted is None:
            raise NotFittedError(
                message(
                    WHERE,
                    f"{asked} was called before fit.",
                    "Call fit(history) first; it trains and takes the state over the history.",
                )
            )
        return self._fitted

    def _written(self, values: np.ndarray, levels: Sequence[float] | None = None) -> Any:
        fitted = self._ready("predict")
        steps = values.shape[1]
        starts = [place.count for place in fitted.places]
        return written(fitted.form, list(values), fitted.times_ahead(steps), starts, levels)
