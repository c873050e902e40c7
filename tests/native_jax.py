"""Calls of the native kernels within JAX, and the same calls as a plain loop in float64."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np

import plain_loop
from seqstate.kernels import call
from seqstate.kernels import jax as kernels
from seqstate.kernels.native import MASKS

BATCH, TIME, FEATURES, UNITS = 4, 6, 3, 5
KINDS = {
    "SimpleRNN": {"kind": "SimpleRNN"},
    "GRU": {"kind": "GRU"},
    "GRU, reset before": {"kind": "GRU", "reset_after": False},
    "LSTM": {"kind": "LSTM"},
}
CASES = {
    "plain": ({}, ()),
    "backwards": ({"go_backwards": True}, ()),
    "mask": ({}, ("mask",)),
    "resets to zeros": ({}, ("reset_mask",)),
    "resets": ({}, ("reset_mask", "fresh", "initial")),
    "initial state": ({}, ("initial",)),
    "no bias": ({}, ("no bias",)),
    "one dropout mask": ({}, ("dropout 1",)),
    "dropout masks": ({}, ("dropout blocks",)),
    "relu": ({"activation": "relu", "recurrent_activation": "hard_sigmoid"}, ()),
    "linear": ({"activation": "linear", "recurrent_activation": "sigmoid"}, ()),
    "tanh gates": ({"activation": "sigmoid", "recurrent_activation": "tanh"}, ()),
    "all": (
        {"go_backwards": True},
        ("mask", "reset_mask", "fresh", "initial", "dropout blocks"),
    ),
}
in_jax = SimpleNamespace(
    tanh=jnp.tanh,
    sigmoid=jax.nn.sigmoid,
    relu=jax.nn.relu,
    clip=jnp.clip,
    where=jnp.where,
    stack=jnp.stack,
)
float64 = jax.enable_x64 if hasattr(jax, "enable_x64") else jax.experimental.enable_x64


def spec_of(kind, **more):
    return call.Spec(**KINDS[kind], **more)


def arrays(spec, *what, batch=BATCH, time=TIME, features=FEATURES, units=UNITS, seed=0):
    """Give every input that `what` names, with numbers of unit scale."""
    rng = np.random.default_rng(seed)
    blocks = spec.names.blocks

    def normal(*shape, scale=1.0):
        return (rng.normal(size=shape) * scale).astype("float32")

    given = {
        "x": normal(batch, time, features),
        "kernel": normal(features, blocks * units, scale=0.5),
        "recurrent_kernel": normal(units, blocks * units, scale=0.5),
    }
    if "no bias" not in what:
        given["bias"] = normal(blocks * units)
        if spec.kind == "GRU" and spec.reset_after:
            given["recurrent_bias"] = normal(blocks * units)
    for start in ("initial", "fresh"):
        if start in what:
            given |= {f"{start}_{name}": normal(batch, units) for name in spec.names.states}
    if "mask" in what:
        given["mask"] = rng.random((batch, time)) < 0.7
        given["mask"][0] = False
    if "reset_mask" in what:
        given["reset_mask"] = rng.random((batch, time)) < 0.3
    for word, count in (("dropout 1", 1), ("dropout blocks", blocks)):
        if word in what:
            given["input_dropout"] = (rng.random((count, batch, features)) < 0.7) / np.float32(0.7)
            given["recurrent_dropout"] = (rng.random((count, batch, units)) < 0.7) / np.float32(0.7)
    return {
        name: value if name in MASKS else value.astype("float32") for name, value in given.items()
    }


def split(inputs):
    """Give what is differentiated by, and the rest."""
    by = {name: value for name, value in inputs.items() if name in call.DIFFERENTIABLE}
    return by, {name: value for name, value in inputs.items() if name not in by}


def weighted_sum(spec, results, only=None):
    """Give a number that depends on every element of every result in its own way.

    What the kernels keep beside the gates is nobody's result.
    """
    total = 0.0
    for i, (name, value) in enumerate(sorted(results.items())):
        value = value[:, :, : len(spec.names.gates)] if name == "kept" else value
        weights = np.random.default_rng(i).normal(size=value.shape).astype("float32")
        if only in (None, name):
            total = total + (value * weights).sum()
    return total


def gradients(spec, inputs, run=kernels.run, only=None, jit=True):
    """Give the gradients of the weighted sum of all results, by the name of the input."""
    by, rest = split(inputs)

    def number(by):
        return weighted_sum(spec, run(spec, {**by, **rest}), only)

    return (jax.jit(jax.grad(number)) if jit else jax.grad(number))(by)


def plain(spec, inputs):
    """Give the results of a call by a plain loop, in the dtype of its inputs."""
    results = plain_loop.run(in_jax, spec, inputs)
    return {name: results[name] for name in spec.results()}


def exact_gradients(spec, inputs, run=plain, only=None):
    """Give the same gradients of a plain loop in float64."""
    # Compiling it would take longer than running it.
    return exact(gradients, spec, inputs, run=run, only=only, jit=False)


def exact(function, spec, inputs, **kwargs):
    """Give what a function makes of a call in float64."""
    with float64(True):
        wide = {k: jnp.asarray(v, v.dtype if k in MASKS else "float64") for k, v in inputs.items()}
        return jax.tree.map(np.asarray, function(spec, wide, **kwargs))


def same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(np.asarray(one[name]), np.asarray(other[name]), name)


def near(found, expected, error):
    """Compare with an error that is relative to the largest number of each array."""
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        most = max(1.0, np.abs(value).max())
        np.testing.assert_allclose(found[name], value, rtol=0, atol=error * most, err_msg=name)
