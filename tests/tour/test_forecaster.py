import keras
import numpy as np
import pytest

from seqstate.tour.baselines import past_of, seasonal_naive
from seqstate.tour.data import DAY, load, split
from seqstate.tour.forecaster import WARM_UP, Settings, build, forecast, look_inside, train
from seqstate.tour.windows import features, scale_of

SERIES = load().celsius
PARTS = split(len(SERIES))
PART = PARTS.held_out


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return build(4, scale_of(SERIES, PARTS.train))


def test_a_forecast_knows_nothing_after_its_midnight(model):
    day = 9
    other = SERIES.copy()
    other[PART.start + day * DAY :] += 5.0
    ours, theirs = forecast(model, SERIES, PART), forecast(model, other, PART)
    np.testing.assert_array_equal(ours[: day + 1], theirs[: day + 1])
    assert (ours[day + 1] != theirs[day + 1]).all()


def test_a_forecast_is_the_day_before_plus_what_the_model_says_at_midnight(model):
    day = 3
    midnight = PART.start + day * DAY
    until_then = features(SERIES)[None, PART.start - WARM_UP : midnight]
    said = keras.ops.convert_to_numpy(model(until_then))[0, -1]
    expected = seasonal_naive(past_of(SERIES, PART))[day] + said
    np.testing.assert_allclose(forecast(model, SERIES, PART)[day], expected, atol=1e-5)


def test_the_states_are_those_of_the_run_that_forecasts(model):
    inside = look_inside(model, SERIES, PART)["lstm"]
    h, c = inside.states["h"][0], inside.states["c"][0]
    assert h.shape == c.shape == (28 * DAY, 4)
    np.testing.assert_allclose(h, inside.gates["output"][0] * np.tanh(c), atol=1e-6)
    head = keras.Sequential([model.get_layer("next_24_hours"), model.get_layer("celsius")])
    from_states = keras.ops.convert_to_numpy(head(h[None]))[0]
    midnights = slice(DAY - 1, -1, DAY)
    change = forecast(model, SERIES, PART) - seasonal_naive(past_of(SERIES, PART))
    np.testing.assert_allclose(from_states[midnights], change[1:], atol=1e-5)


def test_training_reports_epochs_keeps_the_best_and_ignores_the_held_out_days():
    settings = Settings(units=2, epochs=2, patience=2, stride=24 * 21)
    other = SERIES.copy()
    other[PART] += 100.0
    weights = []
    for series in (SERIES, other):
        keras.utils.set_random_seed(1)
        model = build(2, scale_of(series, PARTS.train))
        seen = []
        done = train(model, series, PARTS, settings, lambda *told, seen=seen: seen.append(told))
        assert [epoch for epoch, _ in seen] == [1, 2]
        assert [error for _, error in seen] == done.validation
        assert done.validation[done.best - 1] == min(done.validation)
        weights.append(model.get_weights())
    for ours, theirs in zip(*weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
