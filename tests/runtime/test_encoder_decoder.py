"""An encoder-decoder that is loaded says what Keras's side says, token for token."""

import keras
import numpy as np
import pytest

import seqstate
from cases import data
from encoder_decoders import (
    ATTENTIONS,
    SOURCE,
    START,
    decoder,
    encoder,
    of_values,
    translator,
    with_weights,
)
from frameworks import array
from seqstate import state as states
from seqstate.errors import ArgumentError, DataError, InputError, StateMismatchError
from seqstate.generation import Settings
from seqstate.layers import GRU, LSTM, Bidirectional
from seqstate.models import EncoderDecoder, HandOver
from seqstate.runtime.encoder_decoder.search import drawn_by


def turns():
    decoders = {"a": decoder(LSTM(4), attention="luong"), "b": decoder(GRU(3))}
    rules = [("a", 1, "b"), ("b", 2, "a"), ("b", 0, "a")]
    return HandOver(decoders, rules=rules, first="a", name="turns")


MODELS = {
    **{str(attention): lambda a=attention: translator(a) for attention in ATTENTIONS},
    "both ways": lambda: translator(
        "bahdanau", reads=[Bidirectional(LSTM(3)), keras.layers.Dense(5), GRU(3)]
    ),
    "from the end": lambda: translator("luong", reads=[LSTM(4, go_backwards=True), GRU(3)]),
    "layers between": lambda: translator(
        "luong", layers=[LSTM(4), keras.layers.LayerNormalization(), GRU(3)]
    ),
    "dense bridge": lambda: translator(bridge="dense"),
    "taking turns": lambda: with_weights(EncoderDecoder(encoder(), turns())),
    "repeated": lambda: translator(hand_on="repeat"),
    "two decoders": lambda: with_weights(
        EncoderDecoder(encoder(), {"one": decoder(), "two": decoder([GRU(5)])})
    ),
}
METHODS = {
    "greedy": {},
    "beam": {"method": "beam", "beam_width": 3, "length_penalty": 0.7},
    "every beam": {"method": "beam", "beam_width": 2, "every_beam": True},
    "sample": {"method": "sample", "seed": 3, "temperature": 0.8},
    "sample of some": {"method": "sample", "seed": 4, "top_k": 4, "top_p": 0.8},
}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Give a model and what is loaded of its file, by name, made once."""
    folder, made = tmp_path_factory.mktemp("models"), {}

    def pair(name):
        if name not in made:
            model = MODELS[name]()
            model.save(folder / "model.keras")
            made[name] = model, seqstate.load(folder / "model.keras")
        return made[name]

    return pair


def close(found, wanted):
    a, b = states.flatten(found), states.flatten(wanted)
    assert set(a) == set(b)
    for path in b:
        np.testing.assert_allclose(a[path], array(b[path]), rtol=1e-5, atol=1e-5, err_msg=path)


# Keras compiles each program anew: all methods on one model, and the beam on each.
CASES = [*(("bahdanau", how) for how in METHODS), *((name, "beam") for name in MODELS)]


@pytest.mark.parametrize(("name", "method"), sorted({*CASES}))
def test_generate(name, method, pairs):
    model, loaded = pairs(name)
    for decoder_name in loaded.decoders if len(loaded.decoders) > 1 else [None]:
        given = {**METHODS[method], "decoder": decoder_name, "states": True}
        wanted = model.generate(SOURCE, 7, **given)
        found = loaded.generate(SOURCE, 7, **given)
        np.testing.assert_array_equal(found.tokens, wanted.tokens)
        np.testing.assert_array_equal(found.lengths, wanted.lengths)
        np.testing.assert_allclose(found.scores, wanted.scores, atol=1e-4)
        np.testing.assert_allclose(found.token_scores, wanted.token_scores, atol=1e-4)
        there = np.arange(7) < wanted.lengths[..., None]
        a, b = states.flatten(found.states), states.flatten(wanted.states)
        assert set(a) == set(b)
        for path in b:
            np.testing.assert_allclose(a[path][there], b[path][there], atol=1e-4)
        assert (found.attention is None) == (wanted.attention is None)
        if wanted.attention is not None:
            np.testing.assert_allclose(found.attention[there], wanted.attention[there], atol=1e-4)


@pytest.mark.parametrize("name", [*map(str, ATTENTIONS), "repeated", "both ways"])
def test_encode_and_step(name, pairs):
    model, loaded = pairs(name)
    wanted, found = model.encode(SOURCE), loaded.encode(SOURCE)
    close(found, wanted)
    previous = np.full(len(SOURCE), START)
    for _ in range(3):
        scores, wanted = model.step(previous, wanted)
        said, found = loaded.step(previous, found)
        np.testing.assert_allclose(said, array(scores), rtol=1e-5, atol=1e-5)
        close(found, wanted)
        previous = said.argmax(-1)


def test_beams_without_a_sentence(pairs):
    model, loaded = pairs("None")
    how = {"method": "beam", "beam_width": 8, "every_beam": True}
    wanted, found = model.generate(SOURCE, 1, **how), loaded.generate(SOURCE, 1, **how)
    assert np.isneginf(wanted.scores[:, 6:]).all()  # of six tokens there are six sentences
    np.testing.assert_array_equal(found.tokens, wanted.tokens)
    np.testing.assert_array_equal(found.lengths, wanted.lengths)
    np.testing.assert_allclose(found.scores, wanted.scores, atol=1e-4)


def test_the_coldest_sample_is_the_best_token():
    chances = np.array([[0.1], [0.9]], "float32")
    pick = drawn_by(chances, Settings(method="sample", temperature=1e-44))
    scores = np.array([[50, 90, -70], [90, -50, 91]], "float32")
    assert pick(scores, 0).tolist() == [1, 2]


def test_a_step_takes_a_state_in_any_order(pairs):
    _model, loaded = pairs("bahdanau")
    previous = np.full(len(SOURCE), START)
    state = loaded.encode(SOURCE)
    turned = {name: dict(reversed(inner.items())) for name, inner in reversed(state.items())}
    np.testing.assert_array_equal(loaded.step(previous, turned)[0], loaded.step(previous, state)[0])


@pytest.mark.parametrize("hand_on", ["state", "repeat"])
def test_values(hand_on, tmp_path):
    model = of_values(hand_on, start=[0.5, -0.5])
    model.save(tmp_path / "model.keras")
    loaded = seqstate.load(tmp_path / "model.keras")
    source = data(3, 4, 3)
    wanted, found = model.generate(source, 5), loaded.generate(source, 5)
    assert found.tokens is None
    np.testing.assert_allclose(found.values, wanted.values, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(found.lengths, wanted.lengths)


def test_a_row_alone_has_the_same_bits(pairs):
    for name in map(str, ATTENTIONS):
        _, loaded = pairs(name)
        whole = states.flatten(loaded.encode(SOURCE))
        alone = states.flatten(loaded.encode(SOURCE[1:2]))
        for path, leaf in alone.items():
            np.testing.assert_array_equal(leaf, whole[path][1:2])


def test_errors(pairs, tmp_path):
    _, loaded = pairs("None")
    with pytest.raises(InputError, match=r"expected \[batch, time\] of token ids"):
        loaded.generate(np.zeros((2, 3, 4)), 5)
    with pytest.raises(InputError, match="step reads shape"):
        loaded.step(np.zeros((2, 3)), loaded.encode(SOURCE))
    with pytest.raises(StateMismatchError, match="the state has no"):
        loaded.step(np.array([5, 5, 5]), {})
    with pytest.raises(ArgumentError, match="there is no setting"):
        loaded.generate(SOURCE, 5, width=3)
    with pytest.raises(ArgumentError, match="decoder=None; there are 'one', 'two'"):
        pairs("two decoders")[1].generate(SOURCE, 5)
    with pytest.raises(DataError, match="its bridge is a layer of its own"):
        seqstate.load(_with_own_bridge(tmp_path))


def _with_own_bridge(tmp_path):
    class Own(keras.layers.Layer):
        def call(self, state):
            return {"says": state["reads"]}

    translator(bridge=Own()).save(tmp_path / "model.keras")
    return tmp_path / "model.keras"
