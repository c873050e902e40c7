"""Windows in batches: all of them, each once, and in `fit`."""

import keras
import numpy as np
import pytest

from seqstate.data import batches, windows
from seqstate.errors import ArgumentError

SEVERAL = [np.arange(20.0), 100 + np.arange(9.0), 200 + np.arange(14.0)]
WINDOWS = windows(SEVERAL, length=4, horizon=2)
ALL = [np.concatenate(part) for part in zip(*WINDOWS, strict=True)]


def all_of(data):
    data.on_epoch_begin()
    return [np.concatenate(part) for part in zip(*[data[k] for k in range(len(data))], strict=True)]


@pytest.mark.parametrize("size", [1, 4, 7, 100])
def test_in_order_they_are_the_windows(size):
    data = batches(WINDOWS, batch_size=size)
    for got, expected in zip(all_of(data), ALL, strict=True):
        np.testing.assert_array_equal(got, expected)
        assert got.dtype == "float32"
    assert len(data[0][0]) == min(size, len(ALL[0]))


def test_shuffled_they_are_the_same_windows_in_another_order_each_epoch():
    data = batches(WINDOWS, batch_size=4, shuffle=True, seed=0)
    epochs = [all_of(data) for _ in range(2)]
    firsts = [x[:, 0, 0] for x, _ in epochs]
    assert not np.array_equal(firsts[0], firsts[1])
    for x, y in epochs:
        order = np.argsort(x[:, 0, 0])
        np.testing.assert_array_equal(x[order], ALL[0])
        np.testing.assert_array_equal(y[order], ALL[1])
    again = batches(WINDOWS, batch_size=4, shuffle=True, seed=0)
    np.testing.assert_array_equal(all_of(again)[0], epochs[0][0])


def test_a_single_series():
    x, y = batches(windows(np.arange(6), length=3), batch_size=2)[1]
    np.testing.assert_array_equal(x, [[2, 3, 4]])
    np.testing.assert_array_equal(y, [[5]])
    assert x.dtype == "int32"


def linear():
    model = keras.Sequential([keras.Input((4, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])
    model.compile("sgd", "mse")
    model.set_weights([np.array([[0, 0], [0, 0], [0, 0], [1, 1]]), np.array([1, 2])])
    return model


def test_keras_reads_them():
    """A model that knows the answer: the last step and 1, the last step and 2."""
    model = linear()
    assert model.evaluate(batches(WINDOWS, 4), verbose=0) == 0
    predicted = model.predict(batches(WINDOWS, 4), verbose=0)
    np.testing.assert_array_equal(predicted, ALL[1][..., 0])
    history = model.fit(batches(WINDOWS, 4, shuffle=True), epochs=2, verbose=0).history
    assert history["loss"] == [0, 0]


@pytest.mark.parametrize(
    ("given", "size", "text"),
    [
        (WINDOWS, 0, "batch_size=0"),
        ([], 4, "expected what windows"),
        ((ALL[0], ALL[1]), 4, "got tuple; expected what windows"),
    ],
)
def test_refused(given, size, text):
    with pytest.raises(ArgumentError, match=text):
        batches(given, size)
