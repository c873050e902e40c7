"""What is known when: no input and no scale may depend on what comes later."""

import numpy as np
import pytest

from seqstate.tour.data import load, split
from seqstate.tour.windows import features, scale_of, targets, windows

SERIES = load().celsius
PARTS = split(len(SERIES))


def changed(part, by=100.0):
    other = SERIES.copy()
    other[part] += by
    return other


@pytest.mark.parametrize("part", [PARTS.validation, PARTS.held_out])
def test_the_scale_comes_from_the_training_part_alone(part):
    assert scale_of(changed(part), PARTS.train) == scale_of(SERIES, PARTS.train)
    assert scale_of(changed(PARTS.train), PARTS.train) != scale_of(SERIES, PARTS.train)


def test_the_scale_is_that_of_the_training_part():
    scale = scale_of(SERIES, PARTS.train)
    train = SERIES[: PARTS.train.stop]
    assert scale.mean[0] == pytest.approx(train.mean())
    assert scale.variance[0] == pytest.approx(train.std() ** 2)
    assert scale.change == pytest.approx((train[24:] - train[:-24]).std())


def test_features_at_an_hour_do_not_depend_on_later_hours():
    hour = 1000
    other = SERIES.copy()
    other[hour + 1 :] = -50.0
    np.testing.assert_array_equal(features(other)[: hour + 1], features(SERIES)[: hour + 1])


def test_targets_are_the_changes_of_the_hours_ahead():
    ahead = targets(SERIES)
    for hour in (23, 24, 5000, len(SERIES) - 25):
        for k in (1, 13, 24):
            expected = SERIES[hour + k] - SERIES[hour + k - 24]
            assert ahead[hour, k - 1] == np.float32(expected)


def test_targets_that_would_lie_after_the_end_are_unknown():
    assert np.isnan(targets(SERIES)[-24:]).all()
    assert not np.isnan(targets(SERIES)[23:-24]).any()


@pytest.mark.parametrize(
    ("used", "others"),
    [
        (PARTS.train, [PARTS.validation, PARTS.held_out]),
        (PARTS.validation, [PARTS.held_out]),
    ],
)
def test_windows_see_nothing_of_a_later_part(used, others):
    before = windows(SERIES, used, 168, 24)
    for other in others:
        for ours, theirs in zip(before, windows(changed(other), used, 168, 24), strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("stride", [1, 24])
def test_the_last_window_uses_the_part_up_to_its_end(stride):
    part = slice(240, 240 + 168 + 24)
    x, y = windows(SERIES, part, 168, stride)
    assert x.shape == (1, 168, 4)
    assert y.shape == (1, 168, 24)
    last = part.stop - 1
    assert y[0, -1, -1] == np.float32(SERIES[last] - SERIES[last - 24])


def test_windows_have_no_unknown_values():
    for array in windows(SERIES, PARTS.train, 168, 24):
        assert np.isfinite(array).all()
