"""Layers on top of each other, and an answer at each time step.

The task: say at each step the sum of all numbers so far. Every layer but the last one of a stack
gives its sequence; TimeDistributed turns the sequence of the last one into answers.
"""

import seqstate  # noqa: F401, I001  (first: it picks a backend that is installed)
import keras
import numpy as np
from seqstate.layers import GRU, RNN, GRUCell

keras.utils.set_random_seed(0)
x = np.random.uniform(-1, 1, (512, 8, 1)).astype("float32")
y = x.cumsum(axis=1)


def train(name, *layers):
    model = keras.Sequential([keras.Input((None, 1)), *layers])
    model.compile(keras.optimizers.Adam(0.02), "mse")
    model.fit(x, y, batch_size=64, epochs=5, verbose=0)
    print(f"{name}: output {model.output_shape}, error {model.evaluate(x, y, verbose=0):.3f}")
    return model


print(f"saying zero at each step: error {(y**2).mean():.3f}")

model = train(
    "two layers on top of each other",
    GRU(16, return_sequences=True),
    GRU(16, return_sequences=True),
    keras.layers.TimeDistributed(keras.layers.Dense(1)),
)
train(
    "one layer with two cells",
    RNN([GRUCell(16), GRUCell(16)], return_sequences=True),
    keras.layers.Dense(1),  # works on the last axis, so it needs no TimeDistributed
)

# The model has no fixed number of time steps: a longer series is fine.
longer = np.random.uniform(-1, 1, (1, 12, 1)).astype("float32")
print("a longer series:", model.predict(longer, verbose=0).shape)
