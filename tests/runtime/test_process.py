"""A process that loads a model has no framework in it."""

from runtime.saved import both
from runtime.zoo import MODELS
from subprocesses import python

CODE = """
import sys, numpy as np, seqstate
for name in {names!r}:
    model = seqstate.load(f"{folder}/{{name}}.keras")
    x = np.ones((2, 7, 4), "float32")
    model.run(x)
    model.trace(x)
    if model.why_no_step is None:
        model.step(x[:, 0], model.initial_state(2))
print([m for m in ("keras", "jax", "torch", "tensorflow", "matplotlib") if m in sys.modules])
"""


def test_no_framework(tmp_path):
    names = ["keras LSTM", "RWA", "both ways, ours", "learned start", "cells of Keras", "feedback"]
    for name in names:
        both(name)[0].save(tmp_path / f"{name}.keras")
    assert python(CODE.format(names=names, folder=tmp_path), tmp_path) == "[]"
    assert set(names) <= set(MODELS)
