"""An encoder-decoder learns to write dates the standard way: "9 march 1998" becomes 1998-03-09.

It is one model: `fit` teaches it, `generate` uses it, and its file needs no wiring. Attention
shows where it looked while it wrote each letter.
"""

import seqstate  # noqa: F401, I001  (first: it picks a backend that is installed)
import datetime

import keras
import numpy as np
from seqstate.layers import GRU, Bidirectional
from seqstate.models import Decoder, Encoder, EncoderDecoder

LETTERS = ["", *" -,0123456789abcdefghijklmnopqrstuvwxyz", "<stop>", "<start>"]
ID = {letter: number for number, letter in enumerate(LETTERS)}
STOP, START = ID["<stop>"], ID["<start>"]
keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)


def written(date):
    """Write a date in one of three ways."""
    form = rng.choice(["%d %B %Y", "%B %d, %Y", "%d %b %Y"])
    return date.strftime(form).lower().lstrip("0")


def ids(texts, length):
    rows = [[ID[letter] for letter in text] for text in texts]
    return keras.utils.pad_sequences(rows, maxlen=length, padding="post")


first = datetime.date(1950, 1, 1)
dates = [first + datetime.timedelta(int(days)) for days in rng.integers(0, 30000, 3000)]
source = ids([written(date) for date in dates], 18)
target = ids([date.isoformat() for date in dates], 11)
target[:, 10] = STOP

model = EncoderDecoder(
    Encoder(Bidirectional(GRU(32)), tokens=len(LETTERS), embedding=16, padding=0),
    Decoder(GRU(64), tokens=len(LETTERS), start=START, stop=STOP, embedding=16, attention="luong"),
)
model.compile(keras.optimizers.Adam(0.01), metrics=["accuracy"])
history = model.fit(source[:2800], target[:2800], batch_size=56, epochs=5, verbose=0)
print("loss", np.round(history.history["loss"], 3))

said = model.generate(source[2800:], 11, states=True)
right = (said.tokens == target[2800:]).all(axis=1).mean()
for row in range(3):
    asked = "".join(LETTERS[i] for i in source[2800 + row])
    print(f"{asked:>18}  {''.join(LETTERS[i] for i in said.tokens[row][:10])}")
print(f"{right:.0%} of 200 dates that it never saw are right")

# Where it looked while it wrote the year.
looked = said.attention[0, :4].argmax(axis=1)
print("the year came from", [LETTERS[source[2800, place]] for place in looked])

beams = model.generate(source[2800:2801], 11, "beam", beam_width=3, every_beam=True)
for tokens, score in zip(beams.tokens[0], beams.scores[0], strict=True):
    print(f"{''.join(LETTERS[i] for i in tokens[:10])}  {np.exp(score):.3f}")
