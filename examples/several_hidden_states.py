"""A cell with three separate hidden states, each with a weight matrix and a speed of its own.

The answer at each step is a slow average of the input minus a fast one, the kind of number by
which a trend is told from a jump. Afterwards each hidden state is asked what it knows: the slow
one knows the slow average, the fast one what came in last.
"""

import seqstate  # noqa: I001  (first: it picks a backend that is installed)
import keras
import numpy as np
from keras import ops
from seqstate.layers import RNN

keras.utils.set_random_seed(0)
SPEEDS = {"fast": 0.6, "medium": 0.2, "slow": 0.04}


@keras.saving.register_keras_serializable(package="examples")
class SpeedsCell(keras.layers.Layer):
    """Hidden states by name, which don't see each other; each moves at a speed of its own."""

    def __init__(self, units, speeds, **kwargs):
        super().__init__(**kwargs)
        self.units, self.speeds = units, dict(speeds)
        self.state_size = dict.fromkeys(self.speeds, units)
        self.output_size = units * len(self.speeds)

    def build(self, input_shape):
        """Create the weights of each hidden state."""
        width = input_shape[-1] + self.units
        self.kernels = [
            self.add_weight(shape=(width, self.units), name=name) for name in self.speeds
        ]

    def call(self, inputs, states):
        """Run one step: all states side by side are the output."""
        new = {}
        for (name, speed), kernel in zip(self.speeds.items(), self.kernels, strict=True):
            seen = ops.concatenate([inputs, states[name]], axis=-1)
            aim = ops.tanh(ops.matmul(seen, kernel))
            new[name] = (1 - speed) * states[name] + speed * aim
        return ops.concatenate(list(new.values()), axis=-1), new

    def get_config(self):
        """Give the arguments, so that the cell can be saved."""
        return {**super().get_config(), "units": self.units, "speeds": self.speeds}


def averaged(x, speed):
    """Give the average that moves at this speed."""
    level, levels = 0.0, []
    for t in range(x.shape[1]):
        level = (1 - speed) * level + speed * x[:, t]
        levels.append(level)
    return np.stack(levels, axis=1)


def data(rows):
    steps = np.random.normal(0, 0.5, (rows, 40, 1)) + np.random.normal(0, 0.2, (rows, 1, 1))
    x = steps.astype("float32")
    return x, averaged(x, 0.05) - averaged(x, 0.5)


x, y = data(512)
new, new_y = data(256)


model = keras.Sequential(
    [
        keras.Input((40, 1)),
        RNN(SpeedsCell(4, SPEEDS), return_sequences=True, name="speeds"),
        keras.layers.Dense(1),
    ]
)
model.compile(keras.optimizers.Adam(0.02), "mse")
model.fit(x, y, batch_size=32, epochs=6, verbose=0)
error = float(model.evaluate(new, new_y, verbose=0))
print(f"mean squared error of saying zero: {(new_y**2).mean():.4f}")
print(f"three hidden states:               {error:.4f}")


def known_by(state, wanted):
    """Give the share of the variance of a number that a linear reading of a state tells."""
    seen = np.concatenate([state, np.ones_like(state[..., :1])], axis=-1).reshape(-1, 5)
    wanted = wanted.reshape(-1)
    reading = seen @ np.linalg.lstsq(seen, wanted, rcond=None)[0]
    return float(1 - ((wanted - reading) ** 2).mean() / wanted.var())


states = seqstate.trace(model, new)["speeds"].states
slow_average, last_jump = averaged(new, 0.05), new - averaged(new, 0.05)
knows = {}
for name, state in states.items():
    knows[name] = known_by(state, slow_average), known_by(state, last_jump)
    print(
        f"{name:6} knows {knows[name][0]:.0%} of the slow average, {knows[name][1]:.0%} of the jump"
    )
