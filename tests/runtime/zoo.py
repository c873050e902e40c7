"""Models of every layer that the runtime knows, each a function that gives a model and its input.

Those in `STEPPED` can be run a step at a time, those in `WHOLE` can't.
"""

import keras
from keras import ops

import runtime.functions
import runtime.traps  # noqa: F401
import seqstate.layers as ours
from runtime.tables import (
    FEATURES,
    HOLES,
    IDS,
    PARTS,
    ROW,
    STEPPED,
    STEPS,
    WHOLE,
    K,
    X,
    graph,
    line,
    listed,
)

# Recurrent layers

for kind in ("SimpleRNN", "GRU", "LSTM"):
    for whose, module in (("keras", K), ("ours", ours)):
        layer = getattr(module, kind)
        line(f"{whose} {kind}", lambda layer=layer: layer(5))
        line(f"{whose} {kind}, sequence", lambda layer=layer: layer(5, return_sequences=True))
    line(f"{kind}, no bias", lambda kind=kind: getattr(K, kind)(3, use_bias=False))
    line(f"{kind}, silu", lambda kind=kind: getattr(K, kind)(3, activation="silu"))
line("GRU, reset before", lambda: K.GRU(5, reset_after=False, return_sequences=True))
line("GRU, reset before, elu", lambda: K.GRU(5, reset_after=False, activation="elu"))
line("LSTM, hard_sigmoid", lambda: K.LSTM(5, recurrent_activation="hard_sigmoid"))
line("RWA", lambda: ours.RWA(5, return_sequences=True))
line("RWA, no bias", lambda: ours.RWA(5, use_bias=False))
line("learned start", lambda: ours.LSTM(5, learn_initial_state=True, return_sequences=True))
line("two layers", lambda: [K.LSTM(5, return_sequences=True), K.GRU(3), K.Dense(2)])
line("cells of Keras", lambda: K.RNN([K.LSTMCell(5), K.GRUCell(3)], return_sequences=True))
line("two of a kind", lambda: K.RNN([K.LSTMCell(5), K.LSTMCell(3)]))
line("cells of ours", lambda: ours.RNN([ours.LSTMCell(5), ours.RWACell(3)]))
line("one cell", lambda: K.RNN(K.SimpleRNNCell(5)))
line(
    "coupled",
    lambda: ours.RNN(
        ours.CoupledCells({"b": ours.LSTMCell(3), "a": ours.GRUCell(3)}, features={"b": 1, "a": 3})
    ),
)
line(
    "coupled, sum",
    lambda: ours.RNN(
        ours.CoupledCells({"a": ours.LSTMCell(3), "b": ours.GRUCell(3)}, merge_mode="sum")
    ),
)
line("feedback", lambda: ours.RNN(ours.FeedbackCell(ours.GRUCell(3), K.Dense(2))))
line(
    "feedback, always",
    lambda: ours.RNN(
        ours.FeedbackCell(ours.GRUCell(3), K.Dense(2), forcing="always"), return_sequences=True
    ),
)
line("feedback of a Dense", lambda: ours.RNN(ours.FeedbackCell(K.Dense(3, "tanh"), K.Dense(2))))
line("backwards", lambda: K.LSTM(5, go_backwards=True, return_sequences=True), table=WHOLE)
line("both ways", lambda: K.Bidirectional(K.LSTM(3, return_sequences=True)), table=WHOLE)
line("both ways, ours", lambda: ours.Bidirectional(ours.GRU(3)), table=WHOLE)
for mode in ("sum", "ave", "mul"):
    line(
        f"both ways, {mode}",
        lambda mode=mode: K.Bidirectional(K.GRU(3), merge_mode=mode),
        table=WHOLE,
    )
line(
    "decoder of a repeated vector",
    lambda: [K.LSTM(5), K.RepeatVector(4), K.LSTM(3, return_sequences=True)],
)


@graph(STEPPED)
def all_by_name():
    x = keras.Input((None, FEATURES))
    r = ours.LSTM(3, returns="all", name="lstm")(x)
    return x, {"c": r["states"]["c"], "h": r["state"]["h"], "f": r["gates"]["forget"]}, X


@graph(STEPPED)
def states_beside():
    x = keras.Input((None, FEATURES))
    y, h, c = K.LSTM(3, return_sequences=True, return_state=True)(x)
    return x, [y, h, c], X


@graph(WHOLE)
def not_merged():
    x = keras.Input((None, FEATURES))
    return x, K.Bidirectional(K.LSTM(3, return_sequences=True), merge_mode=None)(x), X


@graph(WHOLE)
def both_ways_states():
    x = keras.Input((None, FEATURES))
    return x, K.Bidirectional(K.LSTM(3, return_state=True))(x), X


@graph(WHOLE)
def both_ways_by_name():
    x = keras.Input((None, FEATURES))
    r = ours.Bidirectional(ours.LSTM(3, returns="all"))(x)
    return x, [r["sequence"], r["states"]["backward"]["c"], r["gates"]["forward"]["input"]], X


@graph(WHOLE)
def starts_from_another():
    x, y = keras.Input((None, FEATURES)), keras.Input((None, FEATURES))
    _, h, c = K.LSTM(3, return_state=True)(x)
    return [x, y], K.LSTM(3, return_sequences=True)(y, initial_state=[h, c]), [X, X[:, ::-1]]


@graph(WHOLE)
def starts_from_an_input():
    x, h = keras.Input((None, FEATURES), name="x"), keras.Input((5,), name="h")
    y = ours.LSTM(5)(x, initial_state={"c": h})
    return {"x": x, "h": h}, y, {"x": X, "h": ROW}


# Masks

line("masking", lambda: [K.Masking(), K.LSTM(5, return_sequences=True)], x=HOLES)
line("masking, output", lambda: [K.Masking(), K.Dropout(0.3), K.GRU(5)], x=HOLES)
line("masking, zeroed", lambda: [K.Masking(), K.GRU(5, zero_output_for_mask=True)], x=HOLES)
line("masked tokens", lambda: [K.Embedding(5, 3, mask_zero=True), K.LSTM(5)], x=IDS)
line("tokens", lambda: [K.Embedding(5, 3), K.SimpleRNN(5)], x=IDS)
line("tokens of one length", lambda: [K.Embedding(5, 3), K.GRU(5)], x=IDS, shape=(STEPS,))
line(
    "mask through layers",
    lambda: [
        K.Embedding(5, 3, mask_zero=True),
        K.Dense(4, "relu"),
        K.LayerNormalization(),
        K.TimeDistributed(K.Dense(3)),
        K.RNN([K.LSTMCell(5), K.GRUCell(3)], return_sequences=True),
        K.GlobalAveragePooling1D(),
    ],
    x=IDS,
)
line(
    "mask both ways",
    lambda: [
        K.Embedding(5, 3, mask_zero=True),
        K.Bidirectional(K.LSTM(3, return_sequences=True)),
        ours.Bidirectional(ours.GRU(3, returns=None)),
    ],
    x=IDS,
    table=WHOLE,
)
line(
    "masked, backwards",
    lambda: [
        K.Embedding(5, 3, mask_zero=True),
        K.RNN([K.GRUCell(3), K.LSTMCell(3)], go_backwards=True, return_sequences=True),
    ],
    x=IDS,
    table=WHOLE,
)


@graph(STEPPED)
def masks_in_a_graph():
    ids = keras.Input((None,), dtype="int32")
    e = K.Embedding(5, 3, mask_zero=True)(ids)
    y = K.LSTM(4, return_sequences=True)(e)
    z = ours.GRU(4, return_sequences=True)(y)
    both = K.Concatenate()([y, z])
    return ids, [K.GRU(3)(both), K.LSTM(2)(K.Add()([y, z])), K.GlobalAveragePooling1D()(y)], IDS


@graph(WHOLE)
def attention_with_masks():
    ids = keras.Input((None,), dtype="int32")
    e = K.Embedding(5, 3, mask_zero=True)(ids)
    a = K.Attention(use_scale=True)([e, e])
    b = K.AdditiveAttention()([e, e])
    return ids, [a, b, K.LSTM(2)(a)], IDS


# One time step like another

for name, made in {
    "Dense": lambda: K.Dense(3, "gelu"),
    "EinsumDense": lambda: K.EinsumDense("abc,cd->abd", (None, 3), bias_axes="d"),
    "EinsumDense, dots": lambda: K.EinsumDense("...x,xy->...y", 3, activation="tanh"),
    "ReLU": lambda: K.ReLU(max_value=1.0, negative_slope=0.1, threshold=0.2),
    "LeakyReLU": lambda: K.LeakyReLU(0.2),
    "ELU": lambda: K.ELU(0.5),
    "PReLU": lambda: K.PReLU(shared_axes=[1]),
    "Softmax": lambda: K.Softmax(),
    "BatchNormalization": lambda: K.BatchNormalization(),
    "LayerNormalization": lambda: K.LayerNormalization(),
    "UnitNormalization": lambda: K.UnitNormalization(),
    "Normalization": lambda: K.Normalization(),
    "Normalization, known": lambda: K.Normalization(mean=[1, 2, 3, 4], variance=[1, 4, 2, 1]),
    "Normalization, undone": lambda: K.Normalization(invert=True),
    "Rescaling": lambda: K.Rescaling(0.3, 0.1),
    "Dropout": lambda: [K.SpatialDropout1D(0.2), K.GaussianNoise(0.2), K.AlphaDropout(0.2)],
    "Conv1D of one step": lambda: K.Conv1D(3, 1),
    "TimeDistributed": lambda: K.TimeDistributed(K.Dense(3)),
}.items():
    line(name, lambda made=made: [*listed(made()), K.LSTM(3, return_sequences=True)])
for name in (
    *("celu", "elu", "exponential", "gelu", "hard_sigmoid", "hard_silu", "hard_tanh"),
    *("leaky_relu", "linear", "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu"),
    *("sigmoid", "silu", "softmax", "softplus", "softsign", "tanh", "tanh_shrink"),
):
    line(f"activation {name}", lambda name=name: K.Activation(name))


line("layer for each part", lambda: K.TimeDistributed(K.GRU(3)), x=PARTS)
line("reshaped", lambda: [K.Reshape((-1, 12)), K.LSTM(3)], x=PARTS)
line("permuted", lambda: [K.Permute((1, 3, 2)), K.TimeDistributed(K.LSTM(3))], x=PARTS)
line(
    "equations of four axes",
    lambda: K.EinsumDense("abcd,cde->abe", (None, 5), bias_axes="e"),
    x=PARTS,
)

# Over time

line("causal", lambda: K.Conv1D(3, 3, padding="causal", activation="relu"))
line("dilated", lambda: [K.Conv1D(3, 2, padding="causal", dilation_rate=3), K.GRU(3)])
line("in groups", lambda: K.Conv1D(4, 2, padding="causal", groups=2))
line("seen so far", lambda: [K.GlobalAveragePooling1D(), K.Dense(2)])
line("largest so far", lambda: K.GlobalMaxPooling1D(keepdims=True))
for padding in ("valid", "same"):
    line(f"Conv1D {padding}", lambda p=padding: K.Conv1D(3, 3, 2, padding=p), table=WHOLE)
    for kind in (K.MaxPooling1D, K.AveragePooling1D):
        line(
            f"{kind.__name__} {padding}",
            lambda kind=kind, p=padding: kind(3, 2, padding=p),
            table=WHOLE,
        )
line("flat", lambda: [K.Flatten(), K.Dense(2)], shape=(STEPS, FEATURES), table=WHOLE)
line("time as features", lambda: [K.Permute((2, 1)), K.Dense(2)], shape=X.shape[1:], table=WHOLE)
line(
    "LayerNormalization over time",
    lambda: K.LayerNormalization(axis=1),
    shape=X.shape[1:],
    table=WHOLE,
)


@graph(WHOLE)
def attention():
    x = keras.Input((None, FEATURES))
    y = K.GRU(4, return_sequences=True)(x)
    a, scores = K.Attention(score_mode="concat", use_scale=True)(
        [y, x], return_attention_scores=True
    )
    return x, [K.Attention()([y, x, y], use_causal_mask=True), a, scores], X


@graph(WHOLE)
def products():
    x = keras.Input((STEPS, FEATURES))
    y = K.GRU(5, return_sequences=True)(x)
    return x, [K.Dot((1, 1))([x, y]), K.Dot(-1, normalize=True)([x, x])], X


@graph(STEPPED)
def merged():
    x, row = keras.Input((None, FEATURES), name="x"), keras.Input((5,), name="row")
    y = K.GRU(5, return_sequences=True)(x)
    z = K.Multiply()([y, row])
    many = [K.Add, K.Subtract, K.Average, K.Maximum, K.Minimum]
    outputs = {layer.__name__: layer()([y, z]) for layer in many}
    last = K.GRU(5)(x)
    outputs["dot"] = K.Dot(-1)([last, row])
    outputs["joined"] = K.Concatenate()([last, row])
    return {"x": x, "row": row}, outputs, {"x": X, "row": ROW}


@graph(STEPPED)
def operations():
    x = keras.Input((None, FEATURES))
    y = K.LSTM(4, return_sequences=True)(x)
    z = ops.tanh(y * 2.0 - x) / 3 + ops.maximum(x, 0.0)
    more = [ops.mean(y, axis=-1, keepdims=True), ops.expand_dims(z[:, :, 0], -1)]
    z = ops.concatenate([z, *more], axis=-1)
    return x, [z, y[:, -1], ops.sum(ops.square(z), axis=-1), ops.where(x > 0, x, y)], X


@graph(WHOLE)
def operations_over_time():
    x = keras.Input((None, FEATURES))
    y = K.LSTM(4, return_sequences=True)(x)
    return x, [ops.mean(y, axis=1), y[:, 1:3]], X


@graph(STEPPED)
def nested():
    inner = keras.Sequential(
        [K.Input((None, FEATURES)), K.LSTM(5, return_sequences=True, name="lstm")], name="inner"
    )
    a = keras.Input((None, 5))
    deep = keras.Model(a, K.Dense(3)(K.GRU(4, return_sequences=True, name="gru")(a)), name="deep")
    x = keras.Input((None, FEATURES))
    y = deep(inner(x))
    return x, [K.LSTM(3, name="lstm")(y), y], X


@graph(STEPPED)
def shared():
    layer = K.SimpleRNN(FEATURES, return_sequences=True, name="twice")
    dense = K.Dense(FEATURES)
    x = keras.Input((None, FEATURES))
    return x, dense(layer(dense(layer(x)))), X


@graph(STEPPED)
def a_model_twice():
    a = keras.Input((None, FEATURES))
    inner = keras.Model(a, K.GRU(FEATURES, return_sequences=True, name="gru")(a), name="inner")
    x = keras.Input((None, FEATURES))
    return x, inner(inner(x)), X


MODELS = {**STEPPED, **WHOLE}
