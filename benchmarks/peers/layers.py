"""Keras's own layers and ours, on the backend of this process, called in the same way."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

import seqstate.layers
from cases import GRADIENT, PLAIN, Array, Case, Data, data_of
from peers import Run
from seqstate.cells import KINDS

BACKENDS = {"jax": "JAX", "torch": "torch"}


def runs(case: Case) -> dict[str, Run]:
    """Run a layer of each kind."""
    if case.variant != PLAIN:
        return {}
    backend = keras.backend.backend()
    made = {}
    for label, module in (("Keras", keras.layers), ("ours", seqstate.layers)):
        data = data_of(case)
        layer = getattr(module, case.cell)(
            case.sizes.units, return_sequences=True, return_state=True
        )
        layer.build(data.x.shape)
        layer.set_weights(list(data.weights.values()))
        run = _on_jax if backend == "jax" else _on_torch
        made[f"{label} on {BACKENDS[backend]}"] = run(case, data, layer)
    return made


def _on_jax(case: Case, data: Data, layer: Any) -> Run:
    import jax
    from jax import numpy as jnp

    weights = [v.value for v in layer.trainable_variables]
    others = [v.value for v in layer.non_trainable_variables]
    x = jnp.asarray(data.x)
    state = [jnp.asarray(v) for v in data.initial.values()] or None
    given = [jnp.asarray(v) for v in _cotangents(case, data)]

    def results(weights: Any, x: Any, state: Any) -> Any:
        return layer.stateless_call(weights, others, x, initial_state=state)[0]

    @jax.jit
    def forward(weights: Any, x: Any, state: Any) -> Any:
        return results(weights, x, state), []

    @jax.jit
    def gradient(weights: Any, x: Any, cotangents: Any) -> Any:
        made, vjp = jax.vjp(lambda w: list(results(w, x, None)), weights)
        return made, vjp(cotangents)[0]

    def call() -> Any:
        if case.task == GRADIENT:
            return jax.block_until_ready(gradient(weights, x, given))
        return jax.block_until_ready(forward(weights, x, state))

    return Run(call, lambda made: _named(case, *made))


def _on_torch(case: Case, data: Data, layer: Any) -> Run:
    import torch

    x = torch.from_numpy(data.x)
    state = [torch.from_numpy(v) for v in data.initial.values()] or None
    given = [torch.from_numpy(v) for v in _cotangents(case, data)]
    weights = [v.value for v in layer.trainable_variables]

    def forward() -> Any:
        with torch.no_grad():
            return layer(x, initial_state=state), []

    def gradient() -> Any:
        made = layer(x)
        return made, torch.autograd.grad(list(made), weights, given)

    return Run(
        gradient if case.task == GRADIENT else forward,
        lambda made: _named(case, *([v.detach() for v in part] for part in made)),
    )


def _cotangents(case: Case, data: Data) -> list[Array]:
    names = ["sequence", *(f"last_{k}" for k in KINDS[case.cell].states)]
    return [data.cotangents[name] for name in names]


def _named(case: Case, results: Any, gradients: Any) -> dict[str, Array]:
    names = ["sequence", *(f"last_{k}" for k in KINDS[case.cell].states)]
    found = {k: np.asarray(v) for k, v in zip(names, results, strict=True)}
    if not gradients:
        return found
    weights = ("d_kernel", "d_recurrent_kernel", "d_bias")
    return found | {k: np.asarray(v) for k, v in zip(weights, gradients, strict=True)}
