"""What goes in comes out: arrays, lists, dicts, pandas, polars; with the times gone on."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from forecasting import small, wave
from seqstate.forecast.forecaster import Forecaster

Y = wave(80)
BOTH = wave(80, targets=2)
HOURS = pd.date_range("2024-03-30 02:00", periods=84, freq="h")


@pytest.fixture(scope="module")
def expected():
    return small().fit(Y).predict()


def pandas_frame(**columns):
    return pd.DataFrame({"time": HOURS[:80], **columns})


def test_a_list_of_numbers_and_whole_numbers_are_one_series(expected):
    assert small().fit(list(Y)).predict() == pytest.approx(expected)
    assert small().fit([1, 2, 3, 4, 5, 6] * 10).predict().shape == (3,)


def test_the_axes_of_arrays_stay():
    forecaster = small().fit(BOTH)
    assert forecaster.predict().shape == (3, 2)
    assert forecaster.predict(2).shape == (2, 2)
    assert forecaster.predict_quantiles().shape == (3, 2, 3)
    column = small().fit(Y[:, None])
    assert column.predict().shape == (3, 1)
    assert small().fit(Y).predict_quantiles(quantiles=0.5)[:, 0] == pytest.approx(
        column.predict()[:, 0]
    )


def test_lists_and_dicts_stay_lists_and_dicts():
    parts = [Y, Y[:50] * 2]
    found = small().fit(parts).predict()
    named = small().fit({"a": parts[0], 7: parts[1]}).predict()
    assert list(named) == ["a", 7]
    for one, other in zip(found, named.values(), strict=True):
        np.testing.assert_allclose(one, other)
    cube = small().fit(np.stack([BOTH, BOTH * 2])).predict()
    assert [one.shape for one in cube] == [(3, 2), (3, 2)]


def test_a_series_of_pandas_goes_on_in_time(expected):
    series = pd.Series(Y, index=HOURS[:80], name="warmth")
    forecaster = small(calendar=None).fit(series)
    pd.testing.assert_series_equal(
        forecaster.predict(),
        pd.Series(expected, index=HOURS[80:83].as_unit("ns"), name="warmth"),
        check_freq=False,
        check_index_type=False,
        rtol=1e-5,
    )
    said = forecaster.predict_quantiles()
    assert list(said.columns) == ["warmth_q0.1", "warmth_q0.5", "warmth_q0.9"]
    forecaster.update(pd.Series([0.0], index=HOURS[80:81], name="warmth"))
    assert list(forecaster.predict(2).index) == list(HOURS[81:83])


def test_an_index_that_only_counts_goes_on_counting(expected):
    found = small().fit(pd.Series(Y)).predict()
    pd.testing.assert_series_equal(found, pd.Series(expected, index=[80, 81, 82]))
    assert found.name is None


def test_periods_stay_periods():
    months = pd.period_range("2015-01", periods=80, freq="M")
    found = small(horizon=2, calendar=None).fit(pd.Series(Y, index=months)).predict()
    assert list(found.index) == list(pd.period_range("2021-09", periods=2, freq="M"))


@pytest.mark.parametrize("zone", ["Europe/Berlin", "UTC"])
def test_hours_go_on_across_the_change_of_clocks(zone):
    # The night in which the clocks of Berlin skip an hour is in the history.
    times = HOURS.tz_localize("UTC").tz_convert(zone)
    forecaster = small(calendar=["hour of day"]).fit(pd.Series(Y, index=times[:80]))
    assert list(forecaster.predict().index) == list(times[80:83])
    wall = forecaster._fitted.wall(forecaster._fitted.places[0].recent.times)
    assert list(wall) == list(times[:80].tz_localize(None).to_numpy())


def test_days_of_a_zone_go_on_at_its_midnight():
    days = pd.date_range("2024-01-20", periods=84, freq="D", tz="Europe/Berlin")
    found = small(calendar=None).fit(pd.Series(Y, index=days[:80])).predict()
    assert list(found.index) == list(days[80:83])


@pytest.mark.parametrize("start", ["2024-01-20", "2024-01-06"], ids=["changed", "not yet"])
def test_days_of_a_zone_go_on_one_by_one_across_the_change_of_clocks(start):
    days = pd.date_range(start, periods=100, freq="D", tz="Europe/Berlin")
    series = pd.Series(wave(100), index=days)
    price = series.to_frame("price")
    forecaster = small(calendar=None).fit(series[:80], known=price[:80])
    for day in range(80, 97):
        found = forecaster.predict(known=price[day : day + 3])
        assert list(found.index) == list(days[day : day + 3])
        forecaster.update(series[day : day + 1], known=price[day : day + 1])
    assert np.isfinite(forecaster.score(series[97:], known=price[97:]))


@pytest.mark.parametrize("several", ["long", "dict"])
def test_series_with_and_without_a_change_of_clocks_go_by_the_same(several):
    nights = pd.date_range("2024-02-20 06:00", periods=83, freq="D", tz="Europe/Berlin")
    parts = {
        name: pd.DataFrame({"time": nights[:steps], "y": Y[:steps]})
        for name, steps in (("long", 80), ("winter", 30))
    }
    if several == "dict":
        found = small(time="time", calendar=None).fit(parts).predict()
    else:
        together = pd.concat([part.assign(place=name) for name, part in parts.items()])
        said = small(time="time", series="place", calendar=None).fit(together).predict()
        found = dict(iter(said.groupby("place")))
    assert list(found["long"]["time"]) == list(nights[80:])
    assert list(found["winter"]["time"]) == list(nights[30:33])


def test_frames_of_pandas_give_frames():
    frame = pandas_frame(a=BOTH[:, 0], b=BOTH[:, 1])
    by_column = small(time="time", calendar=None).fit(frame).predict()
    assert list(by_column.columns) == ["time", "a", "b"]
    assert list(by_column["time"]) == list(HOURS[80:83])
    by_index = small(calendar=None).fit(frame.set_index("time")).predict()
    assert by_index.index.name == "time"
    np.testing.assert_allclose(by_index.to_numpy(), by_column[["a", "b"]].to_numpy(), rtol=1e-5)
    one = small(time="time", target="b", calendar=None).fit(frame).predict()
    assert list(one.columns) == ["time", "b"]


@pytest.mark.parametrize("kind", ["datetime", "date", "number"])
def test_frames_of_polars_give_frames_of_polars(kind, expected):
    times = {
        "datetime": pl.Series(HOURS[:80].to_numpy()),
        "date": pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 3, 20), eager=True),
        "number": pl.Series(range(100, 180)),
    }[kind]
    frame = pl.DataFrame({"when": times, "y": Y})
    found = small(time="when", calendar=None).fit(frame).predict()
    assert isinstance(found, pl.DataFrame)
    assert found["when"].dtype == times.dtype
    step = times[1] - times[0]
    assert found["when"].to_list() == [times[-1] + step * i for i in (1, 2, 3)]
    np.testing.assert_allclose(found["y"].to_numpy(), expected, rtol=1e-5)
    said = small(time="when", calendar=None).fit(frame).predict_quantiles()
    assert said.columns == ["when", "y_q0.1", "y_q0.5", "y_q0.9"]


def test_a_series_of_polars_gives_one(expected):
    found = small().fit(pl.Series("y", Y)).predict()
    assert isinstance(found, pl.Series)
    assert found.name == "y"
    np.testing.assert_allclose(found.to_numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("library", [pd, pl])
def test_a_long_frame_holds_several_series(library):
    parts = {"north": Y, "south": Y[:60] * 3}
    columns = {
        "place": [name for name, y in parts.items() for _ in y],
        "time": np.concatenate([HOURS[: len(y)].to_numpy() for y in parts.values()]),
        "y": np.concatenate(list(parts.values())),
    }
    frame = library.DataFrame(columns)
    forecaster = small(time="time", series="place", calendar=None).fit(frame)
    found = forecaster.predict()
    assert isinstance(found, library.DataFrame)
    assert list(found["place"]) == ["north"] * 3 + ["south"] * 3
    assert list(found["time"]) == [*HOURS[80:83], *HOURS[60:63]]
    by_name = small(calendar=None).fit(parts).predict()
    np.testing.assert_allclose(
        found["y"].to_numpy(), np.concatenate(list(by_name.values())), rtol=1e-5
    )
    news = library.DataFrame({"place": ["south"], "time": HOURS[60:61].to_numpy(), "y": [1.0]})
    moved = forecaster.update(news).predict()
    assert list(moved["time"]) == [*HOURS[80:83], *HOURS[61:64]]


def test_covariates_of_frames_and_arrays_say_the_same():
    holiday = (np.arange(84) % 10 == 0).astype(float)
    rain = wave(84, seed=4)
    frame = pandas_frame(y=Y, holiday=holiday[:80], rain=rain[:80])
    arguments = {"time": "time", "target": "y", "known": "holiday", "past": ["rain"]}
    forecaster = small(**arguments, calendar=None).fit(frame)
    ahead = pd.DataFrame({"time": HOURS[80:83], "holiday": holiday[80:83]})
    found = forecaster.predict(known=ahead)["y"].to_numpy()
    plain = Forecaster(**{**small(calendar=None).get_params()})
    plain.fit(Y, known=holiday[:80], past=rain[:80])
    np.testing.assert_allclose(plain.predict(known=holiday[80:83]), found, rtol=1e-5)
    assert np.abs(plain.predict(known=1 - holiday[80:83]) - found).max() > 1e-4
    several = small(calendar=None).fit([Y], known=[holiday[:80]], past=[rain[:80]])
    np.testing.assert_allclose(several.predict(known=[holiday[80:83]])[0], found, rtol=1e-5)


@pytest.mark.parametrize("method", ["sequence", "recursive"])
def test_a_known_covariate_is_learned_where_it_moves_the_value(method):
    random = np.random.default_rng(5)
    known = (random.random(400) < 0.2).astype(float)
    y = wave(400, noise=0.02) + 3 * known
    forecaster = small(
        horizon=4, method=method, head="point", epochs=25, units=8, learning_rate=0.02
    ).fit(y[:380], known=known[:380])
    said = forecaster.predict(known=[1.0, 0.0, 1.0, 0.0])
    other = forecaster.predict(known=[0.0, 0.0, 0.0, 0.0])
    np.testing.assert_allclose((said - other)[[0, 2]], 3.0, atol=0.7)
