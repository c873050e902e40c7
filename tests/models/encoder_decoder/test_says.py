"""What an encoder-decoder says: step by step, all at once, the best, drawn by chance."""

import itertools

import keras
import numpy as np
import pytest
from scipy import stats

from encoder_decoders import (
    ATTENTIONS,
    SOURCE,
    START,
    STOP,
    TOKENS,
    chance_of,
    log_chances,
    of_values,
    translator,
)
from frameworks import BACKEND, array

LENGTH = 5


@pytest.fixture(scope="module", params=ATTENTIONS, ids=str)
def model(request):
    return translator(request.param)


def by_hand(model, source, length, pick):
    """Say tokens with `encode` and `step` alone, for all of the length."""
    state = model.encode(source)
    token = np.full(len(source), START)
    said, chances, kept = [], [], []
    for _ in range(length):
        scores, state = model.step(token, state)
        scores = array(scores).astype("float64")
        chances.append(scores - np.log(np.exp(scores).sum(-1, keepdims=True)))
        token = pick(chances[-1])
        said.append(token)
        kept.append(array(state["says"]["c"]))
    return np.stack(said, 1), np.stack(chances, 1), np.stack(kept, 1)


def test_greedy_is_step_after_step(model):
    said, chances, kept = by_hand(model, SOURCE, LENGTH, lambda c: c.argmax(-1))
    got = model.generate(SOURCE, LENGTH, states=True)
    for row, length in enumerate(got.lengths):
        stops = np.flatnonzero(said[row] == STOP)
        assert length == (stops[0] + 1 if len(stops) else LENGTH)
        np.testing.assert_array_equal(got.tokens[row, :length], said[row, :length])
        assert (got.tokens[row, length:] == STOP).all()
        each = np.take_along_axis(chances[row], said[row][:, None], -1)[:length, 0]
        np.testing.assert_allclose(got.token_scores[row, :length], each, atol=1e-5)
        assert not got.token_scores[row, length:].any()
        np.testing.assert_allclose(got.scores[row], each.sum(), atol=1e-5)
        np.testing.assert_allclose(
            got.states["says"]["c"][row, :length], kept[row, :length], atol=1e-5
        )


def test_a_known_target_gets_the_same_scores_all_at_once(model):
    said, chances, _ = by_hand(model, SOURCE, LENGTH, lambda c: c.argmax(-1))
    np.testing.assert_allclose(log_chances(model, SOURCE, said), chances, atol=1e-5)


def test_padding_of_the_source_changes_nothing(model):
    alone = model.generate(SOURCE[1:2, :2], LENGTH, states=True)
    padded = model.generate(SOURCE[1:2], LENGTH, states=True)
    np.testing.assert_array_equal(alone.tokens, padded.tokens)
    np.testing.assert_allclose(alone.scores, padded.scores, atol=1e-5)
    if padded.attention is not None:
        assert not padded.attention[..., 2:].any()
        np.testing.assert_allclose(padded.attention.sum(-1), 1, atol=1e-6)


@pytest.mark.parametrize("penalty", [0.0, 1.5])
def test_a_beam_as_wide_as_all_sentences_finds_what_exhaustive_search_does(model, penalty):
    length, width = 3, TOKENS**3
    sentences = [
        [*begin, *[STOP] * (length - len(begin))]
        for n in range(length + 1)
        for begin in itertools.product([t for t in range(TOKENS) if t != STOP], repeat=n)
    ]
    for source in SOURCE[:2]:
        targets = np.array(sentences)
        lengths = np.minimum((targets != STOP).sum(1) + 1, length)
        chances = chance_of(model, np.repeat(source[None], len(targets), 0), targets)
        scores = chances / ((5 + lengths) / 6) ** penalty
        best = np.argsort(-scores)[:20]
        got = model.generate(
            source[None],
            length,
            "beam",
            beam_width=width,
            length_penalty=penalty,
            every_beam=True,
        )
        np.testing.assert_allclose(got.scores[0, :20], scores[best], atol=1e-5)
        np.testing.assert_array_equal(got.tokens[0, :20], targets[best])
        np.testing.assert_array_equal(got.lengths[0, :20], lengths[best])
        assert (got.scores[0, len(targets) :] < -1e20).all()


def reference_beam(model, source, length, width, penalty):
    """Search as the paper says, in plain Python, one row at a time."""

    def worth(chance, n):
        return chance / ((5 + n) / 6) ** penalty

    alive, found = [((), 0.0)], []
    for n in range(1, length + 1):
        starts = np.array([[*begun, *[0] * (length - len(begun))] for begun, _ in alive])
        rows = log_chances(model, np.repeat(source[None], len(starts), 0), starts)
        every = [
            ((*begun, token), chance + rows[i, n - 1, token])
            for i, (begun, chance) in enumerate(alive)
            for token in range(TOKENS)
        ]
        every = sorted(every, key=lambda one: -one[1])[: 2 * width]
        found += [(s, worth(c, n)) for s, c in every if s[-1] == STOP]
        alive = [(s, c) for s, c in every if s[-1] != STOP][:width]
    found += [(s, worth(c, length)) for s, c in alive]
    return sorted(found, key=lambda one: -one[1])[:width]


def test_a_narrow_beam_keeps_the_best_beginnings(model):
    got = model.generate(
        SOURCE, LENGTH, "beam", beam_width=2, length_penalty=0.7, every_beam=True, states=True
    )
    for row, source in enumerate(SOURCE):
        expected = reference_beam(model, source, LENGTH, 2, 0.7)
        for beam, (tokens, score) in enumerate(expected):
            length = got.lengths[row, beam]
            assert tuple(got.tokens[row, beam, :length]) == tokens
            np.testing.assert_allclose(got.scores[row, beam], score, atol=1e-5)
    flat = got.tokens.reshape(-1, LENGTH)
    again = chance_of(model, np.repeat(SOURCE, 2, 0), flat)
    np.testing.assert_allclose(got.token_scores.sum(-1).reshape(-1), again, atol=1e-5)


@pytest.mark.parametrize("width", [1, 3])
def test_a_beam_finds_nothing_worse_than_greedy(model, width):
    beam = model.generate(SOURCE, LENGTH, "beam", beam_width=width)
    assert (beam.scores >= model.generate(SOURCE, LENGTH).scores - 1e-5).all()


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"temperature": 0.5},
        {"temperature": 2.0, "top_k": 3},
        {"top_p": 0.8},
        {"top_k": 4, "top_p": 0.9, "temperature": 1.5},
    ],
    ids=str,
)
def test_samples_have_the_distribution_that_was_asked_for(how):
    model = translator("luong")
    many = np.repeat(SOURCE[:1], 4000, 0)
    tokens = model.generate(many, 2, "sample", seed=1, **how).tokens
    firsts = np.array([[t, 0] for t in range(TOKENS)])
    rows = np.repeat(SOURCE[:1], TOKENS, 0)
    scores = log_chances(model, rows, firsts).astype("float64") / how.get("temperature", 1.0)
    check_distribution(tokens[:, 0], chances(scores[0, 0], how))
    first = np.bincount(tokens[tokens[:, 0] != STOP, 0]).argmax()
    check_distribution(tokens[tokens[:, 0] == first, 1], chances(scores[first, 1], how))


def chances(scores, how):
    order = np.argsort(-scores)
    kept = order[: how.get("top_k", TOKENS)]
    weights = np.exp(scores[kept]) / np.exp(scores[kept]).sum()
    count = int((np.cumsum(weights) - weights < how.get("top_p", 1.1)).sum())
    expected = np.zeros(TOKENS)
    expected[kept[:count]] = weights[:count] / weights[:count].sum()
    return expected


def check_distribution(tokens, expected):
    seen = np.bincount(tokens, minlength=TOKENS)
    assert not seen[expected == 0].any()
    likely = expected * len(tokens) >= 5
    seen, expected = (
        np.append(one[likely], one[~likely].sum()) for one in (seen, expected * len(tokens))
    )
    there = expected > 0
    assert stats.chisquare(seen[there], expected[there]).pvalue > 1e-3


def test_a_seed_draws_the_same_again_and_another_does_not():
    model = translator()
    many = np.repeat(SOURCE, 20, 0)
    first, again, other = (
        model.generate(many, LENGTH, "sample", seed=seed).tokens for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    parts = model.generate(many, LENGTH, "sample", seed=3, batch_size=7).tokens
    np.testing.assert_array_equal(parts, first)


def test_values_go_on_from_what_was_said():
    model = of_values(start=0.5)
    source = np.random.default_rng(0).normal(size=(2, 6, 3)).astype("float32")
    got = model.generate(source, 4, states=True)
    state = model.encode(source)
    value = np.full((2, 2), 0.5, "float32")
    for step in range(4):
        value, state = model.step(value, state)
        np.testing.assert_allclose(got.values[:, step], array(value), atol=1e-6)
        np.testing.assert_allclose(
            got.states["says"]["h"][:, step], array(state["says"]["h"]), atol=1e-6
        )
    assert got.lengths.tolist() == [4, 4]
    assert got.tokens is None


@pytest.mark.skipif(BACKEND != "jax", reason="a program of XLA")
def test_generate_is_one_compiled_program(monkeypatch):
    model = translator("luong")
    monkeypatch.setattr(keras.Model, "predict", None)
    for settings in ({"seed": 1}, {"seed": 2, "temperature": 0.3}):
        model.generate(SOURCE, LENGTH, "sample", **settings)
    (program,) = model.generator.programs.values()
    assert program._cache_size() == 1
    # The weights are given to it, so it stays when they change.
    before = model.generate(SOURCE, LENGTH).scores
    model.set_weights([2 * w for w in model.get_weights()])
    assert (model.generate(SOURCE, LENGTH).scores != before).all()
    assert all(one._cache_size() == 1 for one in model.generator.programs.values())


def test_rows_end_where_they_stop(model):
    got = model.generate(SOURCE, LENGTH)
    for row, tokens, length in zip(got.rows(), got.tokens, got.lengths, strict=True):
        np.testing.assert_array_equal(row, tokens[:length])


def test_every_sentence_of_a_row_and_no_more():
    model = translator()
    got = model.generate(SOURCE, 1, "beam", beam_width=8, length_penalty=1.0, every_beam=True)
    rows = got.rows()
    for row, scores, lengths in zip(rows, got.scores, got.lengths, strict=True):
        assert sorted(tokens.tolist() for tokens in row) == [[token] for token in range(TOKENS)]
        assert np.isfinite(scores[:TOKENS]).all()
        assert (scores[TOKENS:] == -np.inf).all()
        assert not lengths[TOKENS:].any()


@pytest.mark.parametrize("temperature", [1e-6, 1e-38, 1e-50])
def test_the_coldest_sample_is_the_best_token(temperature):
    model = translator()
    cold = model.generate(SOURCE, LENGTH, "sample", temperature=temperature, seed=0)
    np.testing.assert_array_equal(cold.tokens, model.generate(SOURCE, LENGTH).tokens)
