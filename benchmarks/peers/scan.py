"""A `lax.scan` written by hand, time-major, with the inputs projected in one product before it."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp

from cases import GRADIENT, PLAIN, Array, Case, data_of
from peers import Run
from seqstate.cells import KINDS

# How many steps a turn of the compiled loop does, by label.
UNROLLED = {"lax.scan": 1, "lax.scan, unrolled": 8}


def runs(case: Case) -> dict[str, Run]:
    """Run the scan, compiled."""
    if case.variant != PLAIN:
        return {}
    labels = list(UNROLLED)[: 1 if case.sizes.time == 1 else None]
    return {label: _compiled(case, UNROLLED[label]) for label in labels}


def _compiled(case: Case, unroll: int) -> Run:
    data, states = data_of(case), KINDS[case.cell].states
    zeros = np.zeros((case.sizes.batch, case.sizes.units), np.float32)
    x = jnp.asarray(data.x.swapaxes(0, 1))
    state = tuple(jnp.asarray(data.initial.get(k, zeros)) for k in states)
    weights = {k: jnp.asarray(v) for k, v in data.weights.items()}
    given = (
        tuple(jnp.asarray(data.cotangents[f"last_{k}"]) for k in states),
        jnp.asarray(data.cotangents["sequence"].swapaxes(0, 1)),
    )

    def scan(weights: Any, x: Any, state: Any) -> Any:
        step = STEPS[case.cell](weights)
        return lax.scan(step, state, project(weights, x), unroll=unroll)

    @jax.jit
    def forward(weights: Any, x: Any, state: Any) -> Any:
        return scan(weights, x, state), {}

    @jax.jit
    def gradient(weights: Any, x: Any, state: Any, cotangents: Any) -> Any:
        results, vjp = jax.vjp(lambda w: scan(w, x, state), weights)
        return results, vjp(cotangents)[0]

    def call() -> Any:
        if case.task == GRADIENT:
            return jax.block_until_ready(gradient(weights, x, state, given))
        return jax.block_until_ready(forward(weights, x, state))

    def named(results: Any) -> dict[str, Array]:
        (last, sequence), gradients = results
        found = {f"last_{k}": np.asarray(v) for k, v in zip(states, last, strict=True)}
        found["sequence"] = np.asarray(sequence).swapaxes(0, 1)
        return found | {f"d_{k}": np.asarray(v) for k, v in gradients.items()}

    return Run(call, named)


def project(w: dict[str, Any], x: Any) -> Any:
    """Give each step's share of the inputs, `[time, batch, blocks * units]`."""
    return x @ w["kernel"] + (w["bias"][0] if w["bias"].ndim == 2 else w["bias"])


def lstm(w: dict[str, Any]) -> Any:
    """Give the step of an LSTM."""

    def step(state: Any, at: Any) -> Any:
        h, c = state
        i, f, g, o = jnp.split(at + h @ w["recurrent_kernel"], 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    return step


def gru(w: dict[str, Any]) -> Any:
    """Give the step of a GRU with `reset_after`."""

    def step(state: Any, at: Any) -> Any:
        (h,) = state
        x_z, x_r, x_g = jnp.split(at, 3, axis=-1)
        h_z, h_r, h_g = jnp.split(h @ w["recurrent_kernel"] + w["bias"][1], 3, axis=-1)
        z = jax.nn.sigmoid(x_z + h_z)
        g = jnp.tanh(x_g + jax.nn.sigmoid(x_r + h_r) * h_g)
        h = z * h + (1 - z) * g
        return (h,), h

    return step


def simple_rnn(w: dict[str, Any]) -> Any:
    """Give the step of a SimpleRNN."""

    def step(state: Any, at: Any) -> Any:
        h = jnp.tanh(at + state[0] @ w["recurrent_kernel"])
        return (h,), h

    return step


STEPS = {"LSTM": lstm, "GRU": gru, "SimpleRNN": simple_rnn}
