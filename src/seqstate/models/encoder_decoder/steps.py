"""The loop of a decoder: what each step reads is the truth, or what the step before said."""

from __future__ import annotations

from typing import Any, NamedTuple

from keras import ops

from seqstate import state as states
from seqstate.kernels.ops import scan
from seqstate.state import State


class Said(NamedTuple):
    """What came of a run of all steps.

    Attributes:
        scores: `[batch, time, tokens]`, or values `[batch, time, outputs]`.
        state: after the last step.
        states: after each step, each leaf `[batch, time, *sizes]`.
        looked: how much each step looked at each step of the source, `[batch, time, source
            time]`, or None.
    """

    scores: Any
    state: State
    states: State
    looked: Any


def shifted(decoder: Any, target: Any) -> Any:
    """Give what the steps read where all of the target is known: one step late."""
    first = ops.cast(decoder.first(ops.shape(target)[0])[:, None], target.dtype)
    return ops.concatenate([first, target[:, :-1]], axis=1)


def by_step(
    decoder: Any, previous: Any, forced: Any, state: State, memory: State, training: bool | None
) -> Said:
    """Run a decoder step by step.

    Args:
        decoder: a `Decoder` or a `HandOver`.
        previous: what a step reads where it is told: `[batch, time]` or `[batch, time, outputs]`.
        forced: `[batch, time]` bool: where it is told. At the first step it always is.
        state: before the first step.
        memory: what `remember` gave.
        training: whether dropout is applied.
    """
    batch = ops.shape(previous)[0]
    drawn = decoder.begin(batch, state, training)
    paths = list(states.flatten(state))

    def step(before: list[Any], at: list[Any]) -> list[Any]:
        own, _, *leaves = before
        truth, is_forced = at
        rows = ops.reshape(is_forced, (-1, *[1] * (len(own.shape) - 1)))
        now = states.unflatten(dict(zip(paths, leaves, strict=False)))
        scores, after, looked = decoder.step(ops.where(rows, truth, own), now, memory, drawn)
        flat = states.flatten(after)
        made = [decoder.said(scores), scores, *(flat[path] for path in paths)]
        made += [] if looked is None else [looked]
        return [ops.cast(one, old.dtype) for one, old in zip(made, before, strict=True)]

    said = decoder.first(batch)
    nothing = ops.zeros((batch, decoder.tokens or decoder.outputs), dtype=decoder.compute_dtype)
    unseen = decoder.unseen(memory)
    first = [said, nothing, *states.flatten(state).values(), *([] if unseen is None else [unseen])]
    last, each = scan(step, first, [_by_time(ops.cast(previous, said.dtype)), _by_time(forced)])
    decoder.end()
    _, scores, *seen = [_by_time(one) for one in each]
    return Said(
        scores,
        states.unflatten(dict(zip(paths, last[2:], strict=False))),
        states.unflatten(dict(zip(paths, seen, strict=False))),
        None if unseen is None else seen[-1],
    )


def _by_time(value: Any) -> Any:
    """Exchange the first two axes."""
    return ops.swapaxes(value, 0, 1)
