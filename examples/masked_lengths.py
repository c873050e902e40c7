"""Rows of different lengths in one batch give what each row gives alone.

Three ways to say what is padding: `lengths`, a mask, and a mask that travels from an Embedding.
"""

import seqstate  # noqa: F401, I001  (first: it picks a backend that is installed)
import keras
import numpy as np
from seqstate.layers import LSTM

keras.utils.set_random_seed(0)
LENGTHS = [5, 2, 0]  # a length of zero is fine

to_numpy = keras.ops.convert_to_numpy
x = np.random.rand(3, 5, 2).astype("float32")
x[1, 2:] = np.nan  # whatever stands in the padding, it is not read
x[2] = np.nan

layer = LSTM(4, returns=("output", "states", "gates"))
by_lengths = layer(x, lengths=LENGTHS)
by_mask = layer(x, mask=np.arange(5) < np.array(LENGTHS)[:, None])
alone = layer(x[1:2, :2])

together = to_numpy(by_lengths["output"])
print("row 1 in the batch:", together[1].round(4))
print("row 1 alone:       ", to_numpy(alone["output"])[0].round(4))
print("the same by a mask:", to_numpy(by_mask["output"])[1].round(4))
print("row 2, of length 0:", together[2])
print(
    "c of row 1 at each step, first unit: ", to_numpy(by_lengths["states"]["c"])[1, :, 0].round(4)
)
print(
    "forget gate of row 1, first unit:    ",
    to_numpy(by_lengths["gates"]["forget"])[1, :, 0].round(4),
)

words = keras.Input((None,), dtype="int32")
vectors = keras.layers.Embedding(10, 3, mask_zero=True)(words)  # 0 is padding
model = keras.Model(words, LSTM(4)(vectors))
padded = model.predict(np.array([[7, 3, 0, 0, 0]]), verbose=0)
bare = model.predict(np.array([[7, 3]]), verbose=0)
print(
    f"a text with and without padding: the largest difference is {np.abs(padded - bare).max():.1e}"
)
