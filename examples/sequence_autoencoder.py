"""An autoencoder: the state of an encoder is the compressed sequence, made smaller by a Dense.

Each series is a wave of 24 values that three numbers settle: height, speed and phase. The state
of the encoder is squeezed through so few numbers, and a decoder starts from what comes out.
"""

import seqstate  # noqa: F401, I001  (first: it picks a backend that is installed)
import keras
import numpy as np
from keras.layers import Concatenate, Dense, RepeatVector
from seqstate.layers import LSTM

keras.utils.set_random_seed(0)
TIME, UNITS = 24, 32


def waves(rows):
    height = np.random.uniform(0.5, 1, (rows, 1, 1))
    speed = np.random.uniform(0.2, 0.5, (rows, 1, 1))
    phase = np.random.uniform(0, np.pi, (rows, 1, 1))
    return (height * np.sin(speed * np.arange(TIME)[:, None] + phase)).astype("float32")


x, new = waves(1024), waves(256)


def autoencoder(size):
    """Give the autoencoder, and the model that stops at the code."""
    series = keras.Input((TIME, 1))
    state = LSTM(UNITS, returns="state", name="encoder")(series)["state"]
    code = Dense(size, name="code")(Concatenate()([state["h"], state["c"]]))
    start = {name: Dense(UNITS, activation="tanh")(code) for name in ("h", "c")}
    decoder = LSTM(UNITS, return_sequences=True, name="decoder")
    sequence = decoder(RepeatVector(TIME)(code), initial_state=start)
    return keras.Model(series, Dense(1)(sequence)), keras.Model(series, code)


error = {}
for size in (1, 4):
    model, encode = autoencoder(size)
    model.compile(keras.optimizers.Adam(0.005), "mse")
    model.fit(x, x, batch_size=32, epochs=14, verbose=0)
    error[size] = float(model.evaluate(new, new, verbose=0))

variance = float(new.var())
print(f"variance of the waves: {variance:.3f}")
for size, value in error.items():
    print(f"{TIME} values as {size}: mean squared error {value:.4f}")
code = encode.predict(new, verbose=0)
