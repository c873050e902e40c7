import numpy as np
import pytest

from seqstate.tour.baselines import days_of, drift, naive, past_of, score, seasonal_naive

SERIES = np.random.default_rng(0).normal(size=24 * 10)
PART = slice(24 * 4, 24 * 10)


@pytest.mark.parametrize(
    ("baseline", "by_hand"),
    [
        (naive, lambda midnight, ahead: SERIES[midnight - 1]),
        (seasonal_naive, lambda midnight, ahead: SERIES[midnight + ahead - 24]),
        (
            drift,
            lambda midnight, ahead: (
                SERIES[midnight + ahead - 24]
                + (SERIES[midnight + ahead - 24] - SERIES[midnight + ahead - 48])
            ),
        ),
    ],
)
def test_baselines_equal_a_loop_over_hours(baseline, by_hand):
    forecast = baseline(past_of(SERIES, PART))
    assert forecast.shape == (6, 24)
    for day in range(6):
        for ahead in range(24):
            expected = by_hand(PART.start + 24 * day, ahead)
            assert forecast[day, ahead] == pytest.approx(expected, abs=1e-12)


def test_the_past_of_a_day_ends_at_its_midnight():
    later = SERIES.copy()
    later[PART.start + 24 :] = 99.0
    np.testing.assert_array_equal(past_of(later, PART)[:2], past_of(SERIES, PART)[:2])
    np.testing.assert_array_equal(days_of(SERIES, PART)[1], SERIES[24 * 5 : 24 * 6])


def test_scores_by_hand():
    observed = np.zeros((2, 24))
    forecast = np.zeros((2, 24))
    forecast[0, :12] = 3.0
    forecast[1, 0] = -12.0
    result = score(observed, forecast)
    assert result.mae == pytest.approx((12 * 3 + 12) / 48)
    assert result.rmse == pytest.approx(np.sqrt((12 * 9 + 144) / 48))
    np.testing.assert_allclose(result.by_day, [1.5, 0.5])
