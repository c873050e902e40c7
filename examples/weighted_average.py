"""A task where an average helps: RWA beside LSTM, on a mean over sixty steps.

Some steps are marked. The answer is the mean of the numbers at the marked steps, wherever they
are. An RWA keeps an average and has to learn what to give attention to; an LSTM has to keep a
sum over sixty steps, and their count.
"""

import seqstate  # noqa: I001  (first: it picks a backend that is installed)
import keras
import numpy as np
from seqstate.layers import LSTM, RWA

TIME, UNITS = 60, 24


def data(rows, seed):
    random = np.random.default_rng(seed)
    numbers = random.uniform(-1, 1, (rows, TIME))
    marks = random.random((rows, TIME)) < random.uniform(0.02, 0.3, (rows, 1))
    marks[:, 0] |= ~marks.any(axis=1)
    mean = (numbers * marks).sum(axis=1) / marks.sum(axis=1)
    return np.stack([numbers, marks], axis=-1).astype("float32"), mean.astype("float32")


x, y = data(768, seed=1)
new, new_y = data(512, seed=2)
error = {}
for kind in (LSTM, RWA):
    keras.utils.set_random_seed(0)
    layer = kind(UNITS, name=kind.__name__.lower())
    model = keras.Sequential([keras.Input((TIME, 2)), layer, keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.01), "mse")
    model.fit(x, y, batch_size=32, epochs=6, verbose=0)
    error[kind.__name__] = float(model.evaluate(new, new_y, verbose=0))

print(f"saying zero: mean squared error {(new_y**2).mean():.4f}")
for name, value in error.items():
    print(f"{name:4}         mean squared error {value:.4f}")

share = seqstate.trace(model, new[:200])["rwa"].gates["share"]  # of each step in the average
marked = new[:200, :, 1] == 1
late = np.arange(TIME) >= 20  # the first steps get a large share whatever they are
share_marked = float(share[marked & late].mean())
share_other = float(share[~marked & late].mean())
print(f"a marked step gets {share_marked / share_other:.1f} times the share of another one")
