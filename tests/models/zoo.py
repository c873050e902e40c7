"""Models of every form, of Keras's layers or of ours, and what the equations say of them."""

import keras
import numpy as np

import seqstate.layers
from cases import FEATURES, TOLERANCE, data
from frameworks import arrays
from seqstate import state as states
from seqstate.kernels import reference

K = keras.layers
ROWS, STEPS = 5, 4
X = data(ROWS, STEPS, FEATURES)
IDS = np.array([[1, 2, 3, 0], [4, 0, 0, 0], [1, 1, 2, 2], [2, 3, 0, 1], [1, 0, 0, 3]])
OF = {"keras": keras.layers, "seqstate": seqstate.layers}


def sequential(m):
    inner = [keras.Input((None, FEATURES)), m.LSTM(5, return_sequences=True, name="below")]
    return keras.Sequential([*inner, m.GRU(3, name="above"), K.Dense(2)]), X


def masked(m):
    layers = [
        keras.Input((None,), dtype="int32"),
        K.Embedding(5, FEATURES, mask_zero=True, name="table"),
        m.Bidirectional(m.LSTM(3, return_sequences=True), name="both"),
        m.SimpleRNN(2, return_sequences=True, go_backwards=True, name="back"),
    ]
    return keras.Sequential(layers), IDS


def encoder_decoder(m):
    source, target = keras.Input((None, FEATURES)), keras.Input((None, FEATURES))
    _, h, c = m.LSTM(3, return_state=True, name="encoder")(source)
    decoder = m.LSTM(3, return_sequences=True, name="decoder")
    decoded = decoder(target, initial_state=[h, c])
    return keras.Model([source, target], {"decoded": decoded, "c": c}), [X, X[:, ::-1]]


def nested(m):
    inside = [keras.Input((None, FEATURES)), m.GRU(4, return_sequences=True, name="layer")]
    inner = keras.Sequential(inside, name="encoder")
    inputs = keras.Input((None, FEATURES))
    return keras.Model(inputs, m.LSTM(3, name="layer")(inner(inputs))), X


def subclassed(m):
    class Residual(K.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.inner = m.GRU(FEATURES, return_sequences=True, reset_after=False, name="inner")

        def call(self, x):
            return x + self.inner(x)

    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.blocks = [Residual(name="first"), Residual(name="second")]
            self.head = {"last": m.LSTM(2, activation="relu", name="last")}

        def call(self, x):
            for block in self.blocks:
                x = block(x)
            return self.head["last"](x)

    model = Own()
    model(X[:1])
    return model, X


def stacked_cells(m):
    cells = [m.LSTMCell(4), m.GRUCell(3)]
    return keras.Sequential([keras.Input((STEPS, FEATURES)), m.RNN(cells, name="stack")]), X


def sum_of_directions(m):
    layer = m.Bidirectional(m.GRU(3, return_sequences=True), merge_mode="sum", name="both")
    return keras.Sequential([keras.Input((None, FEATURES)), layer]), X


def not_merged(m):
    layer = m.Bidirectional(m.LSTM(3), merge_mode=None, name="both")
    inputs = keras.Input((None, FEATURES))
    return keras.Model(inputs, layer(inputs)), X


def zeroed(m):
    layers = [
        keras.Input((None,), dtype="int32"),
        K.Embedding(5, FEATURES, mask_zero=True, name="table"),
        m.GRU(3, return_sequences=True, zero_output_for_mask=True, name="gru"),
    ]
    return keras.Sequential(layers), IDS


def shared(m):
    layer = m.SimpleRNN(3, return_sequences=True, name="twice")
    inputs = keras.Input((None, 3))
    return keras.Model(inputs, layer(layer(inputs))), X[..., :3]


def time_distributed(m):
    layer = K.TimeDistributed(m.GRU(3, name="gru"), name="each")
    return keras.Sequential([keras.Input((2, STEPS, FEATURES)), layer]), np.stack([X, -X], axis=1)


MODELS = {
    made.__name__: made
    for made in (
        sequential,
        masked,
        encoder_decoder,
        nested,
        subclassed,
        stacked_cells,
        sum_of_directions,
        not_merged,
        zeroed,
        shared,
        time_distributed,
    )
}


def make(name, of):
    """Give a model with weights that are the same for Keras's layers and for ours."""
    model, x = MODELS[name](OF[of])
    model.set_weights([data(*w.shape, seed=i) * 0.5 for i, w in enumerate(model.weights)])
    return model, x


# What the equations say


def run(layer, x, **how):
    """Run a layer, or a cell, by the equations; the time axis in the order of the data."""
    cell = getattr(layer, "cell", layer)
    names = ("kernel", "recurrent_kernel", "bias")
    weights = dict(zip(names, layer.get_weights(), strict=True))
    found = reference.run(
        type(cell).__name__.removesuffix("Cell"),
        x,
        weights,
        activation=cell.activation.__name__,
        reset_after=getattr(cell, "reset_after", True),
        go_backwards=getattr(layer, "go_backwards", False),
        **how,
    )
    if getattr(layer, "go_backwards", False):
        flipped = ("sequence", "states", "gates")
        for name in flipped:
            found[name] = flip(found[name])
    del found["output"]
    return found


def flip(value):
    return states.map_leaves(flip, value) if isinstance(value, dict) else value[:, ::-1]


def both(layer, x, merge, **how):
    forward, backward = run(layer.forward_layer, x, **how), run(layer.backward_layer, x, **how)
    found = {
        name: {"forward": forward[name], "backward": backward[name]}
        for name in ("state", "states", "gates")
    }
    return {**found, "sequence": merge(forward["sequence"], backward["sequence"])}


def concatenated(a, b):
    return np.concatenate([a, b], axis=-1)


def expected(name, model):
    """Give what each layer of a model does, by layer name, as the equations say."""
    of = {layer.name: layer for layer in model._flatten_layers(include_self=False)}
    if name == "sequential":
        below = run(of["below"], X)
        return {"below": below, "above": run(of["above"], below["sequence"])}
    if name == "masked":
        x, mask = of["table"].get_weights()[0][IDS], IDS != 0
        # Bidirectional has its two layers put zeros where the mask skips.
        two = both(of["both"], x, lambda a, b: concatenated(a, b) * mask[..., None], mask=mask)
        return {"both": two, "back": run(of["back"], two["sequence"], mask=mask)}
    if name == "encoder_decoder":
        encoder = run(of["encoder"], X)
        decoder = run(of["decoder"], X[:, ::-1], initial_state=encoder["state"])
        return {"encoder": encoder, "decoder": decoder}
    if name == "nested":
        inner = run(model.get_layer("encoder").get_layer("layer"), X)
        return {
            "encoder/layer": inner,
            "layer": run(model.get_layer("layer"), inner["sequence"]),
        }
    if name == "subclassed":
        first = run(model.blocks[0].inner, X)
        x = X + first["sequence"]
        second = run(model.blocks[1].inner, x)
        last = run(model.head["last"], x + second["sequence"])
        return {"first/inner": first, "second/inner": second, "last": last}
    if name == "stacked_cells":
        lower, upper = of["stack"].cell.cells
        lower = run(lower, X)
        upper = run(upper, lower["sequence"])
        found = {k: {"cell_0": lower[k], "cell_1": upper[k]} for k in ("state", "states", "gates")}
        return {"stack": {**found, "sequence": upper["sequence"]}}
    if name == "sum_of_directions":
        return {"both": both(of["both"], X, np.add)}
    if name == "not_merged":
        pair = both(of["both"], X, lambda a, b: {"forward": a, "backward": b})
        return {"both": pair}
    if name == "zeroed":
        x, mask = of["table"].get_weights()[0][IDS], IDS != 0
        found = run(of["gru"], x, mask=mask)
        return {"gru": {**found, "sequence": found["sequence"] * mask[..., None]}}
    if name == "shared":
        first = run(of["twice"], X[..., :3])
        return {"twice": first, "twice@2": run(of["twice"], first["sequence"])}
    parts = [run(of["each"].layer, x) for x in (X, -X)]
    flat = [states.flatten(part) for part in parts]
    stacked = {path: np.stack([f[path] for f in flat], axis=1) for path in flat[0]}
    return {"each/gru": states.unflatten(stacked)}


# The same model with other layers


def of_layers(model):
    """Give the packages of the recurrent layers and their cells."""
    cells = [getattr(layer, "cell", None) for layer in model._flatten_layers()]
    names = seqstate.layers.__all__
    found = [o for o in (*model._flatten_layers(), *cells) if type(o).__name__ in names]
    return {type(one).__module__.partition(".")[0] for one in found}


def same(model, *others, x=X):
    for other in others:
        for a, b in zip(arrays(other(x)), arrays(model(x)), strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=TOLERANCE["float32"])


class Body(keras.Model):
    def __init__(self):
        super().__init__()
        self.inner = K.LSTM(2, name="inner")

    def call(self, x):
        return self.inner(x)

    def get_config(self):
        return {}
