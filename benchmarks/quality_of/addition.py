"""Keras's addition example: "535+61" becomes "596", character by character."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
import numpy as np

import seqstate.layers
from quality_of.problem import FIRST_LOSS, KERAS, OURS, Problem, Published
from seqstate.models import Decoder, Encoder, EncoderDecoder

CHARACTERS = " +0123456789"
UNITS, BATCH, ENOUGH, QUICK_EPOCHS = 128, 32, 0.99, 4
# Of training, in one compiled call: the same numbers in less time, once it is compiled.
STEPS = 8
REPEAT = 'EncoderDecoder, hand_on="repeat"'
RIGHT, WHOLE, UNTIL = "characters right", "sums right", f"epochs until {ENOUGH:.0%}"
SOURCE = "docstring of keras-io/examples/nlp/addition_rnn.py"


def examples(digits: int, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Give questions, reversed, and answers as numbers of characters.

    No two questions ask for the sum of the same two numbers.
    """
    rng = np.random.default_rng(seed)
    pairs = np.zeros((0, 2), int)
    while len(pairs) < size:
        # So many digits, and each of them, are equally likely.
        limits = 10 ** rng.integers(1, digits + 1, (4 * size, 2))
        pairs = np.concatenate([pairs, np.sort(rng.integers(0, limits))])
        _, first = np.unique(pairs, axis=0, return_index=True)
        pairs = pairs[np.sort(first)]
    swapped = rng.permuted(pairs[rng.permutation(size)], axis=1)
    asked = [f"{a}+{b}".ljust(2 * digits + 1)[::-1] for a, b in swapped]
    answers = [str(a + b).ljust(digits + 1) for a, b in swapped]
    return numbers(asked), numbers(answers)


def numbers(texts: list[str]) -> np.ndarray:
    """Give the number of each character."""
    return np.array([[CHARACTERS.index(one) for one in text] for text in texts])


def layered(module: Any, digits: int) -> keras.Model:
    """Make the model of the example from the layers of a module."""
    return keras.Sequential(
        [
            keras.Input((2 * digits + 1, len(CHARACTERS))),
            module.LSTM(UNITS),
            keras.layers.RepeatVector(digits + 1),
            module.LSTM(UNITS, return_sequences=True),
            keras.layers.Dense(len(CHARACTERS)),
        ]
    )


def repeating(digits: int) -> keras.Model:
    """Make the same as one encoder-decoder."""
    model = EncoderDecoder(
        Encoder(seqstate.layers.LSTM(UNITS)),
        # In this form no step reads a token, so it does not matter which one is the start.
        Decoder(seqstate.layers.LSTM(UNITS), tokens=len(CHARACTERS), start=0),
        hand_on="repeat",
    )
    model.build({"source": (None, 2 * digits + 1, len(CHARACTERS))})
    return model


class Enough(keras.callbacks.Callback):
    """Stops when enough of the characters are right, and knows after how many epochs."""

    reached: int | None = None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Look at the examples that were held out."""
        if logs["val_accuracy"] >= ENOUGH:
            self.reached = epoch + 1
            self.model.stop_training = True


def train(digits: int, size: int, most: int, name: str, seed: int, quick: bool) -> dict[str, float]:
    """Train until enough is right; the last tenth of the examples is held out."""
    asked, answers = examples(digits, size, seed)
    x = np.eye(len(CHARACTERS), dtype=np.float32)[asked]
    cut = size - size // 10
    keras.utils.set_random_seed(seed)
    reference = layered(keras.layers, digits)
    model = (
        repeating(digits)
        if name == REPEAT
        else layered({KERAS: keras.layers, OURS: seqstate.layers}[name], digits)
    )
    for weight, value in zip(model.trainable_variables, reference.get_weights(), strict=True):
        weight.assign(value)
    model.compile(
        "adam",
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        steps_per_execution=1 if quick else STEPS,
    )
    enough = Enough()
    keras.utils.set_random_seed(seed)  # of the order of the examples
    history = model.fit(
        x[:cut],
        answers[:cut],
        batch_size=BATCH,
        epochs=QUICK_EPOCHS if quick else most,
        validation_data=(x[cut:], answers[cut:]),
        callbacks=[enough],
        verbose=0,
    ).history
    if name == REPEAT:
        said = model.generate(x[cut:], digits + 1).tokens
    else:
        said = model.predict(x[cut:], verbose=0).argmax(-1)
    found = {
        FIRST_LOSS: history["loss"][0],
        RIGHT: history["val_accuracy"][-1],
        WHOLE: float((said == answers[cut:]).all(axis=1).mean()),
    }
    return found if enough.reached is None else {**found, UNTIL: enough.reached}


def problem(
    digits: int, size: int, most: int, published: str, seeds: tuple[int, int, int]
) -> Problem:
    """Describe the problem for sums of numbers of so many digits."""
    return Problem(
        name=f"addition-{digits}",
        title=f"Addition of numbers of up to {digits} digits, reversed",
        setup=f"{size:,} examples, one tenth of them held out and judged; one-hot characters, "
        f"LSTM({UNITS}), RepeatVector, LSTM({UNITS}), Dense; Adam 0.001, batches of {BATCH}. "
        f"Training stops at {ENOUGH:.0%} of the characters, or after {most} epochs. All as in "
        "the example, but for the loss: the softmax is part of it.",
        figures={RIGHT: ".2%", WHOLE: ".2%", UNTIL: ".0f"},
        seeds=dict(zip((KERAS, OURS, REPEAT), seeds, strict=True)),
        alike=(KERAS, OURS, REPEAT),
        published=(Published("Keras's example", {RIGHT: "99%", UNTIL: published}, SOURCE),),
        train=partial(train, digits, size, most),
    )


TWO_DIGITS = problem(2, 5_000, 150, "55", (2, 3, 2))
THREE_DIGITS = problem(3, 50_000, 40, "100", (1, 2, 1))
