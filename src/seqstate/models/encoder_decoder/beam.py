"""Beam search: the best sentences that can be found by keeping the best beginnings."""

from __future__ import annotations

from typing import Any, NamedTuple

from keras import ops

from seqstate import state as states
from seqstate.models.encoder_decoder.search import filler, leaf_of
from seqstate.state import State

WORST = -1e30


class Beams(NamedTuple):
    """The best sentences of each row, best first; if there are fewer, -inf with no tokens.

    Attributes:
        tokens: `[batch, beams, time]`.
        lengths: `[batch, beams]`, the stop token counted.
        scores: `[batch, beams]`.
    """

    tokens: Any
    lengths: Any
    scores: Any


def beam_search(
    decoder: Any, state: State, memory: State, length: int, width: int, penalty: Any
) -> Beams:
    """Keep the `width` best beginnings of each row, and the `width` best whole sentences.

    The score of a sentence of `n` tokens is the logarithm of its probability, divided by
    `((5 + n) / 6) ** penalty`. A row is done when no beginning can become better than the worst
    sentence that was found.

    Args:
        decoder: a `Decoder` or a `HandOver` of tokens.
        state: before the first step, `[batch, ...]`.
        memory: what `remember` gave, `[batch, ...]`.
        length: of a sentence at most; one that has not stopped by then is whole as it is.
        width: how many are kept.
        penalty: from 0 on; 0 counts the probability alone, more prefers longer sentences.

    References:
        Wu et al., Google's neural machine translation system, arXiv 1609.08144, equation 14.
    """
    batch = ops.shape(leaf_of(state))[0]
    tokens = decoder.tokens
    paths = list(states.flatten(state))
    state, memory = (
        states.map_leaves(lambda v: ops.repeat(v, width, axis=0), s) for s in (state, memory)
    )
    drawn = decoder.begin(batch * width, state, False)
    stop = decoder.stop
    # A row of one vocabulary can't give more candidates than it has tokens.
    candidates = min(2 * width, width * tokens)

    def penalized(chance: Any, n: Any) -> Any:
        return chance / ((5.0 + ops.cast(n, "float32")) / 6.0) ** penalty

    def going_on(i: Any, said: Any, alive: Any, found: Any, leaves: Any) -> Any:
        hope = penalized(ops.max(alive[1], axis=1), length)
        worst = ops.min(found[2], axis=1)
        return ops.logical_and(i < length, ops.any(hope > worst))

    def step(i: Any, said: Any, alive: Any, found: Any, leaves: Any) -> Any:
        begun, chances = alive
        before = states.unflatten(dict(zip(paths, leaves, strict=True)))
        scores, after, _ = decoder.step(said, before, memory, drawn)
        each = ops.log_softmax(ops.cast(scores, "float32"), axis=-1)
        each = ops.reshape(each, (batch, width, tokens)) + chances[:, :, None]
        best, place = ops.top_k(ops.reshape(each, (batch, width * tokens)), candidates)
        parent, token = ops.cast(place // tokens, "int32"), ops.cast(place % tokens, "int32")
        sentences = _of_rows(begun, parent)
        here = ops.equal(ops.arange(length), i)[None, None, :]
        sentences = ops.where(here, token[:, :, None], sentences)
        ends = ops.zeros_like(token, dtype="bool")
        if stop is not None:
            ends = ops.equal(token, stop)
            whole = ops.where(ops.logical_and(ends, _there(best)), penalized(best, i + 1), WORST)
            lengths = ops.full_like(token, 1) * (i + 1)
            found = _best_of(found, (sentences, lengths, whole), width)
        still = ops.where(ends, WORST, best)
        chances, kept = ops.top_k(still, width)
        kept = ops.cast(kept, "int32")
        parent = ops.take_along_axis(parent, kept, axis=1)
        flat = states.flatten(after)
        rows = ops.reshape(parent + width * ops.arange(batch)[:, None], (-1,))
        new = [
            ops.cast(ops.take(flat[path], rows, axis=0), leaf.dtype)
            for path, leaf in zip(paths, leaves, strict=True)
        ]
        said = ops.reshape(ops.take_along_axis(token, kept, axis=1), (-1,))
        return i + 1, said, (_of_rows(sentences, kept), chances), found, new

    empty = ops.full((batch, width, length), filler(decoder), dtype="int32")
    only_one = ops.where(ops.equal(ops.arange(width), 0), 0.0, WORST)
    start = (
        ops.convert_to_tensor(0, dtype="int32"),
        decoder.first(batch * width),
        (empty, ops.broadcast_to(ops.cast(only_one, "float32"), (batch, width))),
        (
            empty,
            ops.zeros((batch, width), dtype="int32"),
            ops.full((batch, width), WORST, dtype="float32"),
        ),
        list(states.flatten(state).values()),
    )
    i, _, alive, found, _ = ops.while_loop(going_on, step, start)
    decoder.end()
    # Those that have not stopped are whole if the end was reached; if not, none of them is better
    # than what was found.
    begun, chances = alive
    rest = ops.where(ops.equal(i, length), penalized(chances, length), WORST)
    rest = ops.where(_there(chances), rest, WORST)
    lengths = ops.full_like(found[1], length)
    sentences, lengths, scores = _best_of(found, (begun, lengths, rest), width)
    there = _there(scores)
    return Beams(
        ops.where(there[:, :, None], sentences, filler(decoder)),
        ops.where(there, lengths, 0),
        ops.where(there, scores, -float("inf")),
    )


def _there(scores: Any) -> Any:
    """Tell which are scores of sentences, and which only fill up the beams."""
    return scores > WORST / 2


def _best_of(some: Any, others: Any, width: int) -> tuple[Any, Any, Any]:
    """Give the best of two lots of `(sentences, lengths, scores)`, best first."""
    sentences, lengths, scores = (
        ops.concatenate(both, axis=1) for both in zip(some, others, strict=True)
    )
    scores, place = ops.top_k(scores, width)
    place = ops.cast(place, "int32")
    return _of_rows(sentences, place), ops.take_along_axis(lengths, place, axis=1), scores


def _of_rows(sentences: Any, place: Any) -> Any:
    """Take sentences `[batch, some, time]` by their places `[batch, others]`."""
    return ops.take_along_axis(sentences, place[:, :, None], axis=1)
