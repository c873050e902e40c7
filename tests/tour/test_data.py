import numpy as np
import pytest

from seqstate.errors import DataError
from seqstate.tour.data import clean, load, split

HOURS = np.arange("2010-01-01T00", "2010-01-03T00", dtype="datetime64[h]")
VALUES = np.linspace(32.0, 50.0, len(HOURS))


def test_the_year_is_complete_after_one_hour_is_filled():
    series = load()
    assert len(series.time) == len(series.celsius) == 365 * 24
    assert (np.diff(series.time) == np.timedelta64(1, "h")).all()
    assert [str(hour) for hour in series.filled] == ["2010-03-14T03"]


def test_the_filled_hour_is_the_mean_of_its_neighbours():
    hole = 30
    series = clean(np.delete(HOURS, hole), np.delete(VALUES, hole))
    assert series.filled == (HOURS[hole],)
    assert series.celsius[hole] == pytest.approx((VALUES[29] + VALUES[31] - 64) / 2 / 1.8)
    np.testing.assert_array_equal(series.time, HOURS)


def test_fahrenheit_becomes_celsius():
    values = np.full(len(HOURS), 212.0)
    values[0] = 32.0
    series = clean(HOURS, values)
    assert series.celsius[0] == 0.0
    np.testing.assert_allclose(series.celsius[1:], 100.0)


@pytest.mark.parametrize(
    ("time", "values", "says"),
    [
        (np.delete(HOURS, [5, 6]), np.delete(VALUES, [5, 6]), "2010-01-01T07:00 follows"),
        (np.insert(HOURS, 5, HOURS[5]), np.insert(VALUES, 5, 40.0), "T05:00 follows"),
        (HOURS[::-1], VALUES, "midnight"),
        (HOURS[3:], VALUES[3:], "midnight"),
        (HOURS + np.timedelta64(30, "m"), VALUES, "full hours"),
        (HOURS, np.where(VALUES > 49.9, np.nan, VALUES), "T23:00 is not a number"),
        (HOURS[:1], VALUES[:1], "midnight"),
    ],
)
def test_a_series_that_is_not_hourly_is_refused(time, values, says):
    with pytest.raises(DataError, match=says):
        clean(time, values)


def test_the_parts_follow_each_other_and_cover_the_year():
    parts = split(365 * 24)
    assert parts.train.start == 0
    assert parts.train.stop == parts.validation.start
    assert parts.validation.stop == parts.held_out.start
    assert parts.held_out.stop == 365 * 24
    assert parts.held_out.stop - parts.held_out.start == 28 * 24


@pytest.mark.parametrize("hours", [28 * 24, 111 * 24, 200 * 24 + 1])
def test_a_series_that_is_too_short_or_not_of_whole_days_is_refused(hours):
    with pytest.raises(DataError, match="can't be split"):
        split(hours)
