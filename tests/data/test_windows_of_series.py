"""Windows against a loop, that they share memory, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqstate.data import windows
from seqstate.errors import ArgumentError, DataError, SeqstateError

SERIES = np.random.default_rng(0).normal(size=(40, 5))

SETTINGS = st.fixed_dictionaries(
    {
        "length": st.integers(1, 12),
        "horizon": st.integers(1, 8),
        "stride": st.integers(1, 6),
        "gap": st.integers(0, 5),
        "targets": st.sampled_from([None, 0, -1, [2], [0, 2, 4], [1, 2], [4, 0], [0, 1, 3]]),
        "every_step": st.booleans(),
    }
)


def by_loop(series, length, horizon, stride, gap, targets, every_step):
    columns = np.arange(series.shape[1]) if targets is None else np.atleast_1d(targets)
    x, y = [], []
    for start in range(0, len(series) - length - gap - horizon + 1, stride):
        end = start + length
        ahead = [series[t + gap : t + gap + horizon][:, columns] for t in range(start + 1, end + 1)]
        x.append(series[start:end])
        y.append(ahead if every_step else ahead[-1])
    return np.array(x), np.array(y)


@given(SETTINGS)
def test_windows_are_those_of_a_loop(settings):
    x, y = windows(SERIES, **settings)
    expected_x, expected_y = by_loop(SERIES, **settings)
    np.testing.assert_array_equal(x, expected_x)
    np.testing.assert_array_equal(y, expected_y)


@given(SETTINGS.filter(lambda s: s["targets"] not in ([4, 0], [0, 1, 3])))
def test_both_parts_are_read_only_views(settings):
    for part in windows(SERIES, **settings):
        assert np.shares_memory(part, SERIES)
        assert not part.flags.writeable


def test_columns_out_of_step_are_copied_once_not_for_each_window():
    _, y = windows(SERIES, length=8, horizon=4, targets=[4, 0])
    whole = y
    while whole.base is not None:
        whole = whole.base
    assert whole.size == 2 * (len(SERIES) - 1) or whole.size == 2 * len(SERIES)


def test_forms_of_series():
    assert windows(np.arange(9.0), length=4).x.shape == (5, 4, 1)
    assert windows(np.arange(9), length=4).x.shape == (5, 4)
    assert windows(np.arange(9), length=4, horizon=2).y.shape == (4, 2)
    both = windows([np.zeros((9, 2)), np.ones((7, 2))], length=4)
    assert [(w.x.shape, w.x.mean()) for w in both] == [((5, 4, 2), 0.0), ((3, 4, 2), 1.0)]
    assert [w.x.shape for w in windows(np.zeros((3, 9, 2)), length=4)] == [(5, 4, 2)] * 3


REFUSED = {
    "too short": (
        {"series": np.ones(9), "length": 6, "horizon": 3, "gap": 1},
        DataError,
        r"has 9 steps; expected at least 10: length=6 \+ gap=1 \+ horizon=3",
    ),
    "one of several too short": (
        {"series": [np.ones(9), np.ones(4)], "length": 4},
        DataError,
        r"series\[1\] has 4 steps; expected at least 5[\s\S]*leave the series out",
    ),
    "length": ({"series": SERIES, "length": 0}, ArgumentError, "length=0"),
    "horizon": ({"series": SERIES, "length": 2, "horizon": 1.0}, ArgumentError, r"horizon=1\.0"),
    "stride": ({"series": SERIES, "length": 2, "stride": -1}, ArgumentError, "stride=-1"),
    "gap": ({"series": SERIES, "length": 2, "gap": -1}, ArgumentError, "gap=-1.*at least 0"),
    "column": ({"series": SERIES, "length": 2, "targets": [0, 5]}, ArgumentError, "5 features"),
    "negative column": ({"series": SERIES, "length": 2, "targets": -6}, ArgumentError, "0 to 4"),
    "column by name": ({"series": SERIES, "length": 2, "targets": "y"}, ArgumentError, "'y'"),
    "no column": ({"series": SERIES, "length": 2, "targets": []}, ArgumentError, "name columns"),
    "column of ids": (
        {"series": np.arange(9), "length": 2, "targets": 0},
        ArgumentError,
        "no feature axis",
    ),
    "rank": ({"series": 3.0, "length": 2}, DataError, "single number"),
    "NaN": ({"series": [[1.0, np.nan, 2.0]], "length": 1}, DataError, "NaN at step 1"),
    "text": ({"series": np.array(["a"]), "length": 1}, DataError, "dtype"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    given, error, text = REFUSED[case]
    with pytest.raises(error, match=text) as caught:
        windows(**given)
    assert isinstance(caught.value, SeqstateError)
    assert "\n  " in str(caught.value)
