"""What a head says, and what it loses, beside NumPy and the distributions themselves."""

from statistics import NormalDist

import keras
import numpy as np
import pytest
from keras import ops

from seqstate.forecast.heads import HeadLoss, drawn, raw_of, shaped
from seqstate.forecast.settings import checked_levels

LEVELS = (0.05, 0.1, 0.5, 0.8, 0.95)
RAW = np.random.default_rng(0).normal(size=(7, 3, 5)).astype("float32") * 5


def array(value):
    return ops.convert_to_numpy(value)


def tensor(value):
    return ops.convert_to_tensor(np.asarray(value, "float32"))


@pytest.mark.parametrize("head", ["point", "quantile", "gaussian"])
def test_what_a_head_starts_from_says_how_the_values_are_spread(head):
    values = np.random.default_rng(3).normal(2.0, 1.5, size=(4000, 2))
    said = array(shaped(tensor(raw_of(values, head, LEVELS)), head, LEVELS))
    expected = {
        "point": values.mean(axis=0)[:, None],
        "quantile": np.quantile(values, LEVELS, axis=0).T,
        "gaussian": np.stack([values.mean(axis=0), values.std(axis=0)], axis=-1),
    }
    np.testing.assert_allclose(said, expected[head], atol=1e-4)


def test_quantiles_never_cross_and_the_median_is_the_raw_number():
    said = array(shaped(tensor(RAW), "quantile", LEVELS))
    assert (np.diff(said, axis=-1) >= 0).all()
    np.testing.assert_allclose(said[..., 2], RAW[..., 2], atol=1e-6)
    np.testing.assert_allclose(
        said[..., 0],
        RAW[..., 2] - np.logaddexp(0, RAW[..., 0]) - np.logaddexp(0, RAW[..., 1]),
        rtol=1e-4,
        atol=1e-4,
    )


def test_the_losses_are_those_of_the_formulas():
    y = np.random.default_rng(1).normal(size=(7, 3)).astype("float32")
    said = array(shaped(tensor(RAW), "quantile", LEVELS))
    over = y[..., None] - said
    pinball = np.maximum(np.array(LEVELS) * over, (np.array(LEVELS) - 1) * over).mean()
    found = HeadLoss("quantile", LEVELS)(y[None], said.reshape(1, 7, -1))
    assert float(found) == pytest.approx(pinball, rel=1e-5)

    said = array(shaped(tensor(RAW[..., :2]), "gaussian", ()))
    density = [
        -np.log(NormalDist(m, s).pdf(v)) - 0.5 * np.log(2 * np.pi)
        for v, (m, s) in zip(y.ravel(), said.reshape(-1, 2).astype(float), strict=True)
        if abs(v - m) < 30 * s
    ]
    near = np.abs(y - said[..., 0]) < 30 * said[..., 1]
    each = HeadLoss("gaussian", (), reduction=None)(y.reshape(1, -1, 1), said.reshape(1, -1, 2))
    np.testing.assert_allclose(array(each)[0][near.ravel()], density, rtol=1e-3, atol=1e-3)

    found = HeadLoss("point", ())(y[None], RAW[None, ..., 0])
    assert float(found) == pytest.approx(((y - RAW[..., 0]) ** 2).mean(), rel=1e-5)


def test_the_pinball_loss_is_least_at_the_quantiles_of_the_data():
    y = np.random.default_rng(2).exponential(size=2001).astype("float32")
    best = np.quantile(y, LEVELS).astype("float32")
    loss = HeadLoss("quantile", LEVELS)

    def at(levels):
        return float(loss(y.reshape(1, -1, 1), np.tile(levels, (1, len(y), 1))))

    for place in range(len(LEVELS)):
        for move in (-0.05, 0.05):
            other = best.copy()
            other[place] += move
            assert at(other) > at(best)


def test_values_are_drawn_from_what_is_said():
    said = np.array([[-1.0, 0.0, 2.0]], "float32")
    levels = (0.1, 0.5, 0.9)
    draws = np.array([0.1, 0.3, 0.5, 0.7, 0.9, 0.0, 1.0], "float32")
    found = array(drawn(tensor(np.tile(said, (7, 1))), tensor(draws), "quantile", levels))
    np.testing.assert_allclose(found, [-1, -0.5, 0, 1, 2, -1.25, 2.5], atol=1e-5)
    gaussian = array(drawn(tensor([[3.0, 2.0]]), tensor([-1.5]), "gaussian", ()))
    np.testing.assert_allclose(gaussian, [0.0], atol=1e-6)


def test_the_loss_is_kept_in_a_config():
    loss = HeadLoss("quantile", LEVELS)
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert (again.head, again.levels) == ("quantile", LEVELS)


def test_levels_of_arrays_are_levels_whatever_their_rounding():
    assert checked_levels(np.arange(0.1, 1, 0.2), "here") == (0.1, 0.3, 0.5, 0.7, 0.9)
    assert 0.1 + 0.2 != 0.3
    assert checked_levels([0.1 + 0.2, 0.3], "here") == (0.3,)
