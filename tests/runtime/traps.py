"""Models that are easily loaded with wrong numbers, beside those of the zoo."""

import keras
import numpy as np
from keras import ops

from runtime.tables import FEATURES, IDS, STEPPED, STEPS, WHOLE, K, X, graph, line

WIDE = {"shape": X.shape[1:], "table": WHOLE}


@graph(STEPPED)
def operations_with_options():
    x = keras.Input((None, FEATURES))
    y = K.LSTM(4, return_sequences=True)(x)
    outputs = [
        ops.clip(y, -0.1, 0.1),
        ops.gelu(x),
        ops.gelu(x, approximate=False),
        ops.leaky_relu(x, 0.4),
        ops.elu(x, 0.5),
        ops.celu(x, 0.5),
        ops.log_softmax(x),
        ops.subtract(x2=x, x1=1.0),
    ]
    return x, outputs, X


@graph(WHOLE)
def the_end_beside_each_step():
    x = keras.Input((None, FEATURES))
    y, last = K.LSTM(4, return_sequences=True)(x), K.GRU(4)(x)
    seen = K.Attention()([y, K.RepeatVector(3)(last)])
    return x, [K.Add()([y, last]), y * ops.expand_dims(last, 1), seen], X


@graph(STEPPED)
def named_like_a_second_call():
    x = keras.Input((None, FEATURES))
    twice = K.LSTM(FEATURES, return_sequences=True, name="lstm")
    return x, [twice(twice(x)), K.LSTM(2, name="lstm@2")(x)], X


@graph(STEPPED)
def models_give_the_outputs():
    inner = keras.Sequential([K.Input((None, FEATURES)), K.GRU(FEATURES, return_sequences=True)])
    a = keras.Input((None, FEATURES))
    graph_of_it = keras.Model(a, K.SimpleRNN(FEATURES, return_sequences=True)(a))
    x = keras.Input((None, FEATURES))
    return x, [inner(x), inner(inner(x)), graph_of_it(graph_of_it(x)), graph_of_it(x)], X


@graph(STEPPED)
def shared_with_a_model():
    dense = K.Dense(FEATURES, "tanh", name="dense")
    layer = K.LSTM(FEATURES, return_sequences=True, name="lstm")
    a = keras.Input((None, FEATURES))
    inner = keras.Model(a, layer(dense(a)), name="inner")
    x = keras.Input((None, FEATURES))
    return x, dense(layer(inner(x))), X


@graph(STEPPED)
def shared_between_models():
    layers = [K.Dense(FEATURES, "tanh", name="dense"), K.GRU(FEATURES, return_sequences=True)]
    start = K.Input((None, FEATURES))
    first = keras.Sequential([start, *layers, K.Dense(FEATURES, name="own")], name="first")
    second = keras.Sequential([start, *layers[::-1], K.Dense(FEATURES, name="own")], name="second")
    x = keras.Input((None, FEATURES))
    return x, K.Dense(FEATURES, name="own")(second(first(x))), X


@graph(WHOLE)
def masks_that_are_merged():
    first, second = keras.Input((STEPS,), dtype="int32"), keras.Input((STEPS,), dtype="int32")
    pair = [K.Embedding(5, 3, mask_zero=True)(ids) for ids in (first, second)]
    half = [pair[0], K.Embedding(5, 3)(second), pair[1]]
    merges = [K.Multiply(), K.Maximum(), K.Minimum(), K.Add(), K.Concatenate(axis=1)]
    outputs = [K.LSTM(2)(merge(pair)) for merge in merges]
    outputs += [merge(half) for merge in merges[:3]]
    # Twice, so that steps with one of the masks, with both and with none are there.
    return [first, second], outputs, [IDS, IDS[:, ::-1].copy()]


@graph(STEPPED)
def masks_in_each_part():
    ids = keras.Input((None, 3), dtype="int32")
    parts = K.Embedding(5, 3, mask_zero=True)(ids)
    return ids, K.TimeDistributed(K.LSTM(2))(parts), np.stack([IDS, IDS[:, ::-1], IDS * 0 + 1], -1)


line(
    "bias for each step",
    lambda: K.EinsumDense("abc,cd->abd", (STEPS, 3), bias_axes="bd"),
    shape=X.shape[1:],
    table=WHOLE,
)
line(
    "transposed by an equation",
    lambda: K.EinsumDense("abc,cd->adb", (5, None), bias_axes="d"),
    shape=X.shape[1:],
    table=WHOLE,
)
line("BatchNormalization over time", lambda: K.BatchNormalization(axis=1), **WIDE)
line("slopes for each step", lambda: K.PReLU(), **WIDE)
line("permuted and dense", lambda: [K.Permute((2, 1)), K.Dense(2)], **WIDE)
line("as many rows as columns", lambda: [K.Reshape((14, 2)), K.GRU(2)], **WIDE)
line("windows, then a layer", lambda: [K.AveragePooling1D(3), K.LSTM(2)], table=WHOLE)


for name, made in {
    "LSTM": lambda: K.LSTM(3),
    "tanh": lambda: K.Activation("tanh"),
    "Rescaling": lambda: K.Rescaling(1 / 255),
    "BatchNormalization": lambda: K.BatchNormalization(),
}.items():
    line(f"whole numbers, {name}", made, x=(X * 50).astype("int32"))
line("tiny", lambda: K.UnitNormalization(), x=X * np.float32(1e-8))
