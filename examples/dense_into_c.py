"""Start an LSTM from something else that is known: a Dense layer gives its cell state `c`.

The task: a series goes on with the slope that a number outside the series says. Without that
number the model can only guess the mean.
"""

import seqstate  # noqa: F401, I001  (first: it picks a backend that is installed)
import keras
import numpy as np
from seqstate.layers import LSTM

keras.utils.set_random_seed(0)
UNITS = 16

slope = np.random.uniform(-1, 1, (1024, 1)).astype("float32")
noise = np.random.normal(0, 0.1, (1024, 6, 1)).astype("float32")
target = slope * np.arange(1, 7)[None] / 6  # [batch, time]


def model_of(with_slope):
    series = keras.Input((6, 1), name="series")
    given = keras.Input((1,), name="slope")
    start = {"c": keras.layers.Dense(UNITS)(given)} if with_slope else None
    sequence = LSTM(UNITS, return_sequences=True)(series, initial_state=start)  # h starts at zero
    answer = keras.layers.Dense(1)(sequence)
    if with_slope:
        return keras.Model([series, given], answer), [noise, slope]
    return keras.Model(series, answer), noise


error = {}
for with_slope in (False, True):
    model, inputs = model_of(with_slope)
    model.compile(keras.optimizers.Adam(0.02), "mse")
    model.fit(inputs, target[..., None], batch_size=128, epochs=8, verbose=0)
    error[with_slope] = model.evaluate(inputs, target[..., None], verbose=0)

variance = float(target.var())
print(f"saying zero:               mean squared error {variance:.4f}")
print(f"without the slope in c:    mean squared error {error[False]:.4f}")
print(f"c starts from the slope:   mean squared error {error[True]:.4f}")
