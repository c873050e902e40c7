"""ONNX Runtime on graphs of one LSTM, GRU or RNN; forward only, time-major as it must be."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, checker, helper, numpy_helper

from cases import FORWARD, PLAIN, Array, Case, Data, data_of
from peers import Run
from seqstate.cells import KINDS

OPERATORS = {"LSTM": "LSTM", "GRU": "GRU", "SimpleRNN": "RNN"}
# ONNX holds the blocks of an LSTM as input, output, forget, candidate.
ORDER = {"LSTM": (0, 3, 1, 2), "GRU": (0, 1, 2), "SimpleRNN": (0,)}


def runs(case: Case) -> dict[str, Run]:
    """Run a session on arrays, and once more on bound buffers, which costs less a call."""
    if case.task != FORWARD or case.variant != PLAIN:
        return {}
    data = data_of(case)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ["OMP_NUM_THREADS"])
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        graph(case, data), options, providers=["CPUExecutionProvider"]
    )
    feeds = {"x": np.ascontiguousarray(data.x.swapaxes(0, 1))}
    feeds |= {f"initial_{k}": v[None] for k, v in data.initial.items()}
    names = [output.name for output in session.get_outputs()]
    binding = session.io_binding()
    for name, value in feeds.items():
        binding.bind_cpu_input(name, value)
    buffers = _outputs(case)
    for name in names:
        value = onnxruntime.OrtValue.ortvalue_from_numpy(buffers[name])
        binding.bind_ortvalue_output(name, value)

    def named(results: Any) -> dict[str, Array]:
        found = dict(zip(names, results, strict=True))
        last = {f"last_{k}": found[f"last_{k}"][0] for k in KINDS[case.cell].states}
        return last | {"sequence": found["sequence"][:, 0].swapaxes(0, 1)}

    return {
        "ONNX Runtime": Run(lambda: session.run(None, feeds), named),
        "ONNX Runtime, bound": Run(
            lambda: session.run_with_iobinding(binding),
            lambda _: named(binding.copy_outputs_to_cpu()),
        ),
    }


def graph(case: Case, data: Data) -> bytes:
    """Make the model: x and, where it is carried, the state in; sequence and last state out."""
    s, states = case.sizes, KINDS[case.cell].states
    cell, w = case.cell, data.weights
    bias = w["bias"] if w["bias"].ndim == 2 else np.stack([w["bias"], np.zeros_like(w["bias"])])
    constants = {
        "W": _reordered(cell, w["kernel"].T)[None],
        "R": _reordered(cell, w["recurrent_kernel"].T)[None],
        "B": np.concatenate([_reordered(cell, row) for row in bias])[None],
    }
    carried = [f"initial_{k}" if case.carries else "" for k in states]
    outputs = ["sequence", *(f"last_{k}" for k in states)]
    extra = {"linear_before_reset": 1} if cell == "GRU" else {}
    node = helper.make_node(
        OPERATORS[cell],
        ["x", "W", "R", "B", "", *carried],
        outputs,
        hidden_size=s.units,
        **extra,
    )
    sizes = {name: array.shape for name, array in _outputs(case).items()}
    sizes |= {"x": (s.time, s.batch, s.features)}
    sizes |= {name: (1, s.batch, s.units) for name in carried if name}

    def infos(names: list[str]) -> list[Any]:
        return [helper.make_tensor_value_info(n, TensorProto.FLOAT, sizes[n]) for n in names]

    made = helper.make_graph(
        [node],
        "recurrent",
        infos(["x", *(name for name in carried if name)]),
        infos(outputs),
        [numpy_helper.from_array(np.ascontiguousarray(v), k) for k, v in constants.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    checker.check_model(model)
    return model.SerializeToString()


def _outputs(case: Case) -> dict[str, Array]:
    s = case.sizes
    made = {"sequence": np.empty((s.time, 1, s.batch, s.units), np.float32)}
    last = {
        f"last_{k}": np.empty((1, s.batch, s.units), np.float32) for k in KINDS[case.cell].states
    }
    return made | last


def _reordered(cell: str, value: Array) -> Array:
    blocks = np.split(value, len(ORDER[cell]))
    return np.concatenate([blocks[i] for i in ORDER[cell]])
