"""Two streams, one LSTM cell each, whose cell states are averaged after each step and fed back.

The left stream reads one sensor, the right stream the other. The answer comes from the left one
alone and must be the sum over both sensors so far: it has to learn of the right sensor through
the cell state. In the end a layer with a weight of its own learns how much is to be mixed.
"""

import seqstate  # noqa: I001  (first: it picks a backend that is installed)
import keras
import numpy as np
from keras import ops
from seqstate.layers import RNN, CoupledCells, LSTMCell

UNITS = 8
keras.utils.set_random_seed(0)
x = np.random.uniform(-1, 1, (384, 8, 2)).astype("float32")  # [batch, time, sensor]
y = x.sum(axis=-1, keepdims=True).cumsum(axis=1) / 3
new = np.random.uniform(-1, 1, (256, 8, 2)).astype("float32")
new_y = new.sum(axis=-1, keepdims=True).cumsum(axis=1) / 3


@keras.saving.register_keras_serializable(package="examples")
def average_of_c(states):
    """Carry the average of the two cell states in both streams."""
    c = (states["left"]["c"] + states["right"]["c"]) / 2
    return {name: {**state, "c": c} for name, state in states.items()}


@keras.saving.register_keras_serializable(package="examples")
class LearnedMix(keras.layers.Layer):
    """Give each unit of both cell states a trained share of the other stream: 0 to begin with."""

    def build(self, states_shape):
        """Create a weight for each unit."""
        units = states_shape["left"]["c"][-1]
        self.share = self.add_weight(shape=(units,), initializer="zeros", name="share")

    def call(self, states):
        """Move the two cell states towards each other."""
        left, right = states["left"], states["right"]
        moved = self.share * (right["c"] - left["c"])
        return {
            "left": {**left, "c": left["c"] + moved},
            "right": {**right, "c": right["c"] - moved},
        }


def train(cell, sensors=2):
    model = keras.Sequential(
        [
            keras.Input((8, sensors)),
            RNN(cell, return_sequences=True, name="pair"),
            keras.layers.Dense(1),
        ]
    )
    model.compile(keras.optimizers.Adam(0.02), "mse")
    model.fit(x[..., :sensors], y, batch_size=64, epochs=9, verbose=0)
    return model, float(model.evaluate(new[..., :sensors], new_y, verbose=0))


def pair(mix):
    cells = {"left": LSTMCell(UNITS), "right": LSTMCell(UNITS)}
    return CoupledCells(cells, mix=mix, features={"left": 1, "right": 1}, merge_mode="left")


_, alone = train(LSTMCell(UNITS), sensors=1)
together, averaged = train(pair(average_of_c))
learning, learned = train(pair(LearnedMix()))

print(f"mean squared error of saying zero:    {(new_y**2).mean():.3f}")
print(f"the left stream alone:                {alone:.3f}")
print(f"the average of both cell states:      {averaged:.3f}")
print(f"a share that is learned for each unit: {learned:.3f}")

states = seqstate.trace(together, new[:1])["pair"].states
difference = float(np.abs(states["left"]["c"] - states["right"]["c"]).max())
print(f"the two cell states differ by {difference:.1f}")
share = ops.convert_to_numpy(learning.get_layer("pair").cell.mix.share)
print(f"learned shares, from {share.min():.2f} to {share.max():.2f}")
