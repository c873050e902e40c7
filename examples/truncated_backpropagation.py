"""Long noisy sequences, learned 20 steps at a time, with the state carried from piece to piece.

Each sequence is a level that never changes, under noise three times as large. The level has to be
said at each step. Who starts each piece from nothing has 20 readings at most; who carries the
state has all readings since the sequence began.
"""

import seqstate  # noqa: F401, I001  (first: it picks a backend that is installed)

import keras
import numpy as np
from seqstate.data import chunks
from seqstate.layers import LSTM

STEPS, ROWS, EPOCHS = 20, 64, 8


def chunks_of_noise(count, seed):
    """Make `count` sequences `[time, 1]`, their levels as targets, and chunks of both."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(200, 400, count)
    levels = [np.full((time, 1), rng.normal()) for time in lengths]
    readings = [level + 3 * rng.normal(size=level.shape) for level in levels]
    return chunks(readings, levels, steps=STEPS, rows=ROWS)


def model_of(stateful):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input(batch_shape=(ROWS, STEPS, 1)),
            LSTM(8, return_sequences=True, stateful=stateful),
            keras.layers.Dense(1),
        ]
    )
    # A weighted metric leaves the padding out.
    model.compile(keras.optimizers.Adam(0.01), "mse", weighted_metrics=["mse"])
    return model


train, test = chunks_of_noise(192, seed=1), chunks_of_noise(64, seed=2)
print(f"{len(train.lengths)} sequences in {ROWS} rows: {len(train)} chunks of {STEPS} steps")

carries = model_of(stateful=True)
carries.fit(train, epochs=EPOCHS, callbacks=[train.resets()], verbose=0)
carried = carries.evaluate(test, callbacks=[test.resets()], return_dict=True, verbose=0)

# The same chunks, for a model that starts each of them from nothing.
forgets = model_of(stateful=False)
x, y, weight = (np.concatenate(part) for part in zip(*train, strict=True))
forgets.fit(x, y, sample_weight=weight, batch_size=ROWS, epochs=EPOCHS, verbose=0)
x, y, weight = (np.concatenate(part) for part in zip(*test, strict=True))
forgotten = forgets.evaluate(
    x, y, sample_weight=weight, batch_size=ROWS, return_dict=True, verbose=0
)

print(f"mean squared error with the state carried:     {carried['mse']:.2f}")
print(f"mean squared error with each piece by itself:  {forgotten['mse']:.2f}")
