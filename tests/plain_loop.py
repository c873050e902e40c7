"""A native call as a plain loop over time in any framework, for its autograd: in float64 an oracle.

It takes and gives what `seqstate.kernels.call` says. What the frameworks call differently comes
as `f`: tanh, sigmoid, relu, clip(x, low, high), where, and stack(tensors, axis).
"""


def run(f, spec, inputs):
    """Run a cell over a sequence and give every result that any call can have."""
    names = spec.names
    x, recurrent = inputs["x"], inputs["recurrent_kernel"]
    time = x.shape[1]
    blocks = names.blocks
    zeros = x[:, 0, :1] * 0 + recurrent[:1, : recurrent.shape[0]] * 0  # [batch, units]
    state = {name: inputs.get(f"initial_{name}", zeros) for name in names.states}
    fresh = {name: inputs.get(f"fresh_{name}", zeros) for name in names.states}
    states = {name: [] for name in names.states}
    kept = []
    order = range(time)
    for t in reversed(order) if spec.go_backwards else order:
        if "reset_mask" in inputs:
            starts = inputs["reset_mask"][:, t, None]
            state = {name: f.where(starts, fresh[name], state[name]) for name in state}
        dropped = _dropped(x[:, t], inputs.get("input_dropout"), blocks)
        kernels = _columns(inputs["kernel"], blocks)
        projected = [a @ w for a, w in zip(dropped, kernels, strict=True)]
        if "bias" in inputs:
            biases = _columns(inputs["bias"], blocks)
            projected = [a + b for a, b in zip(projected, biases, strict=True)]
        new, at = STEPS[spec.kind](f, spec, projected, state, inputs)
        if "mask" in inputs:
            counts = inputs["mask"][:, t, None]
            new = {name: f.where(counts, new[name], state[name]) for name in state}
            at = [f.where(counts, gate, zeros) for gate in at]
        state = new
        for name in state:
            states[name].append(state[name])
        if at:
            kept.append(f.stack(at, 1))
    results = {f"last_{name}": value for name, value in state.items()}
    results |= {f"states_{name}": f.stack(values, 1) for name, values in states.items()}
    if kept:
        results["kept"] = f.stack(kept, 0)
    return results


def _simple_rnn(f, spec, projected, state, inputs):
    (inner,) = _recurrent(state["h"], inputs, 1)
    return {"h": _activation(f, spec.activation)(projected[0] + inner)}, []


def _lstm(f, spec, projected, state, inputs):
    act, gate = _activation(f, spec.activation), _activation(f, spec.recurrent_activation)
    a, b, g, o = (x + h for x, h in zip(projected, _recurrent(state["h"], inputs, 4), strict=True))
    i, forget, candidate, output = gate(a), gate(b), act(g), gate(o)
    c = forget * state["c"] + i * candidate
    return {"h": output * act(c), "c": c}, [i, forget, candidate, output]


def _gru(f, spec, projected, state, inputs):
    act, gate = _activation(f, spec.activation), _activation(f, spec.recurrent_activation)
    h = state["h"]
    kernels = _columns(inputs["recurrent_kernel"], 3)
    dropped = _dropped(h, inputs.get("recurrent_dropout"), 3)
    inner = [a @ u for a, u in zip(dropped, kernels, strict=True)]
    if "recurrent_bias" in inputs:
        biases = _columns(inputs["recurrent_bias"], 3)
        inner = [a + b for a, b in zip(inner, biases, strict=True)]
    z, r = gate(projected[0] + inner[0]), gate(projected[1] + inner[1])
    if spec.reset_after:
        candidate, more = act(projected[2] + r * inner[2]), [inner[2]]
    else:
        candidate, more = act(projected[2] + (r * dropped[2]) @ kernels[2]), []
    return {"h": z * h + (1 - z) * candidate}, [z, r, candidate, *more]


STEPS = {"SimpleRNN": _simple_rnn, "LSTM": _lstm, "GRU": _gru}


def _recurrent(h, inputs, blocks):
    dropped = _dropped(h, inputs.get("recurrent_dropout"), blocks)
    kernels = _columns(inputs["recurrent_kernel"], blocks)
    return [a @ u for a, u in zip(dropped, kernels, strict=True)]


def _columns(weight, blocks):
    units = weight.shape[-1] // blocks
    return [weight[..., b * units : (b + 1) * units] for b in range(blocks)]


def _dropped(values, masks, blocks):
    if masks is None:
        return [values] * blocks
    return [values * masks[b if masks.shape[0] > 1 else 0] for b in range(blocks)]


def _activation(f, name):
    return {
        "tanh": f.tanh,
        "sigmoid": f.sigmoid,
        "relu": f.relu,
        "hard_sigmoid": lambda x: f.clip(x / 6 + 0.5, 0.0, 1.0),
        "linear": lambda x: x,
    }[name]
