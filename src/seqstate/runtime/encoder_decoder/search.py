"""Saying token after token, and the best sentence of several beginnings.

The same as `seqstate.models.encoder_decoder`, step for step, in NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from seqstate import state as states
from seqstate.generation import Settings
from seqstate.runtime.activations import log_softmax, softmax
from seqstate.runtime.layers.layer import Array
from seqstate.state import State

WORST = np.float32(-1e30)
Speaker = Any
"""A `Decoder` or a `HandOver`."""

Pick = Callable[[Array, int], Array]


class Found(NamedTuple):
    """Attributes as those of `Generated`; `token_scores` may be None."""

    tokens: Array
    lengths: Array
    scores: Array
    token_scores: Array


def one_by_one(decoder: Speaker, state: State, memory: State, length: int, pick: Pick) -> Found:
    """Say tokens until each row has stopped, or `length` of them."""
    said = decoder.first(_rows(state, memory))
    batch = len(said)
    tokens = np.full((batch, length), decoder.filler, np.int32)
    token_scores = np.zeros((batch, length), np.float32)
    lengths, ended = np.zeros(batch, np.int32), np.zeros(batch, bool)
    for i in range(length):
        if ended.all():
            break
        scores, state, _ = decoder.step(said, state, memory)
        token = pick(scores, i).astype(np.int32)
        chance = np.take_along_axis(log_softmax(scores), token[:, None], axis=-1)[:, 0]
        said = np.where(ended, np.int32(decoder.filler), token)
        tokens[:, i] = said
        token_scores[:, i] = np.where(ended, np.float32(0), chance)
        lengths += ~ended
        if decoder.stop is not None:
            ended = ended | (said == decoder.stop)
    return Found(tokens, lengths, token_scores.sum(axis=-1), token_scores)


def best(scores: Array, _: int) -> Array:
    """Pick the token of the best score."""
    return scores.argmax(axis=-1)


def drawn_by(chances: Array, how: Settings) -> Pick:
    """Make a pick that draws tokens by their probability, `chances` `[batch, time]` deciding."""
    temperature, top_p, _ = how.numbers

    def pick(scores: Array, i: int) -> Array:
        chance = chances[:, i][:, None]
        # The best one is 0 at any temperature; the others may leave the range: they have no chance.
        with np.errstate(over="ignore"):
            scores = (scores - scores.max(axis=-1, keepdims=True)) / temperature
        tokens = None
        if how.top_k is not None or how.top_p is not None:
            tokens = _best(scores, how.top_k or scores.shape[-1])
            scores = np.take_along_axis(scores, tokens, axis=-1)
        weights = softmax(scores)
        if how.top_p is not None:
            better = np.add.accumulate(weights, axis=-1) - weights
            weights = np.where(better < top_p, weights, np.float32(0))
        up_to = np.add.accumulate(weights, axis=-1)
        place = (up_to <= chance * up_to[:, -1:]).sum(axis=-1)
        # Rounding may reach the end, where nothing is left to draw.
        there = (weights > 0) * np.arange(1, weights.shape[-1] + 1)
        place = np.minimum(place, there.max(axis=-1) - 1)
        return place if tokens is None else np.take_along_axis(tokens, place[:, None], -1)[:, 0]

    return pick


def beam_search(decoder: Speaker, state: State, memory: State, length: int, how: Settings) -> Found:
    """Keep the best beginnings of each row, and the best whole sentences: `[batch, beams, ...]`."""
    width, tokens = how.beam_width, decoder.tokens or 0
    batch = _rows(state, memory)
    state, memory = (
        states.map_leaves(lambda v: np.repeat(v, width, axis=0), one) for one in (state, memory)
    )
    candidates = min(2 * width, width * tokens)

    def penalized(chance: Array, n: int) -> Array:
        factor = ((np.float32(5) + np.float32(n)) / np.float32(6)) ** np.float32(how.length_penalty)
        return chance / factor

    begun = np.full((batch, width, length), decoder.filler, np.int32)
    chances = np.where(np.arange(width) == 0, np.float32(0), WORST)[None].repeat(batch, 0)
    found = (begun, np.zeros((batch, width), np.int32), np.full((batch, width), WORST))
    said = decoder.first(batch * width)
    i = 0
    while i < length and (penalized(chances.max(axis=1), length) > found[2].min(axis=1)).any():
        scores, after, _ = decoder.step(said, state, memory)
        each = log_softmax(scores).reshape(batch, width, tokens) + chances[:, :, None]
        each = each.reshape(batch, width * tokens)
        place = _best(each, candidates)
        likely = np.take_along_axis(each, place, axis=-1)
        parent, token = place // tokens, (place % tokens).astype(np.int32)
        sentences = _of_rows(begun, parent)
        sentences[:, :, i] = token
        ends = np.zeros(token.shape, bool)
        if decoder.stop is not None:
            ends = token == decoder.stop
            whole = np.where(ends & _there(likely), penalized(likely, i + 1), WORST)
            found = _best_of(found, (sentences, np.full_like(token, i + 1), whole), width)
        still = np.where(ends, WORST, likely)
        kept = _best(still, width)
        chances = np.take_along_axis(still, kept, axis=-1)
        rows = np.take_along_axis(parent, kept, axis=1) + width * np.arange(batch)[:, None]
        state = states.map_leaves(lambda leaf, r=rows: leaf[r.reshape(-1)], after)
        said = np.take_along_axis(token, kept, axis=1).reshape(-1)
        begun = _of_rows(sentences, kept)
        i += 1
    # Those that have not stopped are whole if the end was reached.
    rest = penalized(chances, length) if i == length else np.full_like(chances, WORST)
    rest = np.where(_there(chances), rest, WORST)
    last = _best_of(found, (begun, np.full((batch, width), length, np.int32), rest), width)
    sentences, lengths, scores = last
    there = _there(scores)
    return Found(
        np.where(there[:, :, None], sentences, decoder.filler),
        np.where(there, lengths, 0),
        np.where(there, scores, np.float32("-inf")),
        None,
    )


def _there(scores: Array) -> Array:
    """Tell which are scores of sentences, and which only fill up the beams."""
    return scores > WORST / 2


def _best(scores: Array, many: int) -> Array:
    """Give the places of the best, best first; of equal ones the first first."""
    return np.argsort(-scores, axis=-1, kind="stable")[:, :many]


def _best_of(some: tuple[Array, ...], others: tuple[Array, ...], width: int) -> tuple[Array, ...]:
    sentences, lengths, scores = (
        np.concatenate(both, axis=1) for both in zip(some, others, strict=True)
    )
    place = _best(scores, width)
    return (
        _of_rows(sentences, place),
        np.take_along_axis(lengths, place, axis=1),
        np.take_along_axis(scores, place, axis=1),
    )


def _of_rows(sentences: Array, place: Array) -> Array:
    return np.take_along_axis(sentences, place[:, :, None], axis=1)


def _rows(state: State, memory: State) -> int:
    return len(next(leaf for one in (state, memory) for _, leaf in states.leaves(one)))
