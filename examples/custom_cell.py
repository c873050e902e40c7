"""A cell with three named states of different shapes, and a gate.

It writes what it reads into a small memory of slots, `[slots, units]`, and answers with what
stands in the slot that fits best. It also counts the steps that counted.
"""

import seqstate  # noqa: F401, I001  (first: it picks a backend that is installed)
import keras
import numpy as np
from keras import ops
from seqstate.layers import RNN, GRUCell


@keras.saving.register_keras_serializable(package="examples")
class SlotCell(keras.layers.Layer):
    """Write to one of several slots, softly; read from the same."""

    def __init__(self, units, slots, **kwargs):
        super().__init__(**kwargs)
        self.units, self.slots = units, slots
        self.state_size = {"h": units, "memory": (slots, units), "steps": 1}
        self.output_size = units
        self.gate_sizes = {"slot": slots}

    def build(self, input_shape):
        """Create the weights for inputs `[batch, features]`."""
        self.value = self.add_weight(shape=(input_shape[-1], self.units), name="value")
        self.choice = self.add_weight(shape=(input_shape[-1], self.slots), name="choice")

    def call(self, inputs, states):
        """Run one step: the output, the new states and the gates."""
        slot = ops.softmax(ops.matmul(inputs, self.choice))  # [batch, slots]
        value = ops.tanh(ops.matmul(inputs, self.value))  # [batch, units]
        write = slot[:, :, None]
        memory = states["memory"] * (1 - write) + write * value[:, None, :]
        h = ops.sum(write * memory, axis=1)
        return h, {"h": h, "memory": memory, "steps": states["steps"] + 1}, {"slot": slot}

    def get_config(self):
        """Give the arguments, so that the cell can be saved."""
        return {**super().get_config(), "units": self.units, "slots": self.slots}


def shapes(value):
    return keras.tree.map_structure(lambda v: tuple(v.shape), value)


x = np.random.rand(2, 5, 3).astype("float32")
layer = RNN(SlotCell(units=4, slots=3), returns=("output", "state", "states", "gates"))
r = layer(x, lengths=[5, 2])
for name, value in r.items():
    print(f"{name:8} {shapes(value)}")
print("steps that counted:", ops.convert_to_numpy(r["state"]["steps"]).reshape(-1))

stack = RNN([GRUCell(6), SlotCell(units=4, slots=3)], returns="state")
print("in a stack:", shapes(stack(x)["state"]))
