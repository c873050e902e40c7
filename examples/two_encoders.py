"""Two bidirectional encoders whose final states meet in softmax(V tanh(W1 h1 + W2 h2)).

Each row is a pair of series of different lengths. Which one rose further, or did neither?
"""

import seqstate  # noqa: F401, I001  (first: it picks a backend that is installed)
import keras
import numpy as np
from keras.layers import Activation, Add, Concatenate, Dense
from seqstate.layers import GRU, Bidirectional

keras.utils.set_random_seed(0)
UNITS, MEETING = 12, 16


def data(rows):
    """Give two series for each row, and the class: the first, neither or the second rises more."""
    first = np.random.normal(0, 1, (rows, 10, 1)).astype("float32")
    second = np.random.normal(0, 1, (rows, 7, 1)).astype("float32")
    difference = second.sum(axis=1) - first.sum(axis=1)
    return [first, second], 1 + np.sign(difference * (np.abs(difference) > 1.5))[:, 0].astype(int)


def encoder(series):
    """Give the final states of both directions, side by side."""
    state = Bidirectional(GRU(UNITS, returns="state"))(series)["state"]
    return Concatenate()([state["forward"]["h"], state["backward"]["h"]])


series = [keras.Input((10, 1)), keras.Input((7, 1))]
h1, h2 = encoder(series[0]), encoder(series[1])
meeting = Add()([Dense(MEETING, use_bias=False, name="W1")(h1), Dense(MEETING, name="W2")(h2)])
answer = Dense(3, activation="softmax", use_bias=False, name="V")(Activation("tanh")(meeting))
model = keras.Model(series, answer)

x, y = data(1536)
model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x, y, batch_size=64, epochs=8, verbose=0)
new, new_y = data(512)
_, accuracy = model.evaluate(new, new_y, verbose=0)
largest = float(np.bincount(new_y).max() / len(new_y))
print(f"the most frequent class: {largest:.0%} of {len(new_y)} new pairs")
print(f"right:                   {accuracy:.0%}")
states = keras.Model(series, [h1, h2])
