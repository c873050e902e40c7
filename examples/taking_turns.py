"""Two decoders say one target and take turns: where one says a comma, the other goes on.

A code such as `b2a1` is written out as `bb,a,`. The first part is said by one decoder, which hands
its state over to the other one for the second part; their sizes differ, so a layer between them is
learned. Each row takes its own turns, and the turns can be read off the states.
"""

import seqstate  # noqa: F401, I001  (first: it picks a backend that is installed)
import keras
import numpy as np
from seqstate.layers import GRU
from seqstate.models import Decoder, Encoder, EncoderDecoder, HandOver

LETTERS = ["", "a", "b", "1", "2", ",", "<stop>", "<start>"]
ID = {letter: number for number, letter in enumerate(LETTERS)}
COMMA, STOP, START = ID[","], ID["<stop>"], ID["<start>"]
rng = np.random.default_rng(0)
keras.utils.set_random_seed(0)


def code():
    return "".join(rng.choice(["a", "b"]) + rng.choice(["1", "2"]) for _ in range(2))


def written_out(text):
    return "".join(letter * int(n) + "," for letter, n in zip(text[::2], text[1::2], strict=True))


def ids(texts, length):
    rows = [[ID[letter] for letter in text] for text in texts]
    return keras.utils.pad_sequences(rows, maxlen=length, padding="post", value=STOP)


codes = [code() for _ in range(600)]
source, target = ids(codes, 4), ids([written_out(text) for text in codes], 7)

of = {"tokens": len(LETTERS), "start": START, "stop": STOP, "embedding": 8}
turns = HandOver(
    {"first": Decoder(GRU(32, name="a"), **of), "second": Decoder(GRU(24, name="b"), **of)},
    rules=[("first", COMMA, "second"), ("second", COMMA, "first")],
)
model = EncoderDecoder(Encoder(GRU(32), tokens=len(LETTERS), embedding=8), turns)
model.compile(keras.optimizers.Adam(0.01))
model.fit(source, target, batch_size=50, epochs=30, verbose=0)

said = model.generate(source, 7, states=True)
right = (said.tokens == target).all(axis=1).mean()
print(f"{right:.0%} are written out without a mistake")
for row in range(3):
    names = ["first", "second"]
    speakers = [names[i] for i in said.states["active"][row, : said.lengths[row]]]
    print(
        codes[row],
        *(f"{LETTERS[t]} ({who})" for t, who in zip(said.rows()[row], speakers, strict=True)),
    )
handed_over = (said.states["active"] == 1).any(axis=1).mean()
