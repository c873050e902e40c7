"""An output that is fed back as the next input, with the truth in its place while it learns.

The series are waves. Each model reads the value before and says the next one; after a history it
has to run on from its own answers. Beside the hidden-to-hidden recurrence of a GRU cell stands a
network whose output is all that it carries: one value does not say if the wave goes up or down.
"""

import seqstate  # noqa: F401, I001  (first: it picks a backend that is installed)
import keras
import numpy as np
from keras.layers import Dense
from seqstate.layers import RNN, FeedbackCell, GRUCell

keras.utils.set_random_seed(0)
KNOWN, AHEAD = 16, 12
phase = np.random.uniform(0, 2 * np.pi, (512, 1, 1))
waves = np.sin(phase + 0.5 * np.arange(KNOWN + AHEAD + 1)[:, None]).astype("float32")
before, answer = waves[:, :-1], waves[:, 1:]
history = before.copy()
history[:, KNOWN:] = np.nan  # not known: there the cell takes its own answer
train, new = slice(0, 384), slice(384, None)


def model_of(cell, readout, forcing):
    series = keras.Input((KNOWN + AHEAD, 1))
    fed_back = FeedbackCell(cell, readout, forcing=forcing)
    model = keras.Model(series, RNN(fed_back, return_sequences=True)(series))
    model.compile(keras.optimizers.Adam(0.01), "mse")
    return model


def errors(model):
    """Give the error where each value before is known, and over the steps that run freely."""
    forced = model.predict(before[new], verbose=0) - answer[new]
    free = (model.predict(history[new], verbose=0) - answer[new])[:, KNOWN:]
    return float((forced**2).mean()), float((free**2).mean())


def hidden():
    return GRUCell(16), Dense(1)


def memoryless():
    return Dense(16, activation="tanh"), Dense(1)


found = {}
for name, parts, seen in (
    ("output to hidden alone, forced", memoryless(), before),
    ("with hidden to hidden, forced", hidden(), before),
    ("with hidden to hidden, free", hidden(), history),
):
    model = model_of(*parts, forcing="always")
    model.fit(seen[train], answer[train], batch_size=32, epochs=12, verbose=0)
    found[name] = errors(model)

print(f"saying zero: mean squared error {(answer[new] ** 2).mean():.3f}")
for name, (forced, free) in found.items():
    print(f"{name:31} next value {forced:.4f}, {AHEAD} steps ahead {free:.4f}")

# The same weights in two calls: one reads the history, one runs on from its state with no input.
cell, readout = model.layers[-1].cell.cell, model.layers[-1].cell.readout
state = RNN(FeedbackCell(cell, readout, forcing="always"), returns="state")(before[new, :KNOWN])
nothing = np.zeros((128, AHEAD, 0), "float32")
free = RNN(FeedbackCell(cell, readout), return_sequences=True)
ahead = keras.ops.convert_to_numpy(free(nothing, initial_state=state["state"]))
difference = float(np.abs(ahead - model.predict(history[new], verbose=0)[:, KNOWN:]).max())
print(f"history and forecast in two calls: the largest difference is {difference:.0e}")
