"""The native kernels within JAX: custom calls of XLA, with a gradient.

`run` is compiled once a shape, and differentiated by the kernels' own gradient. `jax_call` holds
the call itself, `jax_handlers` makes it known to XLA.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax
from jax.custom_derivatives import SymbolicZero

from seqstate.errors import ArgumentError, InputError, message
from seqstate.kernels import call, jax_call, jax_devices
from seqstate.kernels.jax_call import AXES, RECORD, WORDS
from seqstate.kernels.jax_handlers import why_not
from seqstate.kernels.native import MASKS

Arrays = dict[str, Any]


def run(spec: call.Spec, inputs: Mapping[str, Any]) -> Arrays:
    """Run a cell over a sequence; `seqstate.kernels.call` has the contract.

    Raises:
        ArgumentError: the native kernels can't be used here (`why_not`), or a second gradient is
            asked for.
        InputError: an array is missing, or has a shape or a dtype that the kernels can't read.
    """
    reason = why_not()
    if reason is not None:
        raise ArgumentError(
            message("seqstate.kernels.jax", reason, 'Say kernel="portable", or kernel="auto".')
        )
    return _compiled(spec, {k: value for k, value in inputs.items() if value is not None})


def check(spec: call.Spec, inputs: Arrays) -> None:
    """Raise an InputError for arrays that the kernels can't read, by their shapes and dtypes."""
    where, blocks = _where(spec), spec.names.blocks
    known = [
        name
        for name in call.INPUTS
        if (spec.kind == "GRU" or name != "recurrent_bias")
        and ("c" in spec.names.states or not name.endswith("_c"))
    ]
    for name in sorted({*inputs} - {*known}):
        raise InputError(message(where, f"{name} is no input", f"Use {', '.join(known)}."))
    for name in call.INPUTS[:3]:
        if name not in inputs:
            raise InputError(message(where, f"{name} is missing", "Give it."))
    units = inputs["recurrent_kernel"].shape[:1]
    sizes = {"u": units[0], "w": blocks * units[0]} if units else {}
    for name in call.INPUTS:
        if name not in inputs:
            continue
        shape, axes = inputs[name].shape, AXES[name]
        dtype = "bool" if name in MASKS else "float32"
        if inputs[name].dtype != dtype:
            what = f"{name} has dtype {inputs[name].dtype}; expected {dtype}"
            raise InputError(message(where, what, "Cast it, or take the portable path."))
        if not all(isinstance(size, int) for size in shape):
            what = f"{name} has shape {shape}; expected sizes that are known"
            raise InputError(message(where, what, "Take the portable path."))
        expected = ", ".join(f"{WORDS[a]}={sizes[a]}" if a in sizes else WORDS[a] for a in axes)
        fits = len(shape) == len(axes) and all(
            sizes.setdefault(axis, size) == size for axis, size in zip(axes, shape, strict=True)
        )
        if not fits:
            what = f"{name} has shape {shape}; expected [{expected}]"
            raise InputError(message(where, what, "Give arrays that belong together."))
    if 0 in (sizes["t"], sizes["d"], sizes["u"]):
        what = f"x has shape {inputs['x'].shape}; expected no axis but batch of size 0"
        raise InputError(message(where, what, "Take the portable path."))
    if any(sizes.get(axis, 1) not in (1, blocks) for axis in "mn"):
        what = f"got dropout masks for another number of blocks than {blocks}"
        raise InputError(message(where, what, "Give one mask, or one a block."))


def _where(spec: call.Spec) -> str:
    return f"seqstate.kernels.jax, {spec.kind}"


# The gradient


def _forward(spec: call.Spec, inputs: Arrays) -> Arrays:
    return jax_call.called("forward", spec, spec.results(), inputs)


def _forward_rule(spec: call.Spec, inputs: Arrays) -> tuple[Arrays, Any]:
    values = {name: primal.value for name, primal in inputs.items()}
    wanted = tuple(name for name, primal in inputs.items() if primal.perturbed)
    for name in wanted:
        if name not in call.DIFFERENTIABLE:
            what = f"a gradient by {name} is wanted, and there is none by it"
            raise ArgumentError(message(_where(spec), what, "Pass it through lax.stop_gradient."))
    made = _forward(replace(spec, every_step=True, keep=True), values)
    record = {name: made[name] for name in RECORD if name in made}
    # The names travel in the structure of the residuals, where JAX keeps what is static.
    kept = (values, record, dict.fromkeys(wanted))
    return {name: made[name] for name in spec.results()}, kept


def _backward_rule(spec: call.Spec, kept: Any, cotangents: Arrays) -> tuple[Arrays]:
    inputs, record, wanted = kept
    given = {
        f"d_{name}": cotangents[name]
        for name in call.RESULTS
        if name in cotangents and not isinstance(cotangents[name], SymbolicZero)
    }
    results = tuple(f"d_{name}" for name in call.DIFFERENTIABLE if name in wanted)
    none: Arrays = dict.fromkeys(inputs)
    if not given or not results:
        return (none,)
    found = jax_call.called("gradient", spec, results, {**inputs, **record, **given})
    summed = {
        name: jax_devices.summed(found[f"d_{name}"], like=inputs[name])
        for name in call.DIFFERENTIABLE
        if name in wanted
    }
    return ({**none, **summed},)


_differentiable = jax.custom_vjp(_forward, nondiff_argnums=(0,))
# With symbolic zeros, the forward rule learns which inputs are differentiated by, and the
# backward rule which results count at all: what isn't asked for is neither computed nor passed.
_differentiable.defvjp(_forward_rule, _backward_rule, symbolic_zeros=True)


@functools.partial(jax.jit, static_argnums=0, inline=True)
def _compiled(spec: call.Spec, inputs: Arrays) -> Arrays:
    # Here, because it is done once for the shapes that were seen before.
    check(spec, inputs)
    return _differentiable(spec, inputs)
