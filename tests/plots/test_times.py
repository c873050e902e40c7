"""The times of the steps: the picture and the page read them alike, and refuse the same."""

import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqstate.errors import ArgumentError
from seqstate.plots.explorer.axes import time_axis
from seqstate.plots.times import read_times
from seqstate.traces import LayerTrace, Trace

H = np.zeros((1, 6, 2), "float32")
LAYERS = {
    "a": LayerTrace("a", "GRU", {"states": {"h": H}}),
    "b": LayerTrace("b", "GRU", {"states": {"h": H[:, :4]}}),
}
TRACE = Trace("some", H, None, LAYERS)

# time, what is said of it
WRONG = [
    (np.arange(5), "time has 5 entries; the sequences have 4 and 6 time steps.\n  Pass one entry"),
    (np.zeros(6), "time[1] is 0.0, after 0.0; expected times that rise"),
    ([0, 1, 3, 2, 4, 5], "time[3] is 2, after 3; expected times that rise"),
    (np.array([3, 2, 1, 0, 0, 0], "uint8"), "time[1] is 2, after 3;"),
    ([0, 1, 2, 3, 4, np.nan], "time[5] is nan; expected times that rise"),
    ([0, 1, 2, 3, 4, np.inf], "time[5] is inf;"),
    (np.array(["2024", "NaT"] * 3, "M8[D]"), "time[1] is NaT;"),
    (list("abcdef"), "time is a list of shape (6,) and type <U1 that starts with ['a', 'b']"),
    ([object()] * 6, "expected rising numbers or datetime64, [time].\n  Convert it, for example"),
    (np.arange(6).astype(object), "of shape (6,) and type object that starts with [0, 1]"),
    (np.zeros((6, 1)), "of shape (6, 1) and type float64"),
    (np.arange(6) * 1j, "type complex128"),
    (np.arange(6) > 2, "type bool"),
    ([[0, 1], 2, 3, 4, 5, 6], "time is a list"),
    (7, "time is 7; expected rising numbers"),
    ("2024", "time is '2024';"),
]


@pytest.mark.parametrize(("time", "says"), WRONG)
def test_a_wrong_time_is_refused_in_the_same_words_everywhere(tmp_path, time, says):
    said = []
    for show in (TRACE.plot, lambda time: TRACE.to_html(tmp_path / "a.html", time=time)):
        with pytest.raises(ArgumentError) as error:
            show(time=time)
        assert says in str(error.value)
        said.append(str(error.value).partition(": ")[2])
    assert said[0] == said[1]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("time", "values"),
    [
        ([0, 1, 5], [0, 1, 5]),
        ((0.5, 1.5, 2.0), [0.5, 1.5, 2.0]),
        (np.array([1, 2, 3], "uint8"), [1, 2, 3]),
        ([datetime.datetime(2024, 1, day) for day in (1, 2, 3)], ["2024-01-01", "2024-01-02"]),
        ([datetime.date(2024, 1, day) for day in (1, 2, 3)], ["2024-01-01", "2024-01-02"]),
        (np.array(["2024-01-01", "2024-01-02", "2024-01-09"], "M8[D]"), ["2024-01-01"]),
    ],
)
def test_numbers_and_dates_are_taken_as_they_are(time, values):
    read = read_times(time, {3}, "here")
    assert read.label == "time"
    assert read.dated == isinstance(values[0], str)
    expected = np.array(values, "M8[us]" if read.dated else float)
    np.testing.assert_array_equal(read.values[: len(values)], expected)


@given(
    st.sampled_from(["D", "h", "m", "s", "ms", "us", "ns"]),
    st.integers(1, 500),
    st.integers(2, 40),
)
def test_an_axis_tells_every_step_from_its_neighbours(unit, step, steps):
    """As floats, milliseconds for the page and days for matplotlib."""
    start = np.datetime64("2024-02-29T23:59:58", unit)
    given_times = start + np.arange(steps) * np.timedelta64(step, unit)
    read = read_times(given_times, {steps}, "here")
    axis = time_axis(read)
    if read.dated:
        places = (read.values - np.datetime64(0, "us")) / np.timedelta64(1, "D")
        np.testing.assert_array_equal(np.array(axis["names"], "M8"), given_times)
    else:
        counted = "ns" if "ns after" in read.label else "us"
        assert read.label == f"time, {counted} after {str(start).replace('T', ' ')}"
        places = read.values
        passed = (given_times - start) / np.timedelta64(1, counted)
        np.testing.assert_array_equal(places, passed)
    gaps = np.diff(places)
    np.testing.assert_allclose(gaps, gaps.mean(), rtol=0.05)
    places = axis["start"] + axis["step"] * np.arange(steps)
    np.testing.assert_allclose(np.diff(places), axis["step"], rtol=0.05)
    assert len(set(axis["names"])) == steps


@pytest.mark.parametrize(
    ("time", "names"),
    [
        (["2024-02-29", "2024-03-01"], ["2024-02-29 00:00", "2024-03-01 00:00"]),
        (["2024-02-29T10:30:00", "2024-02-29T10:30:30"], ["2024-02-29 10:30:00", "…:30:30"]),
        (
            ["2024-02-29T10:30:00.000000", "2024-02-29T10:30:00.000250"],
            ["…:00.000000", "…:00.000250"],
        ),
        ([0.5, 4.0], ["0.5", "4"]),
        ([1, 2], ["1", "2"]),
        ([7], ["7"]),
    ],
)
def test_the_page_names_each_step_as_finely_as_the_times_are(time, names):
    values = np.array(time, "M8" if isinstance(time[0], str) else None)
    said = time_axis(read_times(values, {len(time)}, "here"))["names"]
    for name, one in zip(said, names, strict=True):
        assert name.endswith(one.removeprefix("…")) if one[0] == "…" else name == one


def test_uneven_times_are_counted_and_it_is_said():
    axis = time_axis(read_times([0.5, 1.0, 4.0], {3}, "here"))
    assert (axis["start"], axis["label"]) == (None, "time (the steps are not even)")
    one = time_axis(read_times([0.5], {1}, "here"))
    assert (one["start"], one["label"]) == (None, "time")
