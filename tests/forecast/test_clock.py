import numpy as np
import pandas as pd
import pytest

from seqstate.errors import DataError
from seqstate.forecast.clock import clock_of, show, without_gaps

# How pandas itself would go on is the oracle.
FREQUENCIES = ["h", "15min", "D", "W-WED", "MS", "ME", "QS", "YS", "B", "2h", "s", "2MS"]


@pytest.mark.parametrize("frequency", FREQUENCIES)
def test_a_clock_goes_on_as_pandas_does(frequency):
    whole = pd.date_range("2023-01-02", periods=40, freq=frequency)
    times = whole.to_numpy().astype("datetime64[us]")
    clock = clock_of(times[:25], "here", "the series")
    np.testing.assert_array_equal(clock.after(times[24], 15), times[25:])
    np.testing.assert_array_equal(clock.until(times[24], 10), times[15:25])


@pytest.mark.parametrize("frequency", FREQUENCIES)
def test_missing_times_are_put_in(frequency):
    whole = pd.date_range("2023-01-02", periods=40, freq=frequency)
    times = whole.to_numpy().astype("datetime64[us]")
    np.testing.assert_array_equal(without_gaps(np.delete(times, [9, 20, 21])), times)


def test_numbers_are_times_too():
    clock = clock_of(np.arange(10, 40, 5), "here", "the series")
    assert clock.after(35, 3).tolist() == [40, 45, 50]
    assert clock.seconds is None


DAYS = np.arange("2024-01-01", "2024-01-11", dtype="datetime64[D]").astype("datetime64[us]")
MONTHS = np.arange("2024-01", "2024-12", dtype="datetime64[M]").astype("datetime64[us]")
BAD = {
    "a gap": (
        np.delete(DAYS, [4, 7]),
        "a gap: 2024-01-06 follows 2024-01-04; the usual step is 1 day. It is the first of 2",
    ),
    "a month left out": (
        np.delete(MONTHS, 4),
        "a gap: 2024-06-01 follows 2024-04-01; the usual step is 1 month",
    ),
    "not sorted": (DAYS[[0, 2, 1, 3]], "not sorted by time: row 2 is 2024-01-02, after 2024-01-03"),
    "twice": (DAYS[[0, 1, 1, 2]], "has the time 2024-01-02 2 times"),
    "two series in one": (np.concatenate([DAYS, DAYS]), "and 9 other times more than once"),
    "a short step": (
        np.insert(DAYS, 3, np.datetime64("2024-01-03T12:00", "us")),
        "a step that is too short: 2024-01-03 12:00 follows 2024-01-03",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_times_that_are_not_regular_are_refused(case):
    times, says = BAD[case]
    with pytest.raises(DataError) as caught:
        clock_of(times, "here", "the series")
    assert says in str(caught.value)
    assert "\n" in str(caught.value)


@pytest.mark.parametrize(
    ("time", "text"),
    [
        ("2024-01-31T10:20:30.500000", "2024-01-31 10:20:30.500000"),
        ("2024-01-31T10:20:00.000000", "2024-01-31 10:20"),
        ("2024-01-31T10:00:00.000000", "2024-01-31 10:00"),
    ],
)
def test_a_time_is_shown_as_short_as_it_can_be(time, text):
    assert show(np.datetime64(time)) == text
