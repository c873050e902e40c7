"""The native kernels within torch: an operator for a run and one for its gradient.

Each of them takes and gives lists of tensors, and a text that says what they are: the `Spec` and
the names of the tensors. So one operator serves every cell, and a compiled graph holds the whole
call. The shapes are known without a run, on the device "meta" and under `torch.compile`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import torch

from seqstate.errors import ArgumentError, message
from seqstate.kernels import native
from seqstate.kernels.call import DIFFERENTIABLE, Spec

Tensors = Sequence[Any]
Names = tuple[str, ...]

DTYPES = {torch.float32: "float32", torch.bool: "bool"}


def run(spec: Spec, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Run a cell over a sequence; `seqstate.kernels.call` has the contract.

    Raises:
        ArgumentError: a gradient by a dropout mask is wanted, or, when it is computed, the
            gradient of a gradient.
        InputError: a tensor has another shape or dtype than the contract says, or no values.
    """
    names, tensors = tuple(inputs), list(inputs.values())
    if not (torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)):
        return dict(zip(spec.results(), _run(tensors, _text(spec, names)), strict=True))
    for name, tensor in inputs.items():
        if tensor.requires_grad and name not in DIFFERENTIABLE:
            _refuse(spec, f"{name} requires a gradient, and there is none by it", "Detach it.")
    recorded = _recorded(spec)
    text = _text(recorded, names)
    # The autograd of an operator costs four times that of a Function, of which there is nothing
    # to be seen in a compiled graph.
    compiled = torch.compiler.is_compiling()
    apply: Any = _Recorded.apply
    made = _run(tensors, text) if compiled else apply(text, *tensors)
    results = dict(zip(recorded.results(), made, strict=True))
    return {name: results[name] for name in spec.results()}


def _recorded(spec: Spec) -> Spec:
    """Give the spec of the same run with all that its gradient reads among the results."""
    return Spec(
        kind=spec.kind,
        activation=spec.activation,
        recurrent_activation=spec.recurrent_activation,
        reset_after=spec.reset_after,
        go_backwards=spec.go_backwards,
        every_step=True,
        keep=True,
    )


# The text of a call: the fields of the spec, then lists of names.


def _text(spec: Spec, *lists: Names) -> str:
    flags = (spec.reset_after, spec.go_backwards, spec.every_step, spec.keep)
    fields = [spec.kind, spec.activation, spec.recurrent_activation]
    fields += ["yes" if flag else "no" for flag in flags]
    return ";".join([",".join(fields), *(",".join(names) for names in lists)])


@cache
def _read(text: str) -> tuple[Spec, list[Names]]:
    fields, *lists = (tuple(part.split(",")) if part else () for part in text.split(";"))
    flags = [flag == "yes" for flag in fields[3:]]
    return Spec(fields[0], fields[1], fields[2], *flags), lists


# The run


def _run_fake(tensors: Tensors, text: str) -> list[Any]:
    spec, (names,) = _read(text)
    inputs = dict(zip(names, tensors, strict=True))
    x, units = inputs["x"], inputs["recurrent_kernel"].shape[0]
    batch, time, _ = x.shape
    shapes = {"last": (batch, units), "states": (batch, time, units)}
    shapes["kept"] = (time, batch, spec.kept, units)
    return [x.new_empty(shapes[name.split("_")[0]]) for name in spec.results()]


def _run_native(tensors: Tensors, text: str) -> list[Any]:
    spec, (names,) = _read(text)
    made = _run_fake(tensors, text)
    inputs = _dense(names, tensors)
    native.module().forward(*spec.static(), _memory(names, inputs), _memory(spec.results(), made))
    return made


# The gradient of a run that was made with `_recorded`


def _record(spec: Spec) -> list[int]:
    """Tell where among the results the gradient finds what it reads."""
    return [i for i, name in enumerate(spec.results()) if not name.startswith("last_")]


def _gradient_fake(tensors: Tensors, record: Tensors, cotangents: Tensors, text: str) -> list[Any]:
    _, (names, _, wanted) = _read(text)
    inputs = dict(zip(names, tensors, strict=True))
    return [inputs[name].new_empty(inputs[name].shape) for name in wanted]


def _gradient_native(
    tensors: Tensors, record: Tensors, cotangents: Tensors, text: str
) -> list[Any]:
    spec, (names, given, wanted) = _read(text)
    made = _gradient_fake(tensors, record, cotangents, text)
    inputs = _dense(names, tensors)
    read = tuple(spec.results()[i] for i in _record(spec))
    native.module().gradient(
        *spec.static(),
        _memory(names, inputs),
        _memory(read, record),
        _memory(given, cotangents),
        _memory(wanted, made),
    )
    return made


def _dense(names: Names, tensors: Tensors) -> list[Any]:
    return [
        tensor.contiguous() if name in native.DENSE else tensor
        for name, tensor in zip(names, tensors, strict=True)
    ]


def _memory(names: Names, tensors: Tensors) -> dict[str, Any]:
    """Tell by name where tensors lie: a third of the cost of handing over tensors."""
    return {
        name: (t.data_ptr(), DTYPES.get(t.dtype, str(t.dtype)), t.shape, t.stride())
        for name, t in zip(names, tensors, strict=True)
    }


_run = torch.library.custom_op(
    "seqstate::run",
    _run_native,
    mutates_args=(),
    device_types="cpu",
    schema="(Tensor[] tensors, str text) -> Tensor[]",
)
_gradient = torch.library.custom_op(
    "seqstate::gradient",
    _gradient_native,
    mutates_args=(),
    device_types="cpu",
    schema="(Tensor[] tensors, Tensor[] record, Tensor[] cotangents, str text) -> Tensor[]",
)


# Autograd


def _remember(ctx: Any, tensors: Tensors, text: str, made: Tensors) -> None:
    ctx.set_materialize_grads(False)
    ctx.text = text
    spec, _ = _read(text)
    ctx.save_for_backward(*tensors, *(made[i] for i in _record(spec)))


def _differentiate(ctx: Any, needed: Sequence[bool], cotangents: Tensors) -> list[Any]:
    """Give the gradient by each input, or None where it is not needed."""
    spec, (names,) = _read(ctx.text)
    saved = ctx.saved_tensors
    given = {
        name: cotangent
        for name, cotangent in zip(spec.results(), cotangents, strict=True)
        if cotangent is not None
    }
    wanted = tuple(name for name, need in zip(names, needed, strict=True) if need)
    if not given or not wanted:
        return [None] * len(names)
    tensors, record = list(saved[: len(names)]), list(saved[len(names) :])
    text = _text(spec, names, tuple(given), wanted)
    made = _gradient(tensors, record, list(given.values()), text)
    gradients = dict(zip(wanted, made, strict=True))
    return [gradients.get(name) for name in names]


class _Recorded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, text: str, *tensors: Any) -> tuple[Any, ...]:
        made = _run(list(tensors), text)
        _remember(ctx, tensors, text, made)
        return tuple(made)

    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> tuple[Any, ...]:
        return None, *_differentiate(ctx, ctx.needs_input_grad[1:], cotangents)


def _set_up(ctx: Any, inputs: tuple[Tensors, str], output: Tensors) -> None:
    _remember(ctx, *inputs, output)


def _backward(ctx: Any, cotangents: Tensors) -> tuple[Any, None]:
    return _differentiate(ctx, ctx.needs_input_grad[0], cotangents), None


def _remember_text(ctx: Any, inputs: tuple[Any, ...], output: Tensors) -> None:
    ctx.text = inputs[-1]


def _refuse_second(ctx: Any, cotangents: Tensors) -> None:
    spec, _ = _read(ctx.text)
    what = "the native kernels have no gradient of their gradient"
    _refuse(spec, what, 'Make the layer with kernel="portable" to differentiate it twice.')


def _refuse(spec: Spec, what: str, todo: str) -> None:
    raise ArgumentError(message(f"seqstate.kernels.torch, {spec.kind}", what, todo))


_run.register_fake(_run_fake)
_run.register_autograd(_backward, setup_context=_set_up)
_gradient.register_fake(_gradient_fake)
_gradient.register_autograd(_refuse_second, setup_context=_remember_text)
