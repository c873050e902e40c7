"""The tables of models that the runtime is tested with, and how a model is entered."""

import keras
import numpy as np

from cases import data

K = keras.layers
ROWS, STEPS, FEATURES = 3, 7, 4
X = data(ROWS, STEPS, FEATURES)
ROW = data(ROWS, 5, seed=6)
IDS = np.array([[1, 2, 3, 4, 1, 0, 0], [2, 2, 1, 0, 3, 4, 0], [4, 1, 2, 3, 1, 2, 3]], "int32")
HOLES = np.where((IDS == 0)[..., None], 0, X).astype("float32")
PARTS = data(ROWS, STEPS, 3, FEATURES)

STEPPED, WHOLE = {}, {}


def with_weights(model):
    """Give every weight values of its own, also those that start at 0 or 1."""
    for i, weight in enumerate(model.weights):
        if "float" in str(weight.dtype):
            values = data(*weight.shape, seed=i) * 0.5
            weight.assign(np.abs(values) + 0.5 if "variance" in weight.path else values)
    for layer in model.layers:
        if isinstance(layer, K.Normalization):
            layer.finalize_state()
    return model


def line(name, layers, x=X, table=STEPPED, **shape):
    """Enter a Sequential model of the layers that `layers()` gives."""

    def make():
        how = {"shape": (None, *x.shape[2:]), "dtype": str(x.dtype), **shape}
        return with_weights(keras.Sequential([K.Input(**how), *listed(layers())])), x

    table[name] = make


def graph(table):
    """Enter a functional model: the function gives its inputs, its outputs and the data."""

    def enter(function):
        def make():
            inputs, outputs, x = function()
            return with_weights(keras.Model(inputs, outputs)), x

        table[function.__name__] = make
        return function

    return enter


def listed(made):
    return made if isinstance(made, list) else [made]
