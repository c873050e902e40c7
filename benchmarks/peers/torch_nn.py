"""torch.nn.LSTM, GRU and RNN, time-major as torch likes it best; at `step` the cells as well."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from cases import GRADIENT, PLAIN, Array, Case, Data, data_of
from peers import Run
from seqstate.cells import KINDS

MODULES = {"LSTM": torch.nn.LSTM, "GRU": torch.nn.GRU, "SimpleRNN": torch.nn.RNN}
CELLS = {"LSTM": torch.nn.LSTMCell, "GRU": torch.nn.GRUCell, "SimpleRNN": torch.nn.RNNCell}
# Where torch has the blocks of Keras: its GRU holds reset before update.
ORDER = {"LSTM": (0, 1, 2, 3), "GRU": (1, 0, 2), "SimpleRNN": (0,)}


def runs(case: Case) -> dict[str, Run]:
    """Run torch's own layers."""
    if case.variant != PLAIN:
        return {}
    data = data_of(case)
    made = {"torch": _sequence(case, data)}
    if case.carries:
        made["torch cell"] = _step(case, data)
    return made


def _sequence(case: Case, data: Data) -> Run:
    module = MODULES[case.cell](case.sizes.features, case.sizes.units)
    _load(module, case.cell, data.weights, suffix="_l0")
    x = torch.from_numpy(np.ascontiguousarray(data.x.swapaxes(0, 1)))
    kind = KINDS[case.cell]
    given = [torch.from_numpy(data.initial[k])[None] for k in kind.states if data.initial]
    state: Any = tuple(given) if len(given) == 2 else given[0] if given else None
    if case.task == GRADIENT:
        return _training(case, data, module, x)
    module.requires_grad_(False)

    def call() -> Any:
        with torch.no_grad():
            return module(x, state)

    return Run(call, lambda results: _forward_named(case, *results))


def _training(case: Case, data: Data, module: Any, x: torch.Tensor) -> Run:
    states = KINDS[case.cell].states
    d_sequence = torch.from_numpy(np.ascontiguousarray(data.cotangents["sequence"].swapaxes(0, 1)))
    d_last = [torch.from_numpy(data.cotangents[f"last_{k}"])[None] for k in states]
    weights = [module.weight_ih_l0, module.weight_hh_l0, module.bias_ih_l0, module.bias_hh_l0]

    def call() -> Any:
        sequence, last = module(x)
        outputs = [sequence, *(last if isinstance(last, tuple) else [last])]
        return sequence, last, torch.autograd.grad(outputs, weights, [d_sequence, *d_last])

    def named(results: Any) -> dict[str, Array]:
        sequence, last, gradients = results
        w_ih, w_hh, b_ih, b_hh = (_to_keras(case.cell, g) for g in gradients)
        bias = np.stack([b_ih, b_hh]) if case.cell == "GRU" else b_ih
        found = {"d_kernel": w_ih.T, "d_recurrent_kernel": w_hh.T, "d_bias": bias}
        return _forward_named(case, sequence, last) | found

    return Run(call, named)


def _step(case: Case, data: Data) -> Run:
    cell = CELLS[case.cell](case.sizes.features, case.sizes.units)
    _load(cell, case.cell, data.weights, suffix="")
    cell.requires_grad_(False)
    x = torch.from_numpy(data.x[:, 0])
    given = tuple(torch.from_numpy(v) for v in data.initial.values())
    state: Any = given if len(given) == 2 else given[0]

    def call() -> Any:
        with torch.no_grad():
            return cell(x, state)

    def named(results: Any) -> dict[str, Array]:
        last = results if isinstance(results, tuple) else (results,)
        return _forward_named(case, last[0][None], tuple(v[None] for v in last))

    return Run(call, named)


def _forward_named(case: Case, sequence: torch.Tensor, last: Any) -> dict[str, Array]:
    last = last if isinstance(last, tuple) else (last,)
    states = zip(KINDS[case.cell].states, last, strict=True)
    named = {f"last_{k}": v[0].detach().numpy() for k, v in states}
    return named | {"sequence": sequence.detach().numpy().swapaxes(0, 1)}


def _load(module: Any, cell: str, weights: dict[str, Array], suffix: str) -> None:
    bias = weights["bias"]
    rows = bias if bias.ndim == 2 else (bias, np.zeros_like(bias))
    values = {
        "weight_ih": weights["kernel"].T,
        "weight_hh": weights["recurrent_kernel"].T,
        "bias_ih": rows[0],
        "bias_hh": rows[1],
    }
    with torch.no_grad():
        for name, value in values.items():
            getattr(module, name + suffix).copy_(torch.from_numpy(_reordered(cell, value)))


def _to_keras(cell: str, gradient: torch.Tensor) -> Array:
    # The permutations above are their own inverses.
    return _reordered(cell, gradient.numpy())


def _reordered(cell: str, value: Array) -> Array:
    blocks = np.split(value, len(ORDER[cell]))
    return np.concatenate([blocks[i] for i in ORDER[cell]])
