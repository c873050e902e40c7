"""Four sensors whose samples arrive a few at a time: in pieces or whole, the answer is the same.

A stateful layer keeps one state for each row. A `.keras` file keeps it too, so that a stream can
go on after a restart. When one sensor is replaced, its row alone starts anew.
"""

import seqstate  # noqa: F401, I001  (first: it picks a backend that is installed)
import tempfile
from pathlib import Path

import keras
import numpy as np
from seqstate.layers import LSTM

keras.utils.set_random_seed(0)
samples = np.random.rand(4, 12, 1).astype("float32")  # [batch, time, features]: a row a sensor

model = keras.Sequential(
    [
        keras.Input(batch_shape=(4, None, 1)),
        LSTM(8, stateful=True, return_sequences=True, name="memory"),
        keras.layers.Dense(1),
    ]
)


def read(model, samples):
    return model.predict(samples, batch_size=4, verbose=0)


whole = read(model, samples)

model.get_layer("memory").reset_state()
pieces = [read(model, samples[:, start : start + 3]) for start in (0, 3, 6)]

path = Path(tempfile.mkdtemp()) / "stream.keras"
model.save(path)
model = keras.saving.load_model(path)  # a restart in the middle of the stream
pieces.append(read(model, samples[:, 9:]))

difference = np.abs(whole - np.concatenate(pieces, axis=1)).max()
print(f"in four pieces, with a restart: the largest difference is {difference:.1e}")

memory = model.get_layer("memory")
print("c of each sensor, first two units:\n", memory.get_state()["c"][:, :2].round(3))
memory.reset_state(rows=2)
print("after sensor 2 was replaced:\n", memory.get_state()["c"][:, :2].round(3))
