"""The equations in plain NumPy and float64: the oracle that every kernel is held to.

Slow on purpose: one step after the other, one gate after the other, as the papers write it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from seqstate.cells import KINDS

Array = np.ndarray
Activation = Callable[[Array], Array]
State = dict[str, Array]


def sigmoid(x: Array) -> Array:
    """Give 1 / (1 + exp(-x)), without overflow for large negative x."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e))


def hard_sigmoid(x: Array) -> Array:
    """Give x / 6 + 1 / 2, clipped to 0 and 1."""
    return np.clip(x / 6 + 0.5, 0, 1)


ACTIVATIONS: dict[str, Activation] = {
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "hard_sigmoid": hard_sigmoid,
    "relu": lambda x: np.maximum(x, 0),
    "linear": lambda x: x,
}


def simple_rnn_step(x: Array, state: State, w: Mapping[str, Array], **how: Any) -> Any:
    """Compute `h' = activation(x W + b + h U)`."""
    act = ACTIVATIONS[how["activation"]]
    return {"h": act(x @ w["kernel"] + w["bias"] + state["h"] @ w["recurrent_kernel"])}, {}


def lstm_step(x: Array, state: State, w: Mapping[str, Array], **how: Any) -> Any:
    """Compute one step of an LSTM; `seqstate.layers.LSTMCell` has the equations."""
    act, gate = ACTIVATIONS[how["activation"]], ACTIVATIONS[how["recurrent_activation"]]
    h, c = state["h"], state["c"]
    w_i, w_f, w_c, w_o = np.split(w["kernel"], 4, axis=1)
    u_i, u_f, u_c, u_o = np.split(w["recurrent_kernel"], 4, axis=1)
    b_i, b_f, b_c, b_o = np.split(w["bias"], 4)
    i = gate(x @ w_i + h @ u_i + b_i)
    f = gate(x @ w_f + h @ u_f + b_f)
    g = act(x @ w_c + h @ u_c + b_c)
    o = gate(x @ w_o + h @ u_o + b_o)
    c = f * c + i * g
    return {"h": o * act(c), "c": c}, {"input": i, "forget": f, "candidate": g, "output": o}


def gru_step(x: Array, state: State, w: Mapping[str, Array], **how: Any) -> Any:
    """Compute one step of a GRU; `seqstate.layers.GRUCell` has the equations."""
    act, gate = ACTIVATIONS[how["activation"]], ACTIVATIONS[how["recurrent_activation"]]
    h = state["h"]
    w_z, w_r, w_h = np.split(w["kernel"], 3, axis=1)
    u_z, u_r, u_h = np.split(w["recurrent_kernel"], 3, axis=1)
    bias = np.broadcast_to(w["bias"], (2, w["kernel"].shape[1])).copy()
    if w["bias"].ndim == 1:
        bias[1] = 0
    (b_z, b_r, b_h), (d_z, d_r, d_h) = (np.split(row, 3) for row in bias)
    z = gate(x @ w_z + b_z + h @ u_z + d_z)
    r = gate(x @ w_r + b_r + h @ u_r + d_r)
    if how["reset_after"]:
        g = act(x @ w_h + b_h + r * (h @ u_h + d_h))
    else:
        g = act(x @ w_h + b_h + (r * h) @ u_h)
    return {"h": z * h + (1 - z) * g}, {"update": z, "reset": r, "candidate": g}


STEPS = {"SimpleRNN": simple_rnn_step, "GRU": gru_step, "LSTM": lstm_step}


def run(
    kind: str,
    x: Array,
    weights: Mapping[str, Array],
    *,
    initial_state: Mapping[str, Array] | None = None,
    mask: Array | None = None,
    reset_mask: Array | None = None,
    go_backwards: bool = False,
    activation: str = "tanh",
    recurrent_activation: str = "sigmoid",
    reset_after: bool = True,
) -> dict[str, Any]:
    """Run a layer over a batch of sequences and give all that it can return.

    Args:
        kind: "SimpleRNN", "GRU" or "LSTM".
        x: `[batch, time, features]`.
        weights: `kernel`, `recurrent_kernel` and `bias` (zeros if it is left out), in Keras
            shapes.
        initial_state: by name, `[batch, units]`; zeros where it is left out.
        mask: `[batch, time]`; where False the step is skipped.
        reset_mask: `[batch, time]`; where True the row starts from zeros before that step, in
            the order of the run.
        go_backwards: start at the last step.
        activation: a name in `ACTIVATIONS`.
        recurrent_activation: a name in `ACTIVATIONS`.
        reset_after: the variant of the GRU.

    Returns:
        `output`, `sequence`, `state`, `states`, `gates` in float64, those with a time axis in
        the order of the run.
    """
    names = KINDS[kind]
    batch, time, _ = x.shape
    units = weights["recurrent_kernel"].shape[0]
    w = {name: np.asarray(value, np.float64) for name, value in weights.items()}
    w.setdefault("bias", np.zeros(w["kernel"].shape[1]))
    given = initial_state or {}
    state: State = {
        name: np.array(np.broadcast_to(given.get(name, 0.0), (batch, units)), np.float64)
        for name in names.states
    }
    how = {
        "activation": activation,
        "recurrent_activation": recurrent_activation,
        "reset_after": reset_after,
    }
    states: dict[str, list[Array]] = {name: [] for name in names.states}
    gates: dict[str, list[Array]] = {name: [] for name in names.gates}
    for t in reversed(range(time)) if go_backwards else range(time):
        if reset_mask is not None:
            state = {k: np.where(reset_mask[:, t, None], 0.0, v) for k, v in state.items()}
        counts = np.ones((batch, 1), bool) if mask is None else mask[:, t, None]
        new, at = STEPS[kind](np.asarray(x[:, t], np.float64), state, w, **how)
        state = {k: np.where(counts, new[k], state[k]) for k in state}
        for name in names.states:
            states[name].append(state[name])
        for name in names.gates:
            gates[name].append(np.where(counts, at[name], 0.0))
    stacked = {name: np.stack(values, axis=1) for name, values in states.items()}
    return {
        "output": state["h"],
        "sequence": stacked["h"],
        "state": state,
        "states": stacked,
        "gates": {name: np.stack(values, axis=1) for name, values in gates.items()},
    }
