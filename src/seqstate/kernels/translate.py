"""A run of one of our own cells as a native call, and what comes of the call as results.

`covered.why_not` must have said that the run is covered.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from seqstate.kernels.call import Spec
from seqstate.kernels.covered import activation_name
from seqstate.kernels.problem import Problem, Results


def spec_of(problem: Problem) -> Spec:
    """Give the static part of the call."""
    cell = problem.steps.cell
    own: dict[str, Any] = {
        name: activation_name(getattr(cell, name))
        for name in ("activation", "recurrent_activation")
        if hasattr(cell, name)
    }
    if hasattr(cell, "reset_after"):
        own["reset_after"] = cell.reset_after
    return Spec(
        kind=cell.kind.name,
        **own,
        go_backwards=bool(problem.go_backwards),
        every_step=problem.every_step,
        keep=problem.gates,
    )


def inputs_of(problem: Problem) -> dict[str, Any]:
    """Give the arrays of the call by name, as `seqstate.kernels.call` lists them."""
    p, cell = problem, problem.steps.cell
    inputs = {
        "x": _float32(p.sequences),
        "kernel": _float32(cell.kernel),
        "recurrent_kernel": _float32(cell.recurrent_kernel),
    }
    if cell.bias is not None:
        bias = _float32(cell.bias)
        if len(bias.shape) == 2:
            inputs["bias"], inputs["recurrent_bias"] = bias[0], bias[1]
        else:
            inputs["bias"] = bias
    inputs.update(_by_name("initial", p.state))
    if p.mask is not None:
        inputs["mask"] = p.mask
    if p.reset_mask is not None:
        inputs["reset_mask"] = p.reset_mask
        inputs.update(_by_name("fresh", p.fresh))
    for name, masks in zip(("input_dropout", "recurrent_dropout"), p.drawn, strict=True):
        if masks is not None:
            inputs[name] = ops.stack(masks if isinstance(masks, list) else [masks])
    return inputs


def _by_name(start: str, state: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{start}_{name}": _float32(value) for name, value in state.items()}


def _float32(value: Any) -> Any:
    """Give a tensor or a variable in float32; most are, and `ops.cast` takes its time for them."""
    tensor = value.value if isinstance(value, keras.Variable) else value
    return tensor if "float32" in str(tensor.dtype) else ops.cast(tensor, "float32")


def results_of(spec: Spec, made: Mapping[str, Any]) -> Results:
    """Give what the call made, by the names of the layers.

    Args:
        spec: of the call.
        made: its results by name, as `seqstate.kernels.call` lists them.
    """
    names = spec.names
    first = names.states[0]
    gates: dict[str, Any] | None = {} if spec.keep else None
    if "kept" in made:
        # Turned once for all gates; a backend whose tensors can be views copies nothing.
        kept = ops.transpose(made["kept"], (2, 1, 0, 3))
        gates = {name: kept[i] for i, name in enumerate(names.gates)}
    return Results(
        output=made[f"last_{first}"],
        state={name: made[f"last_{name}"] for name in names.states},
        sequence=made[f"states_{first}"] if spec.every_step else None,
        states={name: made[f"states_{name}"] for name in names.states} if spec.every_step else None,
        gates=gates,
    )
