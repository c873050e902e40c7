"""An encoder hands its state to a decoder, which learns to write short series in reverse.

One model trains both. Two small models over the same layers then write new series, one step at
a time: the state comes out of one call by name and goes into the next.
"""

import seqstate  # noqa: F401, I001  (first: it picks a backend that is installed)
import keras
import numpy as np
from seqstate.layers import GRU

TOKENS, UNITS, LENGTH = 6, 48, 3  # 0 means "start"; 1 to 5 are the tokens
keras.utils.set_random_seed(0)

embed = keras.layers.Embedding(TOKENS, 12)
encoder = GRU(UNITS, returns="state", name="encoder")
decoder = GRU(UNITS, returns=("sequence", "state"), name="decoder")
head = keras.layers.Dense(TOKENS)

# To train: the decoder reads the right answer, one step late, and has to say the next token.
source = keras.Input((LENGTH,), dtype="int32")
before = keras.Input((None,), dtype="int32")
encoded = encoder(embed(source))["state"]
decoded = decoder(embed(before), initial_state=encoded)
model = keras.Model([source, before], head(decoded["sequence"]))
model.compile(
    keras.optimizers.Adam(0.02), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)

series = np.random.randint(1, TOKENS, (1024, LENGTH))
answer = series[:, ::-1]
shifted = np.concatenate([np.zeros((len(series), 1), int), answer[:, :-1]], axis=1)
history = model.fit([series, shifted], answer, batch_size=64, epochs=5, verbose=0)
print("loss by epoch", np.round(history.history["loss"], 3))

# To write: the state is an input and an output, by name.
encode = keras.Model(source, encoded)
token = keras.Input((1,), dtype="int32", name="token")
h = keras.Input((UNITS,), name="h")
one = decoder(embed(token), initial_state={"h": h})
step = keras.Model({"token": token, "h": h}, {"logits": head(one["sequence"]), **one["state"]})


def write(series):
    state = encode.predict_on_batch(series)
    token = np.zeros((len(series), 1), "int32")
    written = []
    for _ in range(LENGTH):
        result = step.predict_on_batch({"token": token, **state})
        state = {"h": result["h"]}
        token = result["logits"].argmax(axis=-1).astype("int32")
        written.append(token)
    return np.concatenate(written, axis=1)


new = np.random.randint(1, TOKENS, (200, LENGTH))
written = write(new)
for one_series, one_answer in zip(new[:3], written[:3], strict=True):
    print(f"{one_series} is written as {one_answer}")
right = (written == new[:, ::-1]).all(axis=1).mean()
print(f"{right:.0%} of 200 new series are reversed without a mistake")
