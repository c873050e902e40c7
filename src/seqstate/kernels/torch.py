"""The native kernels within torch: an operator for runs and one for their gradients.

Each of them takes and gives lists of tensors, and a text that says what they are: the `Spec` and
the names of the tensors, of one run or of several, one after the other. So one operator serves
every cell, and a compiled graph holds the whole call. The shapes are known without a run, on the
device "meta" and under `torch.compile`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import accumulate
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


def _dealt(tensors: Tensors, counts: Sequence[int]) -> list[Tensors]:
    """Give each of several calls its share of their tensors."""
    ends = list(accumulate(counts))
    return [tensors[end - count : end] for end, count in zip(ends, counts, strict=True)]


# The run


def _run_fake(tensors: Tensors, text: str) -> list[Any]:
    spec, (names,) = _read(text)
    inputs = dict(zip(names, tensors, strict=True))
    x, units = inputs["x"], inputs["recurrent_kernel"].shape[0]
    batch, time, _ = x.shape
    shapes = {"last": (batch, units), "states": (batch, time, units)}
    shapes["kept"] = (time, batch, spec.kept, units)
    return [x.new_empty(shapes[name.split("_")[0]]) for name in spec.results()]


def _runs(tensors: Tensors, text: str) -> list[tuple[str, Tensors]]:
    """Give the text and the tensors of each of several runs."""
    texts = text.split(_SEVERAL)
    return list(zip(texts, _dealt(tensors, [len(_read(own)[1][0]) for own in texts]), strict=True))


def _runs_fake(tensors: Tensors, text: str) -> list[Any]:
    return [made for own, given in _runs(tensors, text) for made in _run_fake(given, own)]


def _runs_native(tensors: Tensors, text: str) -> list[Any]:
    calls, every, alive = [], [], []
    for own, given in _runs(tensors, text):
        spec, (names,) = _read(own)
        made, inputs = _run_fake(given, own), _dense(names, given)
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
    return [made for own, given in _runs(tensors, text) for made in _empty_gradients(given, own)]


def _empty_gradients(tensors: Tensors, text: str) -> list[Any]:
    _, (names, _, wanted) = _read(text)
    inputs = dict(zip(names, tensors, strict=True))
    return [inputs[name].new_empty(inputs[name].shape) for name in wanted]


def _gradient_native(
    tensors: Tensors, record: Tensors, cotangents: Tensors, text: str
) -> list[Any]:
    runs = _runs(tensors, text)
    read = [_read(own) for own, _ in runs]
    records = _dealt(record, [len(_record(spec)) for spec, _ in read])
    every_given = _dealt(cotangents, [len(given) for _, (_, given, _) in read])
    calls, every, alive = [], [], []
    for n, (own, arrays) in enumerate(runs):
        spec, (names, given, wanted) = read[n]
        made, inputs = _empty_gradients(arrays, own), _dense(names, arrays)
        kept = tuple(spec.results()[i] for i in _record(spec))
        memory = (
            _memory(names, inputs),
            _memory(kept, records[n]),
            _memory(given, every_given[n]),
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
    specs = [_read(own)[0] for own in text.split(_SEVERAL)]
    results = _dealt(made, [len(spec.results()) for spec in specs])
    record = [own[i] for spec, own in zip(specs, results, strict=True) for i in _record(spec)]
    ctx.save_for_backward(*tensors, *record)


def _differentiate(ctx: Any, needed: Sequence[bool], cotangents: Tensors) -> list[Any]:
    """Give the gradient by each input, or None where it is not needed."""
    saved, count = ctx.saved_tensors, len(needed)
    runs = _runs(saved[:count], ctx.text)
    specs = [_read(own)[0] for own, _ in runs]
    records = _dealt(saved[count:], [len(_record(spec)) for spec in specs])
    arriving = _dealt(cotangents, [len(spec.results()) for spec in specs])
    texts: list[str] = []
    tensors: list[Any] = []
    record: list[Any] = []
    given: list[Any] = []
    # Where the input is of which there is a gradient.
    places: list[int] = []
    first = 0
    for n, (own, inputs) in enumerate(runs):
        _, (names,) = _read(own)
        here = [first + i for i in range(len(names)) if needed[first + i]]
        by_name = {
            name: cotangent
            for name, cotangent in zip(specs[n].results(), arriving[n], strict=True)
            if cotangent is not None
        }
        if by_name and here:
            wanted = tuple(names[i - first] for i in here)
            texts.append(_text(specs[n], names, tuple(by_name), wanted))
            tensors += inputs
            record += records[n]
            given += by_name.values()
            places += here
        first += len(names)
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
