"""Small encoder-decoders, and their data, for tests."""

import numpy as np
from keras import ops

from cases import data
from frameworks import array
from seqstate.layers import GRU, LSTM
from seqstate.models import Decoder, Encoder, EncoderDecoder

TOKENS, START, STOP = 6, 5, 4
SOURCE = np.array([[1, 2, 3, 1], [3, 3, 0, 0], [2, 1, 2, 0]])  # 0 pads
TARGET = np.array([[3, 2, 4, 4, 4], [1, 4, 1, 2, 0], [2, 2, 1, 3, 4]])
ATTENTIONS = (None, "luong", "bahdanau")


def encoder(layers=None, **how):
    layers = layers or LSTM(4, name="reads")
    return Encoder(layers, tokens=4, embedding=3, padding=0, name="encoder", **how)


def decoder(layers=None, **how):
    how = {"tokens": TOKENS, "start": START, "stop": STOP, "embedding": 3, **how}
    return Decoder(layers or LSTM(4, name="says"), name="decoder", **how)


def translator(attention=None, layers=None, reads=None, **how):
    """Make one with weights that say different things for different sources."""
    model = EncoderDecoder(encoder(reads), decoder(layers, attention=attention), **how)
    return with_weights(model)


def with_weights(model, scale=1.2):
    if not model.built:
        model.build({"source": (None, 4)})
    for i, weight in enumerate(model.trainable_variables):
        weight.assign(data(*weight.shape, seed=i) * scale)
    return model


def of_values(hand_on="state", **how):
    """Make one that reads three values a step and says two."""
    says = Decoder(GRU(4, name="says"), outputs=2, name="decoder", **how)
    model = EncoderDecoder(Encoder(GRU(4, name="reads"), name="encoder"), says, hand_on=hand_on)
    model.build({"source": (None, None, 3)})
    return with_weights(model, 0.7)


def log_chances(model, source, target):
    """Give `[batch, time, tokens]`: the logarithm of each token's probability at each step."""
    scores = model({"source": source, "target": target})
    return array(ops.log_softmax(scores, axis=-1))


def chance_of(model, source, target):
    """Give the logarithm of the probability of each row of a target, up to its stop token."""
    each = np.take_along_axis(log_chances(model, source, target), target[..., None], -1)[..., 0]
    after = np.cumsum(target == STOP, axis=1) - (target == STOP)
    return np.where(after == 0, each, 0.0).sum(axis=1)
