"""JapaneseVowels: which of nine speakers said it? 7 to 29 steps of 12 coefficients each."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Any

import keras
import numpy as np

import seqstate.layers
from quality_of.problem import FIRST_LOSS, KERAS, OURS, Problem, Published

PACKAGE = "aeon"
TIME, FEATURES, SPEAKERS = 29, 12, 9
UNITS, BATCH, EPOCHS, QUICK_EPOCHS = 64, 30, 100, 10
RIGHT = "right of 370"
KSIG = "README of github.com/tgcsaba/KSig, table of arXiv 2311.12214"


def utterances(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Read the file of a split, "TRAIN" or "TEST".

    It is read where it is installed, without an import: aeon would bring numba, which is often
    behind NumPy.

    Returns:
        `[utterances, time, features]`, filled up with zeros, and the speakers from 0.
    """
    name = f"{PACKAGE}/datasets/data/JapaneseVowels/JapaneseVowels_{split}.ts"
    text = Path(str(metadata.distribution(PACKAGE).locate_file(name))).read_text()
    lines = text.partition("@data\n")[2].splitlines()
    x = np.zeros((len(lines), TIME, FEATURES), np.float32)
    speakers = np.zeros(len(lines), int)
    for row, line in enumerate(lines):
        *series, speaker = line.split(":")
        values = np.array([[float(value) for value in one.split(",")] for one in series]).T
        x[row, : len(values)] = values
        speakers[row] = int(speaker) - 1
    return x, speakers


def model_of(module: Any) -> keras.Model:
    """Make a compiled model from the layers of a module."""
    model = keras.Sequential(
        [
            keras.Input((TIME, FEATURES)),
            keras.layers.Masking(),  # no step of an utterance is all zeros
            module.Bidirectional(module.LSTM(UNITS)),
            keras.layers.Dropout(0.5, seed=0),
            keras.layers.Dense(SPEAKERS),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.003), loss, metrics=["accuracy"])
    return model


def train(name: str, seed: int, quick: bool) -> dict[str, float]:
    """Train on the given training split, judge on the given test split at the end."""
    keras.utils.set_random_seed(seed)
    reference = model_of(keras.layers)
    model = model_of({KERAS: keras.layers, OURS: seqstate.layers}[name])
    for weight, value in zip(model.trainable_variables, reference.trainable_variables, strict=True):
        weight.assign(value)
    keras.utils.set_random_seed(seed)  # of the order of the utterances
    epochs = QUICK_EPOCHS if quick else EPOCHS
    history = model.fit(*utterances("TRAIN"), batch_size=BATCH, epochs=epochs, verbose=0).history
    _, right = model.evaluate(*utterances("TEST"), batch_size=74, verbose=0)
    return {FIRST_LOSS: history["loss"][0], RIGHT: right}


PROBLEM = Problem(
    name="vowels",
    title="JapaneseVowels, sequences of many lengths",
    setup=f"The 270 utterances of the given training split, the 370 of the test split; Masking, "
    f"Bidirectional(LSTM({UNITS})), Dropout(0.5), Dense; Adam 0.003, batches of {BATCH}, {EPOCHS} "
    "epochs, nothing chosen by the test split.",
    figures={RIGHT: ".2%"},
    seeds={KERAS: 5, OURS: 5},
    alike=(KERAS, OURS),
    published=(
        Published(
            "11 LSTMs that vote, on resampled sequences",
            {RIGHT: "98.86%"},
            "github.com/postnubilaphoebus/Jap_Speak_Recog",
        ),
        Published("signature kernel (KSig)", {RIGHT: "98.6%"}, KSIG),
        Published("global alignment kernel (GAK)", {RIGHT: "98.1%"}, KSIG),
        Published("random warping series (RWS)", {RIGHT: "95.5%"}, KSIG),
    ),
    train=train,
    package=PACKAGE,
)
