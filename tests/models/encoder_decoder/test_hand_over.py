"""Decoders that take turns, held against turns that are taken by hand."""

import keras
import numpy as np
import pytest

from encoder_decoders import SOURCE, START, STOP, TOKENS, encoder, log_chances, with_weights
from frameworks import array
from seqstate.layers import GRU, LSTM
from seqstate.models import Decoder, EncoderDecoder, HandOver

RULES = [("a", 3, "b"), ("b", 2, "a"), ("b", 1, "c")]


def taking_turns(sizes=(4, 4, 3), attention=None, first=None):
    decoders = {
        name: Decoder(
            LSTM(size, name=f"of_{name}"),
            tokens=TOKENS,
            start=START,
            stop=STOP,
            embedding=3,
            attention=attention if name == "b" else None,
            name=name,
        )
        for name, size in zip("abc", sizes, strict=True)
    }
    model = EncoderDecoder(encoder(LSTM(4, name="reads")), HandOver(decoders, RULES, first))
    model.build({"source": (None, 4)})
    with_weights(model, 0.9)
    for one, likely in zip(model.parts[0].decoders, (3, 2, 1), strict=True):
        bias = array(one.head.bias).copy()
        bias[likely] += 0.8
        one.head.bias.assign(bias)
    return model


def by_hand(model, row, length, first="a"):
    """Say one row with the single decoders, and hand the state over where a rule says so."""
    turns = model.parts[0]
    decoders = dict(zip(turns.names, turns.decoders, strict=True))
    given, state = model.encoder(row[None], training=False)
    mask = model.encoder.mask_of(given) if turns.attention is not None else None
    memory = {name: one.remember(given, mask) for name, one in decoders.items()}
    speaker, state = first, model.bridges[0](state)
    token, said, speakers, scores = START, [], [], []
    for _ in range(length):
        for rule, bridge in zip(turns.rules, turns.bridges, strict=True):
            if (rule.speaker, rule.token) == (speaker, token):
                state, speaker = bridge(state), rule.to
                break
        one = decoders[speaker]
        drawn = one.begin(1, state, False)
        made, state, _ = one.step(np.array([token]), state, memory[speaker], drawn)
        token = int(array(made).argmax())
        said.append(token)
        speakers.append(turns.names.index(speaker))
        scores.append(array(made)[0])
    return said, speakers, np.stack(scores)


@pytest.mark.parametrize("attention", [None, "luong", "bahdanau"], ids=str)
def test_each_row_takes_its_own_turns(attention):
    model = taking_turns(attention=attention)
    got = model.generate(SOURCE, 7, states=True)
    spoke = set()
    for row in range(len(SOURCE)):
        said, speakers, scores = by_hand(model, SOURCE[row], 7)
        length = got.lengths[row]
        assert got.tokens[row, :length].tolist() == said[:length]
        assert got.states["active"][row, :length].tolist() == speakers[:length]
        spoke |= set(speakers[:length])
        told = np.array([said])
        chances = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
        np.testing.assert_allclose(
            log_chances(model, SOURCE[row : row + 1], told)[0], chances, atol=1e-5
        )
    assert len(spoke) > 1, "nobody handed over"


def test_another_one_may_begin():
    model = taking_turns(first="b")
    assert model.generate(SOURCE, 1, states=True).states["active"].tolist() == [[1], [1], [1]]


def test_a_step_carries_whose_turn_it_is():
    model = taking_turns()
    state = model.encode(SOURCE)
    token = np.full(3, START)
    for _ in range(5):
        scores, state = model.step(token, state)
        token = array(scores).argmax(-1)
    got = model.generate(SOURCE, 5, states=True)
    going_on = got.lengths == 5
    np.testing.assert_array_equal(
        array(state["active"])[going_on], got.states["active"][going_on, 4]
    )
    np.testing.assert_array_equal(got.tokens[going_on, 4], token[going_on])


def test_a_beam_takes_turns_too():
    model = taking_turns()
    one = model.generate(SOURCE, 4, "beam", beam_width=1)
    assert (one.scores >= model.generate(SOURCE, 4).scores - 1e-5).all()
    wide = model.generate(SOURCE, 4, "beam", beam_width=30, every_beam=True, states=True)
    np.testing.assert_allclose(wide.token_scores.sum(-1), wide.scores, atol=1e-5)


def test_it_learns_and_comes_back_from_its_file(tmp_path):
    model = taking_turns()
    model.compile("adam")
    target = np.array([[3, 2, 1, 4], [1, 3, 1, 4], [2, 3, 2, 4]])
    before = model.evaluate(SOURCE, target, verbose=0)
    model.fit(SOURCE, target, epochs=5, verbose=0)
    assert model.evaluate(SOURCE, target, verbose=0) < before
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        again.generate(SOURCE, 5, states=True).states["active"],
        model.generate(SOURCE, 5, states=True).states["active"],
    )


def test_states_of_one_kind_are_handed_over_as_they_are_and_others_are_learned():
    turns = taking_turns((4, 4, 3)).parts[0]
    assert [bool(bridge.dense) for bridge in turns.bridges] == [False, False, True]
    mixed = HandOver(
        {
            "a": Decoder(GRU(4, name="g"), tokens=3, start=2),
            "b": Decoder(LSTM(4, name="l"), tokens=3, start=2),
        },
        [("a", 0, "b")],
    )
    assert set(mixed.bridges[0].dense) == {"l/c"}
