"""Ask one LSTM for its output, its sequence, its state, or both, and see what the numbers are.

The weights are all set to one, so that everyone sees the same numbers.
"""

import seqstate  # noqa: F401, I001  (first: it picks a backend that is installed)
import keras
import numpy as np
from seqstate.layers import LSTM

x = np.array([[[0.1], [0.2], [0.3]]], dtype="float32")  # one row, three time steps, one feature


def lstm(**what):
    return LSTM(1, kernel_initializer="ones", recurrent_initializer="ones", **what)


def show(title, **values):
    print(title)
    for name, value in values.items():
        value = keras.ops.convert_to_numpy(value)
        print(f"  {name:8} shape {value.shape!s:9} {value.round(4).reshape(-1)}")


show("LSTM(1)", output=lstm()(x))

show("return_sequences=True", sequence=lstm(return_sequences=True)(x))

output, h, c = lstm(return_state=True)(x)
show("return_state=True: the output is h", output=output, h=h, c=c)

sequence, h, c = lstm(return_sequences=True, return_state=True)(x)
show("both: h is the last entry of the sequence", sequence=sequence, h=h, c=c)

named = lstm(returns=("output", "state", "states"))(x)
show("by name, with c at each step", output=named["output"], c=named["states"]["c"])
