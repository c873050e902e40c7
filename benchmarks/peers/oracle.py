"""The expected numbers: the equations in float64, one step after the other, on torch's autograd.

What comes forward is held to `seqstate.kernels.reference`, so that only the gradient is torch's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from cases import DROPOUT, EVERY, GRADIENT, Array, Case, data_of
from peers import Run
from seqstate.cells import KINDS
from seqstate.kernels import reference

Tensors = dict[str, torch.Tensor]


def runs(case: Case) -> dict[str, Run]:
    """Compute a case in float64; never timed."""
    return {"float64": Run(lambda: compute(case), lambda results: results)}


def compute(case: Case) -> dict[str, Array]:
    """Give all results of a case by name."""
    data = data_of(case)
    w = {k: torch.tensor(v, dtype=torch.float64) for k, v in data.weights.items()}
    for value in w.values():
        value.requires_grad_(case.task == GRADIENT)
    made = forward(case, torch.tensor(data.x, dtype=torch.float64), w)
    _hold_to_reference(case, made)
    results = {name: value.detach().numpy() for name, value in made.items()}
    if case.task == GRADIENT:
        loss = sum((made[k] * torch.tensor(v)).sum() for k, v in data.cotangents.items())
        gradients = torch.autograd.grad(loss, list(w.values()))
        results |= {f"d_{k}": g.numpy() for k, g in zip(w, gradients, strict=True)}
    return results


def forward(case: Case, x: torch.Tensor, w: Tensors) -> Tensors:
    """Run the equations of the cell over time."""
    data, kind = data_of(case), KINDS[case.cell]
    zeros = torch.zeros(case.sizes.batch, case.sizes.units, dtype=torch.float64)
    state = {
        k: torch.tensor(data.initial[k]).double() if data.initial else zeros for k in kind.states
    }
    drop = torch.ones(kind.blocks, 1, 1)
    if data.recurrent_dropout is not None:
        drop = torch.tensor(data.recurrent_dropout)
    made: dict[str, list[Any]] = {}
    for t in range(case.sizes.time):
        new, gates = STEPS[case.cell](x[:, t], state, w, drop)
        if data.mask is not None:
            counts = torch.tensor(data.mask[:, t, None])
            new = {k: torch.where(counts, new[k], state[k]) for k in state}
        state = new
        wanted = {"sequence": state["h"]}
        if case.variant == EVERY:
            wanted |= {f"states_{k}": state[k] for k in kind.states[1:]}
            wanted |= {f"gates_{k}": v for k, v in zip(kind.gates, gates, strict=True)}
        for name, value in wanted.items():
            made.setdefault(name, []).append(value)
    stacked = {name: torch.stack(values, dim=1) for name, values in made.items()}
    return stacked | {f"last_{k}": v for k, v in state.items()}


def recur(h: Any, w: Tensors, drop: Any) -> Any:
    """Give the state's share in all blocks, each with a dropout mask of its own."""
    kernels = w["recurrent_kernel"].chunk(len(drop), dim=1)
    return torch.cat([(mask * h) @ u for mask, u in zip(drop, kernels, strict=True)], dim=1)


def lstm_step(x: Any, state: Tensors, w: Tensors, drop: Any) -> tuple[Tensors, Any]:
    """Compute one step of an LSTM."""
    z = x @ w["kernel"] + recur(state["h"], w, drop) + w["bias"]
    i, f, g, o = z.chunk(4, dim=1)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    c = f * state["c"] + i * g
    return {"h": o * c.tanh(), "c": c}, (i, f, g, o)


def gru_step(x: Any, state: Tensors, w: Tensors, drop: Any) -> tuple[Tensors, Any]:
    """Compute one step of a GRU with `reset_after`."""
    h = state["h"]
    from_x = x @ w["kernel"] + w["bias"][0]
    from_h = recur(h, w, drop) + w["bias"][1]
    x_z, x_r, x_g = from_x.chunk(3, dim=1)
    h_z, h_r, h_g = from_h.chunk(3, dim=1)
    z, r = (x_z + h_z).sigmoid(), (x_r + h_r).sigmoid()
    g = (x_g + r * h_g).tanh()
    return {"h": z * h + (1 - z) * g}, (z, r, g)


def simple_rnn_step(x: Any, state: Tensors, w: Tensors, drop: Any) -> tuple[Tensors, Any]:
    """Compute one step of a SimpleRNN."""
    h = x @ w["kernel"] + recur(state["h"], w, drop) + w["bias"]
    return {"h": h.tanh()}, ()


STEPS = {"LSTM": lstm_step, "GRU": gru_step, "SimpleRNN": simple_rnn_step}


def _hold_to_reference(case: Case, made: Tensors) -> None:
    if case.variant == DROPOUT:
        return  # the reference draws none
    data = data_of(case)
    known = reference.run(
        case.cell, data.x, data.weights, initial_state=data.initial, mask=data.mask
    )
    pairs = {"sequence": known["sequence"]}
    pairs |= {f"last_{k}": v for k, v in known["state"].items()}
    if case.variant == EVERY:
        pairs |= {f"states_{k}": v for k, v in known["states"].items() if k != "h"}
        pairs |= {f"gates_{k}": v for k, v in known["gates"].items()}
    assert set(pairs) == set(made), (set(pairs), set(made))
    for name, value in pairs.items():
        np.testing.assert_allclose(made[name].detach().numpy(), value, rtol=0, atol=1e-9)
