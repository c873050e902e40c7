"""What is handed on, held against Keras's own layers wired by hand and against NumPy."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from cases import TOLERANCE, data
from encoder_decoders import (
    SOURCE,
    START,
    STOP,
    TARGET,
    TOKENS,
    decoder,
    encoder,
    translator,
    with_weights,
)
from frameworks import array, arrays
from seqstate.layers import GRU, LSTM, Bidirectional, SimpleRNN
from seqstate.models import Decoder, Encoder, EncoderDecoder, Luong

ATOL = TOLERANCE["float32"]
BEFORE = np.concatenate([np.full((3, 1), START), TARGET[:, :-1]], axis=1)


def scores_of(model, source=SOURCE, target=TARGET):
    return array(model({"source": source, "target": target}))


@pytest.mark.parametrize("kind", ["SimpleRNN", "GRU", "LSTM"])
def test_the_decoder_starts_from_the_state_as_when_keras_layers_are_wired_by_hand(kind):
    ours = {"SimpleRNN": SimpleRNN, "GRU": GRU, "LSTM": LSTM}[kind]
    model = translator(layers=ours(4, name="says"), reads=ours(4, name="reads"))
    theirs = getattr(layers, kind)
    source, before = keras.Input((4,), dtype="int32"), keras.Input((5,), dtype="int32")
    read, told = layers.Embedding(4, 3, mask_zero=True), layers.Embedding(TOKENS, 3)
    reads, says = theirs(4, return_state=True), theirs(4, return_sequences=True)
    head = layers.Dense(TOKENS)
    _, *state = reads(read(source))
    wired = keras.Model([source, before], head(says(told(before), initial_state=state)))
    one = model.parts[0]
    for layer, own in (
        (read, model.encoder.embedding),
        (reads, model.encoder.stack.parts[0]),
        (told, one.embedding),
        (says, one.stack.parts[0]),
        (head, one.head),
    ):
        layer.set_weights(array_weights(own))
    np.testing.assert_allclose(scores_of(model), array(wired([SOURCE, BEFORE])), atol=ATOL)


def test_the_repeat_vector_form_is_keras_s():
    model = translator(layers=GRU(5, name="says"), reads=GRU(4, name="reads"), hand_on="repeat")
    source = keras.Input((4,), dtype="int32")
    read = layers.GRU(4)(layers.Embedding(4, 3, mask_zero=True)(source))
    told = layers.GRU(5, return_sequences=True)(layers.RepeatVector(5)(read))
    wired = keras.Model(source, layers.Dense(TOKENS)(told))
    wired.set_weights(
        [
            *array_weights(model.encoder.embedding),
            *array_weights(model.encoder.stack.parts[0]),
            *array_weights(model.parts[0].stack.parts[0]),
            *array_weights(model.parts[0].head),
        ]
    )
    np.testing.assert_allclose(scores_of(model), array(wired(SOURCE)), atol=ATOL)
    said = model.generate(SOURCE, 5)
    expected = array(wired(SOURCE)).argmax(-1)
    for row, length in enumerate(said.lengths):
        np.testing.assert_array_equal(said.tokens[row, :length], expected[row, :length])


def array_weights(layer):
    return [array(w) for w in layer.weights]


def dense(layer, x):
    return x @ array(layer.kernel).astype("float64") + array(layer.bias)


def test_where_sizes_differ_a_learned_bridge_stands_between():
    model = translator(
        layers=LSTM(5, name="says"), reads=Bidirectional(LSTM(3, name="l"), name="both")
    )
    _, state = model.encoder(SOURCE)
    made = model.bridges[0](state)["says"]
    joined = {
        name: np.concatenate([array(state["both"][d][name]) for d in ("forward", "backward")], -1)
        for name in "hc"
    }
    by_path = model.bridges[0].dense
    h = np.tanh(dense(by_path["says/h"], joined["h"]))
    np.testing.assert_allclose(array(made["h"]), h, atol=ATOL)
    np.testing.assert_allclose(array(made["c"]), dense(by_path["says/c"], joined["c"]), atol=ATOL)


def test_both_directions_fit_a_decoder_of_twice_the_units_as_they_are():
    model = translator(layers=GRU(6, name="says"), reads=Bidirectional(GRU(3), name="both"))
    _, state = model.encoder(SOURCE)
    joined = np.concatenate([array(state["both"][d]["h"]) for d in ("forward", "backward")], -1)
    np.testing.assert_array_equal(array(model.bridges[0](state)["says"]["h"]), joined)
    assert not model.bridges[0].weights


def test_layers_on_top_of_each_other_hand_on_to_their_counterparts():
    model = translator(
        layers=[LSTM(4, name="says_0"), LSTM(3, name="says_1")],
        reads=[LSTM(4, name="reads_0"), layers.LayerNormalization(), LSTM(3, name="reads_1")],
    )
    _, state = model.encoder(SOURCE)
    made = model.bridges[0](state)
    for number in "01":
        for got, given in zip(
            arrays(made[f"says_{number}"]), arrays(state[f"reads_{number}"]), strict=True
        ):
            np.testing.assert_array_equal(got, given)


def test_fewer_layers_all_hand_on_the_last_one_and_c_is_learned_from_h():
    model = translator(
        layers=[LSTM(4, name="low"), GRU(4, name="high")], reads=GRU(4, name="reads")
    )
    _, state = model.encoder(SOURCE)
    made = model.bridges[0](state)
    for got in (made["low"]["h"], made["high"]["h"]):
        np.testing.assert_array_equal(array(got), array(state["reads"]["h"]))
    learned = dense(model.bridges[0].dense["low/c"], array(state["reads"]["h"]))
    np.testing.assert_allclose(array(made["low"]["c"]), learned, atol=ATOL)


def test_dense_everywhere_if_it_is_asked_for():
    model = translator(bridge="dense")
    assert set(model.bridges[0].dense) == {"says/h", "says/c"}


@keras.saving.register_keras_serializable(package="tests")
class OnlyH(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.to_h = layers.Dense(4, use_bias=False)

    def build(self, state_shape):
        self.to_h.build(state_shape["reads"]["h"])

    def call(self, state):
        h = state["reads"]["h"]
        return {"says": {"h": self.to_h(h), "c": 0 * h}}


def test_a_bridge_of_ones_own(tmp_path):
    model = translator(bridge=OnlyH())
    state = model.encode(SOURCE)
    _, read = model.encoder(SOURCE)
    h = array(read["reads"]["h"]) @ array(model.bridges[0].to_h.kernel)
    np.testing.assert_allclose(array(state["says"]["h"]), h, atol=ATOL)
    assert not array(state["says"]["c"]).any()
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        again.generate(SOURCE, 4).tokens, model.generate(SOURCE, 4).tokens
    )


def softmax(x):
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def parts_of(model, inputs):
    memory = {name: array(v) for name, v in model.encode(inputs)["memory"].items()}
    attention = model.parts[0].attention
    return attention, memory["sequence"].astype("float64"), memory["mask"]


def test_bahdanau_looks_with_the_state_before_the_step():
    model = translator("bahdanau", reads=Bidirectional(LSTM(3, name="l"), name="both"))
    attention, sequence, mask = parts_of(model, SOURCE)
    h = array(model.encode(SOURCE)["says"]["h"]).astype("float64")
    w_q, w_k = (array(one.kernel) for one in (attention.of_query, attention.of_sequence))
    v = array(attention.compare.scale)
    scores = (np.tanh((h @ w_q)[:, None] + sequence @ w_k) * v).sum(-1)
    weights = softmax(np.where(mask, scores, -np.inf))
    got = model.generate(SOURCE, 1, states=True).attention[:, 0]
    np.testing.assert_allclose(got, weights, atol=ATOL)
    context = np.einsum("bs,bsf->bf", weights, sequence)
    embedded = array(model.parts[0].embedding(BEFORE[:, 0]))
    said = model.parts[0].stack.parts[0](
        np.concatenate([embedded, context], -1)[:, None].astype("float32"),
        initial_state=model.encode(SOURCE)["says"],
    )
    expected = dense(model.parts[0].head, array(said["sequence"])[:, 0])
    np.testing.assert_allclose(scores_of(model)[:, 0], expected, atol=ATOL)


@pytest.mark.parametrize("units", [3, 4], ids=["general", "dot"])
def test_luong_looks_with_the_output_of_the_step(units):
    model = translator("luong", reads=LSTM(units, name="reads"))
    attention, sequence, mask = parts_of(model, SOURCE)
    h = array(model.generate(SOURCE, 1, states=True).states["says"]["h"])[:, 0].astype("float64")
    keys = sequence if units == 4 else sequence @ array(attention.of_sequence.kernel)
    weights = softmax(np.where(mask, np.einsum("bu,bsu->bs", h, keys), -np.inf))
    got = model.generate(SOURCE, 1, states=True).attention[:, 0]
    np.testing.assert_allclose(got, weights, atol=ATOL)
    context = np.einsum("bs,bsf->bf", weights, sequence)
    joined = np.tanh(np.concatenate([context, h], -1) @ array(attention.joined.kernel))
    expected = dense(model.parts[0].head, joined)
    np.testing.assert_allclose(scores_of(model)[:, 0], expected, atol=ATOL)


def test_a_layer_that_has_weights_keeps_them():
    trained = LSTM(4, name="reads")
    trained(data(1, 2, 3))
    model = EncoderDecoder(encoder(trained), decoder())
    model.build({"source": (None, 4)})
    for got, given in zip(
        array_weights(model.encoder.stack.parts[0]), trained.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(got, given)


def test_several_decoders_say_what_each_would_say_alone():
    both = EncoderDecoder(
        encoder(),
        {"one": named("one", None), "two": named("two", "luong")},
    )
    with_weights_of(both)
    for name in ("one", "two"):
        alone = EncoderDecoder(encoder(), named(name, "luong" if name == "two" else None))
        alone.build({"source": (None, 4)})
        alone.encoder.set_weights(both.encoder.get_weights())
        alone.parts[0].set_weights(both.decoders[name].get_weights())
        got = both({"source": SOURCE, "target": {"one": TARGET, "two": TARGET[:, :3]}})[name]
        steps = got.shape[1]
        np.testing.assert_allclose(
            array(got), scores_of(alone, target=TARGET[:, :steps]), atol=ATOL
        )
        np.testing.assert_array_equal(
            both.generate(SOURCE, 4, decoder=name).tokens, alone.generate(SOURCE, 4).tokens
        )


def named(name, attention):
    units = LSTM(4, name=f"says_{name}")
    return Decoder(
        units, tokens=TOKENS, start=START, stop=STOP, embedding=3, attention=attention, name=name
    )


def with_weights_of(model):
    model.build({"source": (None, 4)})
    return with_weights(model)


def test_a_step_takes_a_state_that_was_changed():
    model = translator()
    state = model.encode(SOURCE)
    start = np.full(3, START)
    before, _ = model.step(start, state)
    state["says"]["c"] = array(state["says"]["c"]) * 0
    after, _ = model.step(start, state)
    assert (np.abs(array(before) - array(after)).max(-1) > 1e-3).all()


def test_attention_of_another_size():
    model = translator(Luong(units=7))
    assert model.parts[0].head.kernel.shape == (7, TOKENS)


def test_a_mask_of_real_values_reaches_state_and_attention():
    reads = [layers.Masking(), GRU(4, name="reads")]
    says = Decoder(GRU(4, name="says"), outputs=2, attention="bahdanau", name="decoder")
    model = EncoderDecoder(Encoder(reads, name="encoder"), says)
    model.build({"source": (None, None, 3)})
    with_weights(model, 0.7)
    x = data(2, 5, 3)
    x[:, 3:] = 0
    cut, padded = (model.generate(one, 3, states=True) for one in (x[:, :3], x))
    np.testing.assert_allclose(cut.values, padded.values, atol=ATOL)
    assert not padded.attention[..., 3:].any()


@keras.saving.register_keras_serializable(package="tests")
class OtherOrder(layers.Layer):
    def call(self, state):
        return {"says": {"c": state["reads"]["c"], "h": state["reads"]["h"]}}


def test_the_order_of_names_in_a_state_does_not_matter():
    model, other = translator("bahdanau"), translator("bahdanau", bridge=OtherOrder())
    np.testing.assert_array_equal(scores_of(model), scores_of(other))
    state = model.encode(SOURCE)
    turned = {"memory": state["memory"], "says": {n: state["says"][n] for n in "ch"}}
    start = np.full(3, START)
    first, second = (array(model.step(start, one)[0]) for one in (state, turned))
    np.testing.assert_array_equal(first, second)


def test_padding_is_skipped_with_an_embedding_of_ones_own():
    reads = Encoder(
        LSTM(4, name="reads"), tokens=4, embedding=layers.Embedding(4, 3), padding=0, name="encoder"
    )
    model = EncoderDecoder(reads, decoder())
    model.build({"source": (None, 4)})
    with_weights(model)
    np.testing.assert_allclose(scores_of(model), scores_of(translator()), atol=ATOL)


@pytest.mark.parametrize("above", [[], [GRU(4, name="above")]], ids=["alone", "below"])
def test_a_mask_meets_its_steps_where_a_layer_runs_from_the_end(above):
    reads = [GRU(4, name="reads", go_backwards=True), *above]
    model = translator("luong", layers=GRU(4, name="says"), reads=reads)
    cut, padded = (model.generate(one, 3, states=True) for one in (SOURCE[1:2, :2], SOURCE[1:2]))
    np.testing.assert_allclose(cut.scores, padded.scores, atol=ATOL)
    np.testing.assert_allclose(cut.attention, padded.attention[..., :2], atol=ATOL)


def test_tokens_are_the_same_in_any_type():
    model = EncoderDecoder(encoder(), decoder(tokens=300, start=299))
    model.build({"source": (None, 4)})
    with_weights(model, 0.5)
    for kind in ("uint8", "float32"):
        same = scores_of(model, SOURCE.astype(kind), TARGET.astype(kind))
        np.testing.assert_array_equal(same, scores_of(model))


def test_ids_of_tokens_are_not_rounded_in_half_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = EncoderDecoder(encoder(), decoder(tokens=600, start=0))
        model.build({"source": (None, 4)})
        with_weights(model)
        target = np.array([[257, 4], [513, 4], [515, 4]])
        whole, floats = (
            array(ops.cast(model({"source": SOURCE, "target": one}), "float32"))
            for one in (target, target.astype("float32"))
        )
    finally:
        keras.config.set_dtype_policy("float32")
    np.testing.assert_array_equal(whole, floats)
