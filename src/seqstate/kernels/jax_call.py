"""One native call as JAX sees it: a custom call of XLA with rules for devices and for vmap.

From the outside in: `called_all` (no gradient of its own), `mapped` (`jax.custom_batching`), split
over devices along the batch (`jax_devices.partitioned`), and a custom call (`jax.ffi`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqstate.cells import KINDS
from seqstate.errors import ArgumentError, message
from seqstate.kernels import call, jax_devices

Arrays = dict[str, Any]

# One letter an axis: the same letter, the same size.
WORDS = {
    "b": "batch",
    "t": "time",
    "d": "features",
    "u": "units",
    "w": "blocks * units",
    "k": "kept",
    "m": "masks",
    "n": "masks",
}
AXES = {
    "x": "btd",
    "kernel": "dw",
    "recurrent_kernel": "uw",
    "bias": "w",
    "recurrent_bias": "w",
    "initial_h": "bu",
    "initial_c": "bu",
    "fresh_h": "bu",
    "fresh_c": "bu",
    "mask": "bt",
    "reset_mask": "bt",
    "input_dropout": "mbd",
    "recurrent_dropout": "nbu",
    "last_h": "bu",
    "last_c": "bu",
    "states_h": "btu",
    "states_c": "btu",
    "kept": "tbku",
}
RECORD = ("states_h", "states_c", "kept")


def called_all(targets: Sequence[Target], arrays: Sequence[Arrays]) -> list[Arrays]:
    """Give the results of one call, or of two at once, each by name."""
    target = targets[0] if len(targets) == 1 else Two(*targets)
    operands = [
        own[name] for each, own in zip(targets, arrays, strict=True) for name in each.operands
    ]
    # One call takes arrays that vary along the same axes of a mesh.
    axes = jax_devices.axes_varying(*operands)
    made = iter(_called(target, [jax_devices.varying_along(array, axes) for array in operands]))
    return [{name: next(made) for name in each.results} for each in targets]


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _called(target: Target | Two, given: list[Any]) -> list[Any]:
    made: list[Any] = jax_devices.over_explicit_axes(mapped(target), target)(*given)
    return made


def _refuse(target: Target | Two, *_: Any) -> Any:
    raise ArgumentError(
        message(
            f"seqstate.kernels.jax, {target.kind}",
            "the native kernels have no gradient of their gradient",
            'Make the layer with kernel="portable" to differentiate it twice.',
        )
    )


_called.defvjp(_refuse, _refuse)


@dataclass(frozen=True)
class Target:
    """A call of one of the handlers in native/bindings/xla.cpp: all of it that is static.

    Attributes:
        name: "forward" or "gradient".
        spec: of the run.
        operands: what is given, by name, in the order of the handler.
        results: what is wanted, by name, in the order of the handler.
    """

    name: str
    spec: call.Spec
    operands: tuple[str, ...]
    results: tuple[str, ...]

    def axes(self) -> tuple[list[str], list[str]]:
        """Give the letters of the axes of each operand and of each result."""
        operands = [AXES[name.removeprefix("d_")] for name in self.operands]
        return operands, [AXES[name.removeprefix("d_")] for name in self.results]

    @property
    def kind(self) -> str:
        """The kind of the cell, for messages."""
        return self.spec.kind

    def made(self, arrays: Sequence[Any]) -> list[Any]:
        """Give the shapes of the results."""
        operands, results = self.axes()
        sizes = {"k": self.spec.kept}
        for axes, array in zip(operands, arrays, strict=True):
            sizes.update(zip(axes, array.shape, strict=True))
        shapes = [tuple(sizes[axis] for axis in axes) for axes in results]
        return [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]

    def numbers(self) -> dict[str, int]:
        """Give what is static by name, in the order of `Spec` in native/bindings/xla.cpp."""
        spec = self.spec
        return {
            "kind": list(KINDS).index(spec.kind),
            "activation": call.ACTIVATIONS.index(spec.activation),
            "recurrent_activation": call.ACTIVATIONS.index(spec.recurrent_activation),
            "reset_after": spec.reset_after,
            "go_backwards": spec.go_backwards,
            "given": _bits(self.operands, GIVEN[self.name]),
            "wanted": _bits(self.results, WANTED[self.name]),
        }

    def __call__(self, *arrays: Any) -> list[Any]:
        """Call the handler."""
        attributes = {name: np.int32(value) for name, value in self.numbers().items()}
        return _handled(f"seqstate_{self.name}", self.made(arrays), arrays, attributes)


@dataclass(frozen=True)
class Two:
    """Two calls over the same rows and steps that are one: all that one has, then the other."""

    first: Target
    second: Target

    @property
    def kind(self) -> str:
        """The kinds of the cells, for messages."""
        return " and ".join(sorted({self.first.kind, self.second.kind}))

    def axes(self) -> tuple[list[str], list[str]]:
        """Give the letters of all axes; the sizes of the second call have letters of their own."""
        operands, results = self.first.axes()
        more_operands, more_results = (
            [axes.upper().replace("B", "b").replace("T", "t") for axes in group]
            for group in self.second.axes()
        )
        return operands + more_operands, results + more_results

    def __call__(self, *arrays: Any) -> list[Any]:
        """Call the handler."""
        own = len(self.first.operands)
        made = self.first.made(arrays[:own]) + self.second.made(arrays[own:])
        numbers = [*self.first.numbers().values(), *self.second.numbers().values()]
        attributes = {"numbers": np.array(numbers, np.int32)}
        return _handled(f"seqstate_{self.first.name}_all", made, arrays, attributes)


def _handled(
    handler: str, made: list[Any], arrays: Sequence[Any], attributes: dict[str, Any]
) -> list[Any]:
    axes = jax_devices.axes_varying(*arrays)
    found = jax.ffi.ffi_call(handler, made)(*arrays, **attributes)
    return [jax_devices.varying_along(array, axes) for array in found]


def target_of(name: str, spec: call.Spec, results: tuple[str, ...], arrays: Arrays) -> Target:
    """Give the call with these arrays."""
    # In the order of the handler: JAX sorts the names of a dict on its way.
    return Target(
        name, spec, tuple(operand for operand in GIVEN[name] if operand in arrays), results
    )


COTANGENTS = tuple(f"d_{name}" for name in call.RESULTS)
# What a handler can be given and asked for, in its order: a bit says what is there.
GIVEN = {"forward": call.INPUTS, "gradient": (*call.INPUTS, *RECORD, *COTANGENTS)}
WANTED = {
    "forward": call.RESULTS,
    "gradient": tuple(f"d_{name}" for name in call.DIFFERENTIABLE),
}


def _bits(names: Sequence[str], order: tuple[str, ...]) -> int:
    return sum(1 << order.index(name) for name in names)


@functools.cache
def mapped(target: Target | Two) -> Callable[..., Any]:
    """Give the call with its rule for `jax.vmap`.

    Sequences with the same weights are one larger batch. With weights of their own, or where a
    gradient of the weights is wanted for each, the calls come one after the other.
    """
    call_mapped = jax.custom_batching.custom_vmap(jax_devices.partitioned(target))
    operands, results = target.axes()
    foldable = all("b" in axes for axes in results)

    def rule(count: int, is_mapped: Sequence[bool], *arrays: Any) -> tuple[Any, Any]:
        shared = [not m for m, axes in zip(is_mapped, operands, strict=True) if "b" not in axes]
        how = folded if foldable and all(shared) else one_by_one
        made = how(count, list(zip(is_mapped, arrays, strict=True)))
        return made, [True] * len(made)

    def folded(count: int, given: list[tuple[bool, Any]]) -> list[Any]:
        rows: list[Any] = []
        for (is_mapped, array), axes in zip(given, operands, strict=True):
            if "b" not in axes:
                rows.append(array)
                continue
            every = array if is_mapped else jnp.broadcast_to(array, (count, *array.shape))
            at = axes.index("b")
            sizes = list(every.shape[1:])
            sizes[at] *= count
            rows.append(jnp.moveaxis(every, 0, at).reshape(sizes))
        made = []
        for array, axes in zip(call_mapped(*rows), results, strict=True):
            at, sizes = axes.index("b"), list(array.shape)
            sizes[at : at + 1] = [count, sizes[at] // max(count, 1)]
            made.append(jnp.moveaxis(array.reshape(sizes), at, 0))
        return made

    def one_by_one(_: int, given: list[tuple[bool, Any]]) -> list[Any]:
        def one(own: list[Any]) -> Any:
            of_this = iter(own)
            return call_mapped(*(next(of_this) if m else array for m, array in given))

        made: list[Any] = jax.lax.map(one, [array for m, array in given if m])
        return made

    call_mapped.def_vmap(rule)
    return call_mapped
