"""What `chunks` hands out, and what it refuses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqstate.data import chunks
from seqstate.errors import ArgumentError, DataError, InputError, SeqstateError

X = np.arange(24.0).reshape(2, 6, 2)


def test_of_equally_long_sequences_a_chunk_is_a_slice():
    data = chunks(X, -X, steps=2)
    assert len(data) == 3
    for k in range(3):
        x, y, weight = data[k]
        np.testing.assert_array_equal(x, X[:, 2 * k : 2 * k + 2])
        np.testing.assert_array_equal(y, -x)
        np.testing.assert_array_equal(weight, np.ones((2, 2)))
        assert {a.dtype.name for a in (x, y, weight)} == {"float32"}


@given(
    st.lists(st.integers(3, 20), min_size=1, max_size=6),
    st.integers(1, 5),
    st.integers(1, 4),
    st.sampled_from([None, 1, 2]),
)
def test_the_steps_with_weight_are_those_of_the_series(lengths, steps, rows, horizon):
    series = [100 * i + np.arange(float(n)) for i, n in enumerate(lengths)]
    targets = None if horizon else [-one for one in series]
    data = chunks(series, targets, steps=steps, rows=rows, horizon=horizon)
    made = [data[k] for k in range(len(data))]
    x, y, weight = (np.concatenate(part) for part in zip(*made, strict=True))
    x, y = x[..., 0], y[..., 0]
    ahead = horizon or 0
    expected = np.concatenate([one[: len(one) - ahead] for one in series])
    real = weight == 1
    np.testing.assert_array_equal(np.sort(x[real]), expected)
    np.testing.assert_array_equal(y[real], x[real] + horizon if horizon else -x[real])
    assert not weight[~real].any()
    assert not x[~real].any()
    for one, walked in zip(series, data.by_sequence(x), strict=True):
        np.testing.assert_array_equal(walked, one[: len(one) - ahead])


FORMS = {
    "[time]": (np.arange(4.0), (1, 2, 1), "float32"),
    "[time] of ids": (np.arange(4), (1, 2), "int32"),
    "[time, features]": (np.zeros((4, 3)), (1, 2, 3), "float32"),
    "[time, features] of whole numbers": (np.zeros((4, 3), "uint8"), (1, 2, 3), "int32"),
    "[series, time, features]": (np.zeros((5, 4, 3)), (5, 2, 3), "float32"),
    "a list of [time]": ([np.zeros(4), np.zeros(2)], (2, 2, 1), "float32"),
    "a list of images": ([np.zeros((4, 5, 5, 3))], (1, 2, 5, 5, 3), "float32"),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_series(form):
    series, shape, dtype = FORMS[form]
    (x,) = chunks(series, steps=2)[0]
    assert (x.shape, x.dtype.name) == (shape, dtype)


def test_a_horizon_with_targets_looks_ahead_in_the_targets():
    x, y, _ = chunks(np.arange(5.0), 10 * np.arange(5.0), steps=3, horizon=2)[0]
    np.testing.assert_array_equal(x[0, :, 0], [0, 1, 2])
    np.testing.assert_array_equal(y[0, :, 0], [20, 30, 40])


def test_padding_takes_the_value_that_was_asked_for():
    x, y, weight = chunks(np.ones(3), np.ones(3), steps=2, rows=2, pad_value=-7)[1]
    np.testing.assert_array_equal(x[..., 0], [[1, -7], [-7, -7]])
    np.testing.assert_array_equal(y[..., 0], x[..., 0])
    np.testing.assert_array_equal(weight, [[1, 0], [0, 0]])


def test_the_series_is_not_copied():
    data = chunks(X, steps=2)
    X[1, 0] += 1
    np.testing.assert_array_equal(data[0][0], X[:, :2])


def test_resets_as_an_input():
    data = chunks([np.ones(5), np.ones(2), np.ones(2)], steps=2, rows=2, reset_input=True)
    masks = [data[k][0][1] for k in range(3)]
    np.testing.assert_array_equal(masks[0], [[True, False], [True, False]])
    np.testing.assert_array_equal(masks[1], [[False, False], [True, False]])
    assert not masks[2].any()
    np.testing.assert_array_equal(data.resets_before(1), [False, True])


def with_nan(at):
    series = np.zeros((100_000, 2))
    series[at, 1] = np.nan
    return series


REFUSED = {
    "steps": ({"series": X, "steps": 0}, ArgumentError, r"steps=0; expected a whole number"),
    "steps of a fraction": ({"series": X, "steps": 2.5}, ArgumentError, r"steps=2\.5"),
    "steps true": ({"series": X, "steps": True}, ArgumentError, "steps=True"),
    "rows": ({"series": X, "steps": 2, "rows": -1}, ArgumentError, "rows=-1"),
    "horizon": ({"series": X, "steps": 2, "horizon": 0}, ArgumentError, "horizon=0"),
    "too short": (
        {"series": [np.ones(9), np.ones(2)], "steps": 2, "horizon": 2},
        DataError,
        r"series 1 has 2 steps; expected at least 3 for horizon=2",
    ),
    "empty series": ({"series": np.ones((0, 2)), "steps": 2}, DataError, "0 steps"),
    "none": ({"series": [], "steps": 2}, DataError, "series is empty"),
    "numbers": ({"series": [1.0, 2.0], "steps": 2}, DataError, r"series\[0\] is a single number"),
    "no features": ({"series": np.ones((4, 0)), "steps": 2}, DataError, "no features"),
    "text": ({"series": np.array(["a", "b"]), "steps": 2}, DataError, "dtype <U1"),
    "ragged": ({"series": [[[1.0], [2.0, 3.0]]], "steps": 2}, DataError, "can't be read"),
    "NaN": ({"series": with_nan(70_001), "steps": 2}, DataError, "is NaN at step 70001"),
    "NaN in targets": (
        {"series": np.ones(3), "targets": [[0.0, np.nan, 0.0]], "steps": 2},
        DataError,
        r"targets\[0\] is NaN at step 1",
    ),
    "other features": (
        {"series": [np.ones((3, 2)), np.ones((3, 1))], "steps": 2},
        DataError,
        r"series\[1\] has shape \(3, 1\)",
    ),
    "ids among numbers": (
        {"series": [np.ones((3, 1)), np.ones((3, 1), int)], "steps": 2},
        DataError,
        "dtype int64",
    ),
    "fewer targets": (
        {"series": X, "targets": X[:1], "steps": 2},
        DataError,
        "2 series and 1 targets",
    ),
    "shorter targets": (
        {"series": X, "targets": X[:, 1:], "steps": 2},
        DataError,
        r"series 0 has 6 steps, its targets 5[\s\S]*numpy\.repeat",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    given, error, text = REFUSED[case]
    with pytest.raises(error, match=text) as caught:
        chunks(**given)
    assert isinstance(caught.value, SeqstateError)
    assert "\n  " in str(caught.value)


def test_predictions_of_another_shape_are_refused():
    with pytest.raises(InputError, match=r"expected \(6, 2, \.\.\.\)"):
        chunks(X, steps=2).by_sequence(np.zeros((6, 3, 1)))
