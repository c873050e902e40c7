"""An epoch of `model.fit` with one layer of Keras's, or of ours, on the backend of this process."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

import seqstate.layers
from cases import Case, data_of
from checks import WrongNumbersError
from peers import Run

BATCHES = 100
# Of the loss and the weights after the first epoch; Adam divides by what may be almost nothing.
TOLERANCE = 5e-3


def runs(case: Case) -> dict[str, Run]:
    """Make both models with the same weights; one epoch of each must give the same."""
    s, data = case.sizes, data_of(case)
    rng = np.random.default_rng(1)
    x = rng.standard_normal((s.batch * BATCHES, s.time, s.features)).astype(np.float32)
    y = x.mean(axis=(1, 2), keepdims=True)[:, 0]
    made, known = {}, None
    for label, module in (("Keras", keras.layers), ("ours", seqstate.layers)):
        keras.utils.set_random_seed(0)
        model = model_of(module, case)
        model.layers[0].set_weights(list(data.weights.values()))

        def call(model: Any = model) -> Any:
            return model.fit(x, y, batch_size=s.batch, shuffle=False, verbose=0)

        loss = call().history["loss"][0]
        found = [np.array(loss), *model.get_weights()]
        known = known or found
        for expected, value in zip(known, found, strict=True):
            error = float(np.abs(value - expected).max())
            if not error <= TOLERANCE:
                raise WrongNumbersError(f"{label}: after one epoch off by {error:.1e} from Keras's")
        made[f"{label} on {keras.backend.backend()}"] = Run(call, lambda _: {})
    return made


def model_of(module: Any, case: Case) -> keras.Model:
    """Make a compiled model with one recurrent layer."""
    s = case.sizes
    layer = getattr(module, case.cell)(s.units)
    model = keras.Sequential([keras.Input((s.time, s.features)), layer, keras.layers.Dense(1)])
    model.compile("adam", "mse")
    return model
