import numpy as np
import pytest

from seqstate.forecast.baselines import naive, seasonal_naive
from seqstate.forecast.lags import Reach, bases, earlier_changes
from seqstate.forecast.scaling import column_scale, scale_of
from seqstate.forecast.season import find_season

VALUES = np.random.default_rng(0).normal(size=(60, 2))
REACHES = [Reach(1, 1, 2), Reach(4, 1, 2), Reach(3, 6, 4), Reach(14, 6, 3)]


@pytest.mark.parametrize("reach", REACHES)
def test_bases_and_changes_equal_a_loop_and_look_only_back(reach):
    at = np.arange(reach.memory - 1, 50)
    start = bases(VALUES, at, reach)
    changes = earlier_changes(VALUES, at, reach)
    for row, t in enumerate(at):
        for ahead in range(1, reach.horizon + 1):
            step = t + ahead
            while step > t:
                step -= reach.season
            np.testing.assert_array_equal(start[row, ahead - 1], VALUES[step])
            for k in range(reach.seasons - 1):
                earlier = step - k * reach.season
                expected = VALUES[earlier] - VALUES[earlier - reach.season]
                np.testing.assert_allclose(changes[row, ahead - 1, :, k], expected)


@pytest.mark.parametrize("reach", REACHES)
def test_the_value_that_a_forecast_starts_from_is_the_seasonal_naive_one(reach):
    at = np.array([40])
    expected = seasonal_naive(VALUES[:41].T, reach.horizon, reach.season).T
    np.testing.assert_array_equal(bases(VALUES, at, reach)[0], expected)
    if reach.season == 1:
        np.testing.assert_array_equal(expected, naive(VALUES[:41].T, reach.horizon).T)


@pytest.mark.parametrize("season", [5, 24, 50])
def test_the_season_is_found_where_there_is_one(season):
    random = np.random.default_rng(1)
    time = np.arange(400)
    y = np.sin(2 * np.pi * time / season) + 0.2 * random.normal(size=400) + 0.001 * time
    assert find_season("auto", [y[:, None]], None, season // 2, "here") == season
    walk = np.cumsum(random.normal(size=400))[:, None]
    assert find_season("auto", [walk], None, 5, "here") == 1


def test_a_scale_is_undone():
    scale = scale_of(VALUES, 6)
    np.testing.assert_allclose(scale.undo(scale.apply(VALUES)), VALUES)
    change = VALUES[6:] - VALUES[:-6]
    np.testing.assert_allclose(scale.spread, np.sqrt((change**2).mean(axis=0)))


def test_a_series_without_spread_is_scaled_by_something():
    for values in (np.full((20, 1), 3.0), np.zeros((20, 1)), np.tile([[1.0], [2.0]], (10, 1))):
        assert scale_of(values, 2).spread[0] > 0


def test_a_series_far_from_zero_is_scaled_by_how_it_moves():
    np.testing.assert_allclose(scale_of(1e12 + VALUES, 6).spread, scale_of(VALUES, 6).spread, 1e-3)
    both = np.concatenate([1e12 * VALUES[:, :1], VALUES[:, :1]], axis=1)
    spread = scale_of(both, 6).spread
    assert spread[0] / spread[1] == pytest.approx(1e12)


def test_a_covariate_that_does_not_move_is_not_scaled_by_its_rounding():
    scale = column_scale([np.full((30, 1), 0.1)])
    assert np.full(30, 0.1).std() > 0, "rounding makes it so"
    np.testing.assert_allclose(scale.apply(np.array([[0.1], [1.1]])), [[0.0], [1.0]], atol=1e-9)
