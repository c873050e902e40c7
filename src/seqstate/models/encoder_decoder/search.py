"""Saying token after token: the best one, or one drawn by its probability."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from keras import ops

from seqstate import state as states
from seqstate.state import State

Pick = Callable[[Any, Any], Any]
"""`pick(scores [batch, tokens], i)` gives the token `[batch]` of step `i`."""


class Found(NamedTuple):
    """Attributes as those of `Generated`."""

    tokens: Any
    lengths: Any
    scores: Any
    token_scores: Any


def one_by_one(decoder: Any, state: State, memory: State, length: int, pick: Pick) -> Found:
    """Say tokens until each row has stopped, or `length` of them."""
    first = leaf_of(state)
    batch = ops.shape(first)[0]
    drawn = decoder.begin(batch, state, False)
    paths = list(states.flatten(state))
    stop = decoder.stop

    def going_on(i: Any, said: Any, ended: Any, *rest: Any) -> Any:
        return ops.logical_and(i < length, ops.logical_not(ops.all(ended)))

    def step(
        i: Any, said: Any, ended: Any, tokens: Any, token_scores: Any, lengths: Any, leaves: Any
    ) -> Any:
        before = states.unflatten(dict(zip(paths, leaves, strict=True)))
        scores, after, _ = decoder.step(said, before, memory, drawn)
        scores = ops.cast(scores, "float32")
        token = ops.cast(pick(scores, i), "int32")
        chances = ops.log_softmax(scores, axis=-1)
        chance = ops.take_along_axis(chances, token[:, None], axis=-1)
        token = ops.where(ended, filler(decoder), token)
        tokens = ops.slice_update(tokens, (0, i), token[:, None])
        chance = ops.where(ended[:, None], ops.zeros_like(chance), chance)
        token_scores = ops.slice_update(token_scores, (0, i), chance)
        lengths = lengths + ops.cast(ops.logical_not(ended), "int32")
        if stop is not None:
            ended = ops.logical_or(ended, ops.equal(token, stop))
        flat = states.flatten(after)
        new = [ops.cast(flat[path], leaf.dtype) for path, leaf in zip(paths, leaves, strict=True)]
        return i + 1, token, ended, tokens, token_scores, lengths, new

    start = (
        ops.convert_to_tensor(0, dtype="int32"),
        decoder.first(batch),
        ops.zeros((batch,), dtype="bool"),
        ops.full((batch, length), filler(decoder), dtype="int32"),
        ops.zeros((batch, length), dtype="float32"),
        ops.zeros((batch,), dtype="int32"),
        list(states.flatten(state).values()),
    )
    _, _, _, tokens, token_scores, lengths, _ = ops.while_loop(going_on, step, start)
    decoder.end()
    return Found(tokens, lengths, ops.sum(token_scores, axis=-1), token_scores)


def best(scores: Any, _: Any) -> Any:
    """Pick the token of the best score."""
    return ops.argmax(scores, axis=-1)


def drawn_by(chances: Any, temperature: Any, top_k: int | None, top_p: Any | None) -> Pick:
    """Make a pick that draws tokens by their probability.

    Args:
        chances: `[batch, time]`, uniform between 0 and 1, one for each step.
        temperature: scores are divided by it.
        top_k: only so many of the best tokens are drawn from; None for all.
        top_p: only the best tokens that have this probability together are drawn from, as few as
            can be; None for all.

    References:
        Fan et al., arXiv 1805.04833 (top k); Holtzman et al., arXiv 1904.09751 (top p).
    """

    def pick(scores: Any, i: Any) -> Any:
        chance = ops.take(chances, i, axis=1)[:, None]
        # The best one is 0 at any temperature, so that the others alone can leave the range.
        scores = (scores - ops.max(scores, axis=-1, keepdims=True)) / temperature
        tokens = None
        if top_k is not None or top_p is not None:
            scores, tokens = ops.top_k(scores, top_k or scores.shape[-1])
        weights = ops.softmax(scores, axis=-1)
        if top_p is not None:
            better = ops.cumsum(weights, axis=-1) - weights
            weights = ops.where(better < top_p, weights, ops.zeros_like(weights))
        up_to = ops.cumsum(weights, axis=-1)
        place = ops.sum(ops.cast(up_to <= chance * up_to[:, -1:], "int32"), axis=-1)
        # Rounding may reach the end, where nothing is left to draw.
        there = ops.cast(weights > 0, "int32") * ops.arange(1, weights.shape[-1] + 1)
        place = ops.minimum(place, ops.max(there, axis=-1) - 1)
        if tokens is None:
            return place
        return ops.take_along_axis(tokens, place[:, None], axis=-1)[:, 0]

    return pick


def filler(decoder: Any) -> int:
    """Give the token that stands after the end of a row."""
    for token in (decoder.padding, decoder.stop):
        if token is not None:
            return int(token)
    return 0


def leaf_of(state: State) -> Any:
    """Give any leaf of a state."""
    return next(leaf for _, leaf in states.leaves(state))
