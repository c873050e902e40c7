"""The equations once more, in float64 and differentiable, with all that a native call can take."""

from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd import make_vjp
from autograd.extend import defvjp, primitive

from seqstate.kernels.call import DIFFERENTIABLE, Spec


@primitive
def sigmoid(x: Any) -> Any:
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e))


@primitive
def tanh(x: Any) -> Any:
    return np.tanh(x)


# Those of autograd overflow where a gate is saturated.
defvjp(sigmoid, lambda y, x: lambda g: g * sigmoid(x) * sigmoid(-x))
defvjp(tanh, lambda y, x: lambda g: g * 4 * sigmoid(2 * x) * sigmoid(-2 * x))

ACTIVATIONS = {
    "linear": lambda x: x,
    "tanh": tanh,
    "sigmoid": sigmoid,
    # relu and hard_sigmoid of Keras have slope 0 at their corners
    "relu": lambda x: anp.where(x > 0, x, anp.where(anp.isnan(x), x, 0)),
    "hard_sigmoid": lambda x: anp.where(x <= -3, 0, anp.where(x >= 3, 1, x / 6 + 0.5)),
}


def results(spec: Spec, inputs: dict[str, Any]) -> dict[str, Any]:
    """Give what `spec.results()` lists, from float64 arrays."""
    batch, time, _ = inputs["x"].shape
    units = inputs["recurrent_kernel"].shape[0]
    blocks, names = spec.names.blocks, spec.names.states
    act, gate = ACTIVATIONS[spec.activation], ACTIVATIONS[spec.recurrent_activation]
    zeros = anp.zeros((batch, units))
    fresh = [inputs.get(f"fresh_{n}", zeros) for n in names]
    state = [inputs.get(f"initial_{n}", zeros) for n in names]
    kernels = anp.split(inputs["kernel"], blocks, axis=1)
    recurrent = anp.split(inputs["recurrent_kernel"], blocks, axis=1)
    none = anp.zeros(blocks * units)
    bias = anp.split(inputs.get("bias", none), blocks)
    recurrent_bias = anp.split(inputs.get("recurrent_bias", none), blocks)

    def dropped(value, name):
        masks = inputs.get(name)
        if masks is None:
            return [value] * blocks
        return [value * m for m in (masks if len(masks) == blocks else [masks[0]] * blocks)]

    kept, every = [], []
    order = range(time)[::-1] if spec.go_backwards else range(time)
    for t in order:
        counts = anp.ones((batch, 1), bool)
        if "mask" in inputs:
            counts = inputs["mask"][:, t, None]
        if "reset_mask" in inputs:
            anew = inputs["reset_mask"][:, t, None]
            state = [anp.where(anew, f, s) for f, s in zip(fresh, state, strict=True)]
        x = anp.where(counts, inputs["x"][:, t], 0)
        xs = dropped(x, "input_dropout")
        hs = dropped(state[0], "recurrent_dropout")
        from_x = [a @ k + b for a, k, b in zip(xs, kernels, bias, strict=True)]
        from_h = [a @ k + b for a, k, b in zip(hs, recurrent, recurrent_bias, strict=True)]
        if spec.kind == "LSTM":
            i, f, g, o = (a + b for a, b in zip(from_x, from_h, strict=True))
            i, f, g, o = gate(i), gate(f), act(g), gate(o)
            c = f * state[1] + i * g
            new, keep = [o * act(c), c], [i, f, g, o]
        elif spec.kind == "GRU":
            z, r = gate(from_x[0] + from_h[0]), gate(from_x[1] + from_h[1])
            if spec.reset_after:
                g = act(from_x[2] + r * from_h[2])
            else:
                masks = inputs.get("recurrent_dropout")
                last = 1 if masks is None else masks[-1]
                g = act(from_x[2] + (r * state[0] * last) @ recurrent[2])
            new = [z * state[0] + (1 - z) * g]
            keep = [z, r, g, *([from_h[2]] if spec.reset_after else [])]
        else:
            new, keep = [act(from_x[0] + from_h[0])], []
        state = [anp.where(counts, n, s) for n, s in zip(new, state, strict=True)]
        kept.append([anp.where(counts, k, 0) for k in keep])
        every.append(state)
    found = {f"last_{n}": s for n, s in zip(names, state, strict=True)}
    for i, n in enumerate(names):
        found[f"states_{n}"] = anp.stack([s[i] for s in every], axis=1)
    if kept[0]:
        found["kept"] = anp.stack([anp.stack(k, axis=1) for k in kept])
    return {name: found[name] for name in spec.results()}


def as64(inputs: dict[str, Any]) -> dict[str, Any]:
    arrays = {k: np.asarray(v) for k, v in inputs.items()}
    return {k: v if v.dtype == bool else v.astype(np.float64) for k, v in arrays.items()}


def run(spec: Spec, inputs: dict[str, Any]) -> dict[str, np.ndarray]:
    """Give the results as float64 arrays."""
    return results(spec, as64(inputs))


def gradient(
    spec: Spec, inputs: dict[str, Any], cotangents: dict[str, Any]
) -> dict[str, np.ndarray]:
    """Give the gradient of each input in `DIFFERENTIABLE` that is there."""
    given = as64(inputs)
    moving = {k: given.pop(k) for k in DIFFERENTIABLE if k in given}
    names = list(moving)

    # What is kept beside the gates is no result: it has no cotangent.
    def counting(name: str, value: Any) -> Any:
        return value[:, :, : len(spec.names.gates)] if name == "kept" else value

    pulls = {k: counting(k, c) for k, c in as64(cotangents).items()}

    def weighed(values: Any) -> Any:
        moved = dict(zip(names, values, strict=True))
        found = results(spec, {**given, **moved})
        return sum(anp.sum(counting(k, found[k]) * c) for k, c in pulls.items() if k in found)

    vjp, _ = make_vjp(weighed)(tuple(moving.values()))
    return dict(zip(names, vjp(1.0), strict=True))
