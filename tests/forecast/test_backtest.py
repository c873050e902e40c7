import numpy as np
import pandas as pd
import pytest

from forecasting import SEASON, small, wave
from seqstate.forecast.forecaster import Forecaster
from seqstate.forecast.scores import coverage, symmetric_percentage_error

Y = wave(140)


def test_the_forecasts_are_those_of_a_forecaster_that_stood_there():
    result = small(horizon=4).backtest([Y, Y[:120] * 3], origins=3, stride=2, progress=False)
    by_hand = small(horizon=4).fit([Y[:132], Y[:112] * 3])
    for origin in range(3):
        start = 132 + 2 * origin
        for number, one in enumerate((Y, Y[:120] * 3)):
            a = start - 20 * number
            np.testing.assert_array_equal(result.observed[origin, number, :, 0], one[a : a + 4])
            np.testing.assert_array_equal(
                result.forecasts["naive"][origin, number, :, 0], np.repeat(one[a - 1], 4)
            )
            np.testing.assert_array_equal(
                result.forecasts["seasonal-naive"][origin, number, :, 0],
                one[a - SEASON : a - SEASON + 4],
            )
        found = by_hand.predict()
        for number in (0, 1):
            np.testing.assert_allclose(
                result.forecasts["model"][origin, number, :, 0], found[number], rtol=1e-4, atol=1e-4
            )
        by_hand.update([Y[start : start + 2], (Y * 3)[start - 20 : start - 18]])
    assert result.names == ("series[0]", "series[1]")
    assert result.quantiles.shape == (3, 2, 4, 1, 3)


def test_scores_by_hand():
    result = small().backtest(Y, origins=5, progress=False)
    naive_error = np.abs(Y[SEASON:125] - Y[: 125 - SEASON]).mean()
    reference = np.abs(result.forecasts["seasonal-naive"] - result.observed).mean()
    for name, forecast in result.forecasts.items():
        error, score = forecast - result.observed, result.scores[name]
        assert score.mae == pytest.approx(np.abs(error).mean())
        assert score.rmse == pytest.approx(np.sqrt((error**2).mean()))
        assert score.mase == pytest.approx(np.abs(error).mean() / naive_error)
        assert score.skill == pytest.approx(1 - np.abs(error).mean() / reference)
    inside = (result.observed >= result.quantiles[..., 0]) & (
        result.observed <= result.quantiles[..., -1]
    )
    assert result.coverage == pytest.approx(inside.mean())
    assert result.interval == pytest.approx(0.8)
    assert coverage(np.arange(4), np.full(4, 1), np.full(4, 2)) == 0.5
    assert symmetric_percentage_error(np.array([2.0]), np.array([6.0])) == 100.0


def test_errors_are_counted_in_the_season_that_was_used():
    """Three seasons of 12 are seen, but a horizon of 24 leaves no room for them."""
    y = np.sin(np.arange(70) * 2 * np.pi / 12) + wave(70) / 10
    result = small(horizon=24, season="auto", window=None).backtest(y, origins=1, progress=False)
    assert result.season == 1
    error = np.abs(result.forecasts["model"] - result.observed).mean()
    naive = np.abs(np.diff(y[:46])).mean()
    assert result.scores["model"].mase == pytest.approx(error / naive)


def test_with_refit_each_origin_has_a_model_of_its_own():
    result = small().backtest(Y, origins=2, refit=True, progress=False)
    for origin, end in enumerate((134, 137)):
        np.testing.assert_allclose(
            result.forecasts["model"][origin, 0, :, 0],
            small().fit(Y[:end]).predict(),
            rtol=1e-4,
            atol=1e-4,
        )


def test_it_leaves_the_forecaster_as_it_is_and_knows_the_times():
    days = pd.date_range("2024-01-01", periods=140, freq="D")
    forecaster = small(head="point", calendar=None)
    result = forecaster.backtest(pd.Series(Y, index=days), origins=2, progress=False)
    assert not hasattr(forecaster, "season_")
    assert (result.times[-1, 0] == days[-3:].to_numpy()).all()
    assert np.isnan(result.coverage)
    assert "interval" not in result.verdict()


def test_it_says_plainly_whether_the_model_is_better():
    result = small(epochs=1, learning_rate=1e-9).backtest(Y, origins=3, progress=False)
    text = str(result)
    own = result.scores["model"].mae
    for name in ("naive", "seasonal-naive"):
        better = own < result.scores[name].mae
        assert (f"The model beats {name}:" if better else f"does NOT beat {name}:") in text
    assert f"The 80% interval held {result.coverage:.0%} of what came." in text
    assert "MASE" in text


def test_it_really_forecasts():
    """Seasons of a day and a week, a trend and noise: a year of hours would take minutes."""
    steps = 24 * 70
    hours = pd.date_range("2024-01-01", periods=steps, freq="h")
    random = np.random.default_rng(0)
    values = (
        20
        + 0.01 * np.arange(steps)
        + 5 * np.sin(2 * np.pi * hours.hour / 24)
        + 4 * (hours.day_of_week >= 5)
        + random.normal(size=steps)
    )
    forecaster = Forecaster(24, units=16, epochs=12, learning_rate=0.01, season=24, progress=False)
    result = forecaster.backtest(pd.Series(np.asarray(values), index=hours), origins=7)
    assert result.scores["model"].mase < 0.8
    assert result.scores["model"].skill > 0.2
    assert 0.6 < result.coverage < 0.95


def test_pictures_show_what_they_say():
    days = pd.date_range("2024-01-01", periods=140, freq="D")
    series = pd.Series(Y, index=days, name="cost, $")
    forecaster = small(calendar=None).fit(series)
    (axes,) = forecaster.plot(history=30).axes
    lines = {line.get_label(): line for line in axes.get_lines()}
    np.testing.assert_array_equal(lines["observed"].get_ydata(), Y[-30:])
    np.testing.assert_allclose(lines["forecast"].get_ydata(), forecaster.predict().to_numpy())
    assert axes.get_ylabel() == "cost, $"
    (band,) = axes.collections
    quantiles = forecaster.predict_quantiles().to_numpy()
    assert band.get_label() == "80% interval"
    edges = band.get_paths()[0].vertices[:, 1]
    assert edges.min() == pytest.approx(quantiles[:, 0].min())
    assert edges.max() == pytest.approx(quantiles[:, 2].max())

    result = small().backtest([Y, Y * 2], origins=3, progress=False)
    (axes,) = result.plot("series[1]").axes
    lines = [line for line in axes.get_lines() if line.get_label() == "observed"]
    np.testing.assert_array_equal(lines[0].get_ydata(), 2 * Y[-9:])
    assert len(axes.get_lines()) == 1 + 2 * 3


def test_each_series_has_a_panel_and_those_that_have_none_are_named():
    series = {f"shop {number}": Y * (number + 1) for number in range(10)}
    forecaster = small().fit(series)
    result = forecaster.backtest(series, origins=2, progress=False)
    for figure, steps in ((forecaster.plot(history=20), 20), (result.plot(), 6)):
        assert len(figure.axes) == 8
        for number, axes in enumerate(figure.axes):
            assert axes.get_title(loc="left").startswith(f"shop {number}, value: ")
            lines = [line for line in axes.get_lines() if line.get_label() == "observed"]
            np.testing.assert_array_equal(lines[0].get_ydata(), (Y * (number + 1))[-steps:])
        assert figure.get_supxlabel() == "Not drawn: 2 more series, shop 8, shop 9"
    said = forecaster.predict()
    lines = {line.get_label(): line for line in forecaster.plot().axes[3].get_lines()}
    np.testing.assert_allclose(lines["forecast"].get_ydata(), said["shop 3"])
    assert len(forecaster.plot(name="shop 9").axes) == 1


def test_pictures_of_a_zone_have_its_clocks():
    hours = pd.date_range("2024-06-01", periods=140, freq="h", tz="Asia/Tokyo")
    series = pd.Series(Y, index=hours)
    forecaster = small(calendar=None).fit(series[:-3])
    lines = {line.get_label(): line for line in forecaster.plot().axes[0].get_lines()}
    local = hours.tz_localize(None)
    assert list(pd.DatetimeIndex(lines["forecast"].get_xdata())) == list(local[-3:])
    assert pd.Timestamp(lines["observed"].get_xdata()[-1]) == local[-4]
    result = forecaster.backtest(series, origins=1, progress=False)
    assert list(pd.DatetimeIndex(result.times[0, 0])) == list(local[-3:])
