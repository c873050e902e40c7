"""The state moves on: what is known never depends on how it came."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone

import seqstate
from forecasting import SEASON, small, wave
from seqstate.errors import ArgumentError, DataError
from seqstate.forecast.forecaster import Forecaster

METHODS = ("recursive", "direct", "sequence")
HISTORY, NEW = wave(150), wave(171)[150:]
CASES = [
    ("recursive", "quantile", "lstm"),
    ("recursive", "gaussian", "gru"),
    ("direct", "point", "simple_rnn"),
    ("sequence", "quantile", "gru"),
    ("sequence", "gaussian", "lstm"),
]


def warmed(forecaster, history):
    """Give a forecaster of the same weights and scales, warmed over another history."""
    other = pickle.loads(pickle.dumps(forecaster))
    fitted = other._fitted
    fitted.state = fitted.network.zeros(len(fitted.places))
    for place in fitted.places:
        place.recent = place.recent.cut(slice(0, 0))
        place.count = 0
    return other.update(history)


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def forecaster(request):
    method, head, layer = request.param
    return small(method=method, head=head, layer=layer).fit(HISTORY)


def test_steps_that_come_one_by_one_or_together_lead_to_the_same_state(forecaster):
    whole = warmed(forecaster, np.concatenate([HISTORY, NEW]))
    together = pickle.loads(pickle.dumps(forecaster)).update(NEW)
    alone = pickle.loads(pickle.dumps(forecaster))
    for value in NEW:
        alone.update([value])
    for other in (together, alone):
        for name, values in whole._fitted.state.items():
            np.testing.assert_allclose(other._fitted.state[name], values, atol=2e-6)
        np.testing.assert_allclose(other.predict(), whole.predict(), atol=2e-5)
        if forecaster.head != "point":
            np.testing.assert_allclose(
                other.predict_quantiles(), whole.predict_quantiles(), atol=2e-5
            )
    assert np.abs(whole.predict() - forecaster.predict()).max() > 0.01


def test_predict_leaves_the_state_where_it_is(forecaster):
    before = {name: values.copy() for name, values in forecaster._fitted.state.items()}
    first = forecaster.predict()
    forecaster.score(NEW[:3])
    np.testing.assert_array_equal(forecaster.predict(), first)
    for name, values in before.items():
        np.testing.assert_array_equal(forecaster._fitted.state[name], values)


def test_a_pickle_and_a_file_go_on_from_the_same_state(forecaster, tmp_path):
    path = forecaster.save(tmp_path / "forecaster.zip")
    for other in (pickle.loads(pickle.dumps(forecaster)), Forecaster.load(path)):
        np.testing.assert_array_equal(other.predict(), forecaster.predict())
        np.testing.assert_array_equal(
            other.update(NEW).predict(),
            pickle.loads(pickle.dumps(forecaster)).update(NEW).predict(),
        )
        assert other.get_params().keys() == forecaster.get_params().keys()
        assert other.season_ == forecaster.season_


def test_the_recursive_forecast_is_a_loop_of_update_and_predict():
    forecaster = small(method="recursive", head="point").fit(HISTORY)
    steps = forecaster.predict(9)
    by_hand = pickle.loads(pickle.dumps(forecaster))
    for expected in steps:
        (value,) = by_hand.predict(1)
        assert value == pytest.approx(expected, abs=2e-5)
        by_hand.update([value])


def test_the_first_step_of_all_methods_looks_at_the_same_place():
    """The last value of the past, one season back, is where each forecast starts from."""
    flat = np.tile(np.arange(float(SEASON)), 30)
    for method in METHODS:
        forecaster = small(method=method, head="point", learning_rate=1e-9).fit(flat)
        head = forecaster._fitted.network.head
        head.set_weights([np.zeros_like(weight) for weight in head.get_weights()])
        np.testing.assert_allclose(forecaster.predict(3), [0, 1, 2], atol=1e-6)


def test_the_intervals_of_the_recursive_method_are_those_of_its_paths():
    forecaster = small(method="recursive", head="gaussian", paths=4000).fit(HISTORY)
    fitted = forecaster._fitted
    low, middle, high = forecaster.predict_quantiles(1)[0]
    ((mean, deviation),) = fitted.said([np.zeros((1, 0))])[0, 0]
    scale = fitted.places[0].scale
    mean, deviation = mean * scale.spread[0] + scale.centre[0], deviation * scale.spread[0]
    assert middle == pytest.approx(mean, abs=0.08 * deviation)
    assert high - low == pytest.approx(2 * 1.2816 * deviation, rel=0.06)
    np.testing.assert_array_equal(forecaster.predict_quantiles(5), forecaster.predict_quantiles(5))


def test_several_series_stand_where_each_would_stand_alone():
    several = {"a": wave(150), "b": 100 + 20 * wave(90, seed=1), "c": wave(120, seed=2)}
    forecaster = small().fit(several)
    said = forecaster.predict()
    for number, (name, values) in enumerate(several.items()):
        alone = pickle.loads(pickle.dumps(forecaster))
        fitted = alone._fitted
        place = fitted.places[number]
        fitted.form, fitted.places = fitted.form.__class__("array"), [place]
        place.recent, place.count = place.recent.cut(slice(0, 0)), 0
        fitted.state = fitted.network.zeros(1)
        np.testing.assert_allclose(alone.update(values).predict(), said[name], rtol=1e-4)
    moved = forecaster.update({"b": [100.0, 120.0]}).predict()
    np.testing.assert_array_equal(moved["a"], said["a"])
    assert np.abs(moved["b"] - said["b"]).max() > 0.1


def test_nothing_of_the_held_out_end_is_learned_from():
    """Other values at the end change when training stops, but no weight and no scale."""
    later = HISTORY.copy()
    later[-20:] += 50.0
    arguments = {"validation": 20 / 150, "epochs": 1}
    one, other = (small(**arguments).fit(y)._fitted for y in (HISTORY, later))
    np.testing.assert_array_equal(one.places[0].scale.spread, other.places[0].scale.spread)
    np.testing.assert_array_equal(one.places[0].scale.centre, other.places[0].scale.centre)
    weights = [f.network.learning.get_weights() for f in (one, other)]
    for a, b in zip(*weights, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert one.losses["val_loss"] != other.losses["val_loss"]


def test_a_series_that_is_too_short_to_hold_out_from_is_scaled_by_all_of_it():
    short = 1000 + wave(13, seed=4)
    forecaster = small(12, season=None, validation=0.15).fit([HISTORY, short])
    longer, other = forecaster._fitted.places
    assert other.scale.centre == pytest.approx(short.mean())
    assert longer.scale.centre == pytest.approx(HISTORY[:-22].mean())
    assert np.isfinite(forecaster.losses_["val_loss"]).all()
    assert np.abs(forecaster.predict()[1] - 1000).max() < 10
    assert small(12, season=None).fit([HISTORY, short[:12]]).predict()[1].mean() > 990


def test_a_seed_gives_the_same_forecast_and_another_seed_another():
    np.random.seed(3)
    drawn = np.random.random()
    np.random.seed(3)
    first = small(seed=1).fit(HISTORY).predict()
    assert np.random.random() == drawn, "the generator of NumPy goes on as before"
    np.testing.assert_allclose(small(seed=1).fit(HISTORY).predict(), first, atol=1e-5)
    assert np.abs(small(seed=2).fit(HISTORY).predict() - first).max() > 1e-3


def test_it_is_an_estimator_of_scikit_learn():
    forecaster = small(method="direct", quantiles=(0.2, 0.8))
    again = clone(forecaster)
    assert again.get_params() == forecaster.get_params()
    assert again.set_params(units=7).units == 7
    assert "method='direct'" in repr(again)
    assert seqstate.Forecaster is Forecaster


def two_cells(units):
    return seqstate.layers.RNN([seqstate.layers.LSTMCell(5), seqstate.layers.GRUCell(units)])


def test_a_layer_of_ones_own_and_layers_on_top_of_each_other():
    forecaster = small(layer=two_cells, units=(4, 3)).fit(HISTORY)
    assert sorted(forecaster._fitted.state) == [
        "core_0_cell_0_c",
        "core_0_cell_0_h",
        "core_0_cell_1_h",
        "core_1_cell_0_c",
        "core_1_cell_0_h",
        "core_1_cell_1_h",
        "output",
    ]
    whole = warmed(forecaster, np.concatenate([HISTORY, NEW])).predict()
    np.testing.assert_allclose(forecaster.update(NEW).predict(), whole, atol=2e-5)
    with pytest.raises(ArgumentError, match="can't be written as text"):
        forecaster.save("forecaster.zip")


def test_a_file_that_is_no_forecaster_is_refused(tmp_path):
    (tmp_path / "notes.zip").write_text("mine")
    for name, says in (("notes.zip", "is no forecaster"), ("missing.zip", "is not there")):
        with pytest.raises(DataError, match=says):
            Forecaster.load(tmp_path / name)
