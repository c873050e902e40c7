"""The native kernels within torch: an operator for runs and one for their gradients.

Each of them takes and gives lists of tensors, and a text that says what they are: the `Spec` and
the names of the tensors, of one run or of several, one after the other. So one operator serves
every cell, and a compiled graph holds the whole call. The shapes are known without a run, on the
device "meta" and under `torch.compile`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

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
    return run_all([(spec, inputs)])[0]


def run_all(calls: Sequence[tuple[Spec, Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Make several calls of `run` at once, none of which reads what another one makes."""
    tensors = [tensor for _, inputs in calls for tensor in inputs.values()]
    recorded = [_is_recorded(inputs) for _, inputs in calls]
    if not any(recorded):
        made = _run(tensors, _SEVERAL.join([_text(spec, tuple(given)) for spec, given in calls]))
        return _named([spec for spec, _ in calls], made)
    if not all(recorded):
        # A run that no gradient can follow keeps nothing for one.
        return [run(spec, inputs) for spec, inputs in calls]
    for spec, inputs in calls:
        for name, tensor in inputs.items():
            if tensor.requires_grad and name not in DIFFERENTIABLE:
                _refuse(spec, f"{name} requires a gradient, and there is none by it", "Detach it.")
    specs = [_recorded(spec) for spec, _ in calls]
    names = [tuple(inputs) for _, inputs in calls]
    text = _SEVERAL.join([_text(*call) for call in zip(specs, names, strict=True)])
    # The autograd of an operator costs four times that of a Function, of which there is nothing
    # to be seen in a compiled graph.
    compiled = torch.compiler.is_compiling()
    apply: Any = _Recorded.apply
    results = _named(specs, _run(tensors, text) if compiled else apply(text, *tensors))
    return [
        {name: every[name] for name in spec.results()}
        for (spec, _), every in zip(calls, results, strict=True)
    ]


def _is_recorded(inputs: Mapping[str, Any]) -> bool:
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs.values())


def _named(specs: Sequence[Spec], made: Tensors) -> list[dict[str, Any]]:
    """Give the results of each of several runs by name."""
    found, first = [], 0
    for spec in specs:
        names = spec.results()
        found.append(dict(zip(names, made[first : first + len(names)], strict=True)))
        first += len(names)
    return found


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


# The text of a call: the fields of the spec, then lists of names. Of several: one after the other.

_SEVERAL = "|"


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


class Part(NamedTuple):
    """One of several calls: what it is, and where among all tensors its own are.

    Attributes:
        text: its own.
        spec: of the run.
        lists: the names of the inputs and, for a gradient, of the cotangents and of what is wanted.
        inputs: where the inputs are.
        results: where the results of the run are.
        record: where what the gradient reads of these is.
        given: where the cotangents of a gradient are.
    """

    text: str
    spec: Spec
    lists: list[Names]
    inputs: slice
    results: slice
    record: slice
    given: slice


@cache
def _parts(text: str) -> list[Part]:
    found: list[Part] = []
    ends = [0, 0, 0, 0]
    for own in text.split(_SEVERAL):
        spec, lists = _read(own)
        counts = [len(lists[0]), len(spec.results()), len(_record(spec))]
        counts.append(len(lists[1]) if len(lists) > 1 else 0)
        places = [slice(end, end + count) for end, count in zip(ends, counts, strict=True)]
        ends = [place.stop for place in places]
        found.append(Part(own, spec, lists, *places))
    return found


# The run


def _run_fake(tensors: Tensors, text: str) -> list[Any]:
    spec, (names,) = _read(text)
    inputs = dict(zip(names, tensors, strict=True))
    x, units = inputs["x"], inputs["recurrent_kernel"].shape[0]
    batch, time, _ = x.shape
    shapes = {"last": (batch, units), "states": (batch, time, units)}
    shapes["kept"] = (time, batch, spec.kept, units)
    return [x.new_empty(shapes[name.split("_")[0]]) for name in spec.results()]


def _runs_fake(tensors: Tensors, text: str) -> list[Any]:
    return [made for part in _parts(text) for made in _run_fake(tensors[part.inputs], part.text)]


def _runs_native(tensors: Tensors, text: str) -> list[Any]:
    calls, every, alive = [], [], []
    for part in _parts(text):
        spec, (names,), given = part.spec, part.lists, tensors[part.inputs]
        made, inputs = _run_fake(given, part.text), _dense(names, given)
        calls.append((*spec.static(), _memory(names, inputs), _memory(spec.results(), made)))
        every += made
        alive.append(inputs)
    native.compute("forward", calls)
    return every


# The gradient of a run that was made with `_recorded`


def _record(spec: Spec) -> list[int]:
    """Tell where among the results the gradient finds what it reads."""
    return [i for i, name in enumerate(spec.results()) if not name.startswith("last_")]


def _gradient_fake(tensors: Tensors, record: Tensors, cotangents: Tensors, text: str) -> list[Any]:
    return [made for part in _parts(text) for made in _empty_gradients(tensors, part)]


def _empty_gradients(tensors: Tensors, part: Part) -> list[Any]:
    names, _, wanted = part.lists
    inputs = dict(zip(names, tensors[part.inputs], strict=True))
    return [inputs[name].new_empty(inputs[name].shape) for name in wanted]


def _gradient_native(
    tensors: Tensors, record: Tensors, cotangents: Tensors, text: str
) -> list[Any]:
    calls, every, alive = [], [], []
    for part in _parts(text):
        spec, (names, given, wanted) = part.spec, part.lists
        made, inputs = _empty_gradients(tensors, part), _dense(names, tensors[part.inputs])
        read = tuple(spec.results()[i] for i in _record(spec))
        memory = (
            _memory(names, inputs),
            _memory(read, record[part.record]),
            _memory(given, cotangents[part.given]),
            _memory(wanted, made),
        )
        calls.append((*spec.static(), *memory))
        every += made
        alive.append(inputs)
    native.compute("gradient", calls)
    return every


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
    _runs_native,
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
    record = [made[part.results][i] for part in _parts(text) for i in _record(part.spec)]
    ctx.save_for_backward(*tensors, *record)


def _differentiate(ctx: Any, needed: Sequence[bool], cotangents: Tensors) -> list[Any]:
    """Give the gradient by each input, or None where it is not needed."""
    saved, count = ctx.saved_tensors, len(needed)
    texts: list[str] = []
    tensors: list[Any] = []
    record: list[Any] = []
    given: list[Any] = []
    # Where the input is of which there is a gradient.
    places: list[int] = []
    for part in _parts(ctx.text):
        (names,), first = part.lists, part.inputs.start
        here = [i for i in range(first, part.inputs.stop) if needed[i]]
        by_name = {
            name: cotangent
            for name, cotangent in zip(part.spec.results(), cotangents[part.results], strict=True)
            if cotangent is not None
        }
        if by_name and here:
            wanted = tuple(names[i - first] for i in here)
            texts.append(_text(part.spec, names, tuple(by_name), wanted))
            tensors += saved[part.inputs]
            record += saved[count + part.record.start : count + part.record.stop]
            given += by_name.values()
            places += here
    found: list[Any] = [None] * count
    if texts:
        made = _gradient(tensors, record, given, _SEVERAL.join(texts))
        for place, gradient in zip(places, made, strict=True):
            found[place] = gradient
    return found


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
    spec, _ = _read(ctx.text.split(_SEVERAL)[0])
    what = "the native kernels have no gradient of their gradient"
    _refuse(spec, what, 'Make the layer with kernel="portable" to differentiate it twice.')


def _refuse(spec: Spec, what: str, todo: str) -> None:
    raise ArgumentError(message(f"seqstate.kernels.torch, {spec.kind}", what, todo))


_run.register_fake(_runs_fake)
_run.register_autograd(_backward, setup_context=_set_up)
_gradient.register_fake(_gradient_fake)
_gradient.register_autograd(_refuse_second, setup_context=_remember_text)
