"""Two ways to hand a sequence on: the state, or the last output at every step.

With the state the decoder also reads what it said before; in the RepeatVector form it only ever
reads the encoder's output. Both learn to sort six numbers, with the same sizes and epochs. Which is
better depends on the task: sorting can do without what was said before.
"""

import seqstate  # noqa: F401, I001  (first: it picks a backend that is installed)
import keras
import numpy as np
from seqstate.layers import GRU
from seqstate.models import Decoder, Encoder, EncoderDecoder

TOKENS, LENGTH, START = 9, 6, 8
rng = np.random.default_rng(0)
numbers = rng.integers(0, 8, (2200, LENGTH))
in_order = np.sort(numbers, axis=1)
learned, new = slice(0, 2000), slice(2000, None)

right = {}
for hand_on in ("state", "repeat"):
    keras.utils.set_random_seed(1)
    model = EncoderDecoder(
        Encoder(GRU(48), tokens=TOKENS, embedding=16),
        Decoder(GRU(48), tokens=TOKENS, start=START, embedding=16),
        hand_on=hand_on,
    )
    model.compile(keras.optimizers.Adam(0.01))
    model.fit(numbers[learned], in_order[learned], batch_size=50, epochs=5, verbose=0)
    said = model.generate(numbers[new], LENGTH).tokens
    right[hand_on] = (said == in_order[new]).mean()
    print(f"{hand_on:6} {right[hand_on]:.0%} of the numbers at the right place")
