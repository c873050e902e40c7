"""Models of the zoo beside what the runtime makes of their files."""

import tempfile
from functools import cache

import numpy as np

import seqstate
from frameworks import array, compiled
from runtime.zoo import MODELS
from seqstate import state as states


@cache
def both(name, ending=".keras"):
    """Give a model of Keras, what was loaded of its file, and its input."""
    model, x = MODELS[name]()
    with tempfile.TemporaryDirectory() as folder:
        model.save(f"{folder}/model{ending}")
        return model, seqstate.load(f"{folder}/model{ending}"), x


def of_keras(model, x):
    """Give what Keras gives, as arrays in order."""
    import keras

    found = compiled(lambda given: model(given, training=False))(x)
    return [array(one) for one in keras.tree.flatten(found)]


def outputs(made):
    """Give what the runtime gave as arrays, in the order of Keras."""
    return list(made.values()) if isinstance(made, dict) else [made]


def part(x, cut):
    """Cut the time axis of each input that has one."""
    if isinstance(x, dict):
        return {name: part(one, cut) for name, one in x.items()}
    if isinstance(x, list):
        return [part(one, cut) for one in x]
    return x[:, cut] if has_time(x) else x


def has_time(x):
    return x.ndim >= 3 or x.dtype.kind == "i"


def rows(x, chosen):
    """Give some rows of each input."""
    if isinstance(x, dict):
        return {name: rows(one, chosen) for name, one in x.items()}
    if isinstance(x, list):
        return [rows(one, chosen) for one in x]
    return x[chosen]


def same(a, b):
    """Tell whether two states have the same bits."""
    a, b = states.flatten(a), states.flatten(b)
    return list(a) == list(b) and all(np.array_equal(a[k], b[k], equal_nan=True) for k in a)
