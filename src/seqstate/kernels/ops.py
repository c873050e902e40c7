"""The portable kernel, on `keras.ops`: the definition that every other kernel is held to.

The loop carries a *record*: everything that one step leaves behind, as a flat dict of tensors
(the output, the states and, when they are asked for, the gates). A step turns the record of one
time into the record of the next, and a sequence is the list of all records.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from seqstate import state as states
from seqstate.kernels.problem import Problem, Results
from seqstate.state import State

Record = dict[str, Any]
Step = Callable[[Any, Record], Record]


def portable(problem: Problem) -> Results:
    """Run a cell of any kind on any backend."""
    p, steps = problem, problem.steps
    sequences = p.sequences
    if p.mask is not None:
        # What stands in the padding, a NaN for instance, must not reach a gradient.
        sequences = _where(p.mask, sequences, ops.zeros_like(sequences))
    prepared = steps.prepare(sequences, p.drawn)

    def step(x: Any, record: Record) -> Record:
        output, state, gates = steps.step(
            x, states.nest(steps.spec, _part(record, "states")), p.drawn
        )
        made = {"output": output, **_flat("states", state)}
        if p.gates:
            made.update(_flat("gates", gates))
        return {name: ops.cast(made[name], value.dtype) for name, value in record.items()}

    def record_of(state: State) -> Record:
        record = {"output": steps.output_before(state), **_flat("states", state)}
        if p.gates:
            batch = ops.shape(sequences)[0]
            zeros = states.map_leaves(
                lambda sizes: ops.zeros((batch, *sizes), dtype=steps.dtype), steps.gates
            )
            record.update(_flat("gates", zeros))
        return record

    last, records = time_loop(
        step,
        prepared,
        first=record_of(p.state),
        fresh=record_of(p.fresh) if p.reset_mask is not None else {},
        mask=p.mask,
        reset_mask=p.reset_mask,
        go_backwards=p.go_backwards,
        unroll=p.unroll,
        keep=p.every_step or p.gates,
    )
    state = states.nest(steps.spec, _part(last, "states"))
    if records is None:
        return Results(last["output"], state)
    return Results(
        output=last["output"],
        state=state,
        sequence=records["output"],
        states=states.nest(steps.spec, _part(records, "states")),
        gates=states.nest(steps.gates, _part(records, "gates")) if p.gates else None,
    )


def time_loop(
    step: Step,
    inputs: Any,
    first: Record,
    fresh: Record,
    *,
    mask: Any = None,
    reset_mask: Any = None,
    go_backwards: bool = False,
    unroll: bool = False,
    keep: bool = True,
) -> tuple[Record, Record | None]:
    """Run `step` over the time axis.

    Args:
        step: gives the record after a time step, from its input `[batch, ...]` and the record
            before it: the same names, shapes and dtypes.
        inputs: `[batch, time, ...]`.
        first: the record before the first step; each leaf `[batch, ...]`.
        fresh: the record that a row starts anew from, where `reset_mask` says so.
        mask: `[batch, time]` bool, or None. Where False the step is skipped: the record stays
            as it was, and the gates of that step are zero.
        reset_mask: `[batch, time]` bool, or None. Where True the row starts from `fresh`
            before that step, also where the mask skips the step itself.
        go_backwards: start at the last time step.
        unroll: write the loop out, step after step; the number of steps must be static.
        keep: whether the record of every step is wanted.

    Returns:
        The record after the last step, and the records of all steps, `[batch, time, ...]` in
        the order in which they were made, or None.
    """
    xs = [ops.swapaxes(x, 0, 1) for x in (inputs, mask, reset_mask) if x is not None]
    # As a list, because JAX and torch sort the names of a dict on its way through a loop.
    names = list(first)

    def body(before: list[Any], at: list[Any]) -> list[Any]:
        record = dict(zip(names, before, strict=True))
        x, *masks = at
        if reset_mask is not None:
            record = _select(masks[-1], fresh, record)
        new = step(x, record)
        if mask is not None:
            new = _select(masks[0], new, _without_gates(record))
        return [new[name] for name in names]

    if unroll:
        order = range(inputs.shape[1])
        last, made = list(first.values()), []
        for t in reversed(order) if go_backwards else order:
            last = body(last, [x[t] for x in xs])
            made.append(last)
        records = [ops.stack(values, axis=1) for values in zip(*made, strict=True)] if keep else []
    else:
        last, stacked = scan(body, list(first.values()), xs, reverse=go_backwards, keep=keep)
        in_order = [ops.flip(v, axis=0) if go_backwards else v for v in stacked] if keep else []
        records = [ops.swapaxes(value, 0, 1) for value in in_order]
    return dict(zip(names, last, strict=True)), dict(zip(names, records, strict=False)) or None


def scan(
    body: Callable[[list[Any], list[Any]], list[Any]],
    first: list[Any],
    xs: list[Any],
    *,
    reverse: bool = False,
    keep: bool = True,
) -> tuple[list[Any], list[Any]]:
    """Run `body(before, at) -> after` along the first axis of `xs`.

    Args:
        body: what it gives has the shapes and dtypes of `before`.
        first: what is before the first step.
        xs: `[time, ...]` each.
        reverse: start at the last one.
        keep: whether what is after each step is wanted.

    Returns:
        What is after the last step, and what is after each, `[time, ...]`, if it is wanted.
    """
    if keras.backend.backend() == "tensorflow":
        from seqstate.kernels import tensorflow

        return tensorflow.scan(body, first, xs, reverse=reverse, keep=keep)

    def emitting(before: list[Any], at: list[Any]) -> tuple[list[Any], list[Any] | None]:
        after = body(before, at)
        return after, after if keep else None

    last, stacked = ops.scan(emitting, first, xs, reverse=reverse)
    return last, stacked


def _select(condition: Any, yes: Record, no: Record) -> Record:
    """Take each row of each leaf from `yes` where `condition` `[batch]` is True, else from `no`."""
    return {name: _where(condition, yes[name], no[name]) for name in no}


def _where(condition: Any, yes: Any, no: Any) -> Any:
    for _ in range(len(yes.shape) - len(condition.shape)):
        condition = ops.expand_dims(condition, -1)
    return ops.where(condition, yes, no)


def _without_gates(record: Record) -> Record:
    return {k: ops.zeros_like(v) if k.startswith("gates/") else v for k, v in record.items()}


def _flat(kind: str, state: State) -> Record:
    return {f"{kind}/{path}": leaf for path, leaf in states.leaves(state)}


def _part(record: Record, kind: str) -> Record:
    start = f"{kind}/"
    return {name[len(start) :]: v for name, v in record.items() if name.startswith(start)}
