"""A step of an LSTM for one key, by Keras and by ONNX Runtime, the states as inputs and outputs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cases import FORWARD, Case, data_of
from peers.onnx_runtime import graph

Array = npt.NDArray[np.float32]
Weights = list[Array]


def keras_file(folder: Path, units: int, features: int) -> tuple[Path, Weights]:
    """Save a model of one LSTM; give the file and the weights: those of the case `step`."""
    import keras

    layers = [keras.Input((None, features)), keras.layers.LSTM(units, name="lstm")]
    model = keras.Sequential(layers)
    if units == 32:
        model.set_weights(list(data_of(Case("LSTM", "step", FORWARD)).weights.values()))
    path = folder / f"lstm-{units}.keras"
    model.save(path)
    return path, model.get_weights()


def keras_step(weights: Weights, x: Array) -> Callable[[], Array]:
    """Give a step by `predict_on_batch`; the states that it gives go into the next one."""
    import keras

    units = len(weights[1])
    given = [keras.Input((1, x.shape[1])), keras.Input((units,)), keras.Input((units,))]
    lstm = keras.layers.LSTM(units, return_state=True)
    model = keras.Model(given, lstm(given[0], initial_state=given[1:]))
    model.set_weights(weights)
    states = [np.zeros((1, units), np.float32)] * 2

    def run() -> Array:
        output, *after = model.predict_on_batch([x[:, None], *states])
        del after  # each call makes the same step, as that of the others does
        return output

    return run


def onnx_step(weights: Weights, x: Array) -> Callable[[], Array]:
    """Give a step by ONNX Runtime on one thread, the fastest for work this small."""
    import onnxruntime

    case = Case("LSTM", "step", FORWARD)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph(case, data_of(case)), options)
    units = len(weights[1])
    feeds: dict[str, Any] = {"x": x[None]}
    feeds |= {f"initial_{name}": np.zeros((1, 1, units), np.float32) for name in "hc"}

    def run() -> Array:
        found: Array = session.run(["last_h", "last_c"], feeds)[0][0]
        return found

    return run
