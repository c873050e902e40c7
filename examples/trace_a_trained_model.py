"""A trained model of Keras's own layers: look inside, see which unit follows what, keep the trace.

Run: python examples/trace_a_trained_model.py
"""

import seqstate  # noqa: I001  (first: it picks a backend that is installed)
import keras
import numpy as np

keras.utils.set_random_seed(3)

# Does the level of the last twenty steps lie above zero? The cell state has to count.
rng = np.random.default_rng(0)
x = rng.normal(size=(512, 20, 1)).astype("float32")
y = (x.mean(axis=1) > 0).astype("float32")

model = keras.Sequential(
    [
        keras.Input((20, 1)),
        keras.layers.LSTM(6, name="memory"),
        keras.layers.Dense(1, activation="sigmoid"),
    ]
)
model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
history = model.fit(x, y, epochs=12, batch_size=32, verbose=0)
print(f"accuracy: {history.history['accuracy'][-1]:.2f}")

trace = seqstate.trace(model, x[:100], what=("states", "gates"))
level = x[:100].cumsum(axis=1)[..., 0]  # what the model has to keep
cells = trace["memory"].states["c"]
for unit in range(cells.shape[-1]):
    follows = np.corrcoef(cells[..., unit].ravel(), level.ravel())[0, 1]
    print(f"c of unit {unit} follows the running sum: {follows:+.2f}")

trace.to_npz("memory.npz")
again = seqstate.Trace.from_npz("memory.npz")
print("read back:", np.array_equal(again["memory"].states["c"], cells))
