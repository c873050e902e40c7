"""The native kernels within JAX: custom calls of XLA, with a gradient.

`run` is compiled once a shape, and differentiated by the kernels' own gradient. `jax_call` holds
the call itself, `jax_handlers` makes it known to XLA.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from seqstate.errors import ArgumentError, InputError, message
from seqstate.kernels import call, jax_devices
from seqstate.kernels.jax_call import AXES, RECORD, WORDS, Target, called_all, target_of
from seqstate.kernels.jax_handlers import why_not
from seqstate.kernels.native import MASKS

Arrays = dict[str, Any]
Specs = tuple[call.Spec, ...]


def run(spec: call.Spec, inputs: Mapping[str, Any]) -> Arrays:
    """Run a cell over a sequence; `seqstate.kernels.call` has the contract.

    Raises:
        ArgumentError: the native kernels can't be used here (`why_not`), or a second gradient is
            asked for.
        InputError: an array is missing, or has a shape or a dtype that the kernels can't read.
    """
    return run_all([(spec, inputs)])[0]


def run_all(calls: Sequence[tuple[call.Spec, Mapping[str, Any]]]) -> list[Arrays]:
    """Make several calls of `run`, none of which reads what another one makes.

    Two over the same rows and steps are one call: XLA runs the calls of a program one after the
    other.
    """
    reason = why_not()
    if reason is not None:
        raise ArgumentError(
            message("seqstate.kernels.jax", reason, 'Say kernel="portable", or kernel="auto".')
        )
    specs = tuple(spec for spec, _ in calls)
    given = tuple({k: v for k, v in inputs.items() if v is not None} for _, inputs in calls)
    sizes = {tuple(getattr(inputs.get("x"), "shape", ()))[:2] for inputs in given}
    if len(calls) <= 2 and len(sizes) == 1:
        return _compiled(specs, given)
    return [_compiled(*each)[0] for each in zip(zip(specs), zip(given), strict=True)]


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


def _forward(specs: Specs, inputs: tuple[Arrays, ...]) -> list[Arrays]:
    pairs = list(zip(specs, inputs, strict=True))
    targets = [target_of("forward", spec, spec.results(), own) for spec, own in pairs]
    return called_all(targets, inputs)


def _forward_rule(specs: Specs, inputs: tuple[Arrays, ...]) -> tuple[list[Arrays], Any]:
    values = tuple({name: p.value for name, p in own.items()} for own in inputs)
    wanted = [tuple(name for name, p in own.items() if p.perturbed) for own in inputs]
    for spec, names in zip(specs, wanted, strict=True):
        for name in names:
            if name not in call.DIFFERENTIABLE:
                what = f"a gradient by {name} is wanted, and there is none by it"
                todo = "Pass it through lax.stop_gradient."
                raise ArgumentError(message(_where(spec), what, todo))
    # Of all of them: JAX wants as many residuals whichever inputs are differentiated by.
    recorded = tuple(spec._replace(every_step=True, keep=True) for spec in specs)
    made = _forward(recorded, values)
    kept = [
        (own, {name: of[name] for name in RECORD if name in of}, _told(names))
        for own, of, names in zip(values, made, wanted, strict=True)
    ]
    return [
        {name: of[name] for name in s.results()} for s, of in zip(specs, made, strict=True)
    ], kept


def _backward_rule(specs: Specs, kept: Any, cotangents: list[Arrays]) -> tuple[Any]:
    targets: list[Target | None] = []
    arrays: list[Arrays] = []
    for spec, (inputs, record, told), arriving in zip(specs, kept, cotangents, strict=True):
        wanted = _read(told)
        given = {
            f"d_{name}": arriving[name]
            for name in call.RESULTS
            if name in arriving and not isinstance(arriving[name], SymbolicZero)
        }
        results = tuple(f"d_{name}" for name in call.DIFFERENTIABLE if name in wanted)
        own = {**inputs, **record, **given}
        arrays.append(own)
        targets.append(target_of("gradient", spec, results, own) if given and results else None)
    asked = {i: target for i, target in enumerate(targets) if target is not None}
    found: list[Arrays] = [dict.fromkeys(inputs) for inputs, _, _ in kept]
    if not asked:
        return (tuple(found),)
    made = called_all(list(asked.values()), [arrays[i] for i in asked])
    for i, gradients in zip(asked, made, strict=True):
        for name, gradient in gradients.items():
            of = name.removeprefix("d_")
            found[i][of] = jax_devices.summed(gradient, like=arrays[i][of])
    return (tuple(found),)


def _told(names: Collection[str]) -> Any:
    # Which gradients are wanted, told in the shape of an array without elements. In the structure
    # of the residuals it would go wrong: of a call that is compiled once and differentiated by
    # other inputs each time, JAX keeps the structure of the last forward rule for all of them.
    code = sum(1 << i for i, name in enumerate(call.DIFFERENTIABLE) if name in names)
    return jnp.zeros((0, code))


def _read(told: Any) -> list[str]:
    return [name for i, name in enumerate(call.DIFFERENTIABLE) if told.shape[1] >> i & 1]


_differentiable = jax.custom_vjp(_forward, nondiff_argnums=(0,))
# With symbolic zeros, the forward rule learns which inputs are differentiated by, and the
# backward rule which results count at all: what isn't asked for is neither computed nor passed.
_differentiable.defvjp(_forward_rule, _backward_rule, symbolic_zeros=True)


@functools.partial(jax.jit, static_argnums=0, inline=True)
def _compiled(specs: Specs, inputs: tuple[Arrays, ...]) -> list[Arrays]:
    for spec, own in zip(specs, inputs, strict=True):
        check(spec, own)
    found: list[Arrays] = _differentiable(specs, inputs)
    return found
