import numpy as np
import pandas as pd
import pytest

from seqstate.errors import ArgumentError
from seqstate.forecast.calendar import calendar_features, choose_cycles
from seqstate.forecast.clock import Clock, clock_of


def clock(frequency):
    times = pd.date_range("2024-01-01", periods=10, freq=frequency)
    return clock_of(times.to_numpy().astype("datetime64[us]"), "here", "it")


@pytest.mark.parametrize(
    ("frequency", "steps", "cycles"),
    [
        ("h", 24, ()),
        ("h", 48, ("hour of day",)),
        ("h", 24 * 14, ("hour of day", "day of week")),
        ("h", 24 * 731, ("hour of day", "day of week", "day of year")),
        ("D", 40, ("day of week",)),
        ("D", 731, ("day of week", "day of year")),
        ("12h", 100, ("day of week",)),  # two points of a day are no cycle
        ("MS", 36, ("day of year",)),
        ("YS", 40, ()),
    ],
)
def test_only_the_cycles_are_used_that_step_and_length_support(frequency, steps, cycles):
    assert choose_cycles("auto", clock(frequency), steps, "here") == cycles


def test_the_features_are_those_of_pandas():
    times = pd.date_range("2023-12-30", periods=300, freq="7h")
    names = ("hour of day", "day of week", "day of year")
    found = calendar_features(times.to_numpy().astype("datetime64[us]"), names)
    hours = times.hour + times.minute / 60
    phases = [
        hours / 24,
        (times.day_of_week + hours / 24) / 7,
        (times.day_of_year - 1 + hours / 24) / 365.2425,
    ]
    for number, phase in enumerate(phases):
        angle = 2 * np.pi * np.asarray(phase)
        np.testing.assert_allclose(found[:, 2 * number], np.sin(angle), atol=1e-9)
        np.testing.assert_allclose(found[:, 2 * number + 1], np.cos(angle), atol=1e-9)


@pytest.mark.parametrize(
    ("wanted", "given", "says"),
    [
        (["hour"], Clock("steps", 3_600_000_000, True), "unknown name 'hour'"),
        (["hour of day"], None, "the series has no dates"),
    ],
)
def test_a_calendar_that_is_not_there_is_refused(wanted, given, says):
    with pytest.raises(ArgumentError, match=says):
        choose_cycles(wanted, given, 1000, "here")
