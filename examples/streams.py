"""Many sources, one sample at a time: each has a state of its own, which outlives the process.

A model learns to say the next value of a wave. It is loaded without Keras and scores three sensors
sample by sample; the states lie in a SQLite file. Half-way the streams are closed, as if the
process had ended, and others go on from the file. What came out is, bit for bit, what the model
says of each sensor's whole series.
"""

import tempfile
from pathlib import Path

import keras
import numpy as np

import seqstate

keras.utils.set_random_seed(0)
time = np.arange(121)
waves = np.sin(time * np.random.uniform(0.1, 0.5, (200, 1)))[..., None].astype("float32")
model = keras.Sequential(
    [keras.Input((None, 1)), keras.layers.LSTM(16, return_sequences=True), keras.layers.Dense(1)]
)
model.compile(keras.optimizers.Adam(0.02), "mse")
model.fit(waves[:, :-1], waves[:, 1:], batch_size=40, epochs=12, verbose=0)

folder = Path(tempfile.mkdtemp())
model.save(folder / "model.keras")
fast = seqstate.load(folder / "model.keras")
store = f"sqlite:///{folder}/states.db"

speeds = {"pump": 0.12, "valve": 0.25, "motor": 0.43}
series = {name: np.sin(time * speed)[:, None].astype("float32") for name, speed in speeds.items()}
said = {name: [] for name in series}
for part in (range(60), range(60, 120)):  # two processes, one after the other
    with fast.streams(store) as streams:
        for t in part:
            samples = np.stack([values[t] for values in series.values()])
            outputs = streams.push_many(list(series), samples)
            for name, output in zip(series, outputs, strict=True):
                said[name].append(output)

errors = {}
for name, values in series.items():
    found = np.stack(said[name])
    whole = fast.run(values[None, :-1])[0][0]
    errors[name] = float(np.sqrt(((found[20:] - values[21:]) ** 2).mean()))
    same = "the same bits as of the whole series" if np.array_equal(found, whole) else "other bits"
    print(f"{name:6} error {errors[name]:.3f} of an amplitude of 1, {same}")
