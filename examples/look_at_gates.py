"""Train a GRU on one output, then look at its state and gates with a second model.

The task: keep the number that came with a signal. So the update gate (how much of the old state
is kept) learns to be lower at the signal than at other steps. The second model is over the same
layers: it shares the weights, and `fit` never hears of its outputs.
"""

import seqstate  # noqa: F401, I001  (first: it picks a backend that is installed)
import keras
import numpy as np
from seqstate.layers import GRU

keras.utils.set_random_seed(0)
ROWS, TIME = 512, 6

number = np.random.uniform(-1, 1, (ROWS, TIME)).astype("float32")
when = np.random.randint(0, TIME, ROWS)
signal = np.eye(TIME, dtype="float32")[when]
x = np.stack([number, signal], axis=-1)  # [batch, time, features]
y = number[np.arange(ROWS), when]

inputs = keras.Input((TIME, 2))
r = GRU(4, returns="all")(inputs)
answer = keras.layers.Dense(1)(r["output"])

model = keras.Model(inputs, answer)
model.compile(keras.optimizers.Adam(0.03), "mse")
history = model.fit(x, y, batch_size=64, epochs=12, verbose=0)
print(f"mean squared error: first epoch {history.history['loss'][0]:.3f}, ", end="")
print(f"last epoch {history.history['loss'][-1]:.3f}")

looking = keras.Model(inputs, {"gates": r["gates"], "states": r["states"]})
seen = looking.predict(x, verbose=0)
update = seen["gates"]["update"].mean(axis=-1)  # [batch, time]: the mean over the units
print(f"update gate at the signal:  {update[signal == 1].mean():.2f}")
print(f"update gate at other steps: {update[signal == 0].mean():.2f}")

print("the first row, step by step:")
for t in range(TIME):
    h = seen["states"]["h"][0, t].round(2)
    print(f"  signal {signal[0, t]:.0f}  update {update[0, t]:.2f}  h {h}")
