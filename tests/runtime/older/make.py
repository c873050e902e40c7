"""Write the models of older Keras versions that `test_older.py` reads.

Run it where the older version is installed, from the root of the repository:

    pip install "tensorflow-cpu==2.15.1" "numpy<2"
    python tests/runtime/older/make.py keras2

    pip install "keras==3.3.3" "jax[cpu]" packaging
    KERAS_BACKEND=jax python tests/runtime/older/make.py keras3_3
"""

import sys
import tempfile
import zipfile
from pathlib import Path

import keras
import numpy as np

K = keras.layers
HERE = Path(__file__).parent
RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 6, 3)).astype("float32")
IDS = np.array([[1, 2, 3, 4, 1, 0], [2, 2, 1, 0, 3, 0]], "int32")


def both_ways():
    layers = [
        K.Embedding(5, 3, mask_zero=True),
        K.Bidirectional(K.LSTM(2, return_sequences=True), name="both"),
        K.Bidirectional(K.GRU(2), backward_layer=K.GRU(2, go_backwards=True, activation="relu")),
    ]
    return keras.Sequential([keras.Input((None,), dtype="int32"), *layers]), [IDS]


def cells():
    layers = [
        K.TimeDistributed(keras.Sequential([K.Dense(3, "hard_sigmoid"), K.LeakyReLU(0.1)])),
        K.RNN([K.LSTMCell(2), K.LSTMCell(3)], return_sequences=True),
        K.GRU(2, reset_after=False, recurrent_activation="hard_sigmoid", return_sequences=True),
        K.GRU(2, use_bias=False, return_sequences=True),
        K.SimpleRNN(2),
    ]
    return keras.Sequential([keras.Input((None, 3)), *layers]), [X]


def nested():
    inner = keras.Sequential([keras.Input((None, 3)), K.LSTM(3, return_sequences=True)], name="in")
    a = keras.Input((None, 3))
    graph = keras.Model(a, K.Add()([K.GRU(3, return_sequences=True)(a), a]), name="graph")
    x = keras.Input((None, 3))
    dense = K.Dense(3)
    y = dense(graph(dense(inner(inner(x)))))
    return keras.Model(x, [y, graph(y)]), [X]


def states():
    x, mask = keras.Input((None, 3)), keras.Input((None,), dtype="bool")
    s, *state = K.Bidirectional(K.LSTM(2, return_sequences=True, return_state=True))(x)
    _, h, c = K.LSTM(2, return_state=True)(x, mask=mask)
    y = K.Bidirectional(K.LSTM(2))(s, initial_state=state)
    return keras.Model([x, mask], [y, K.LSTM(2)(s, initial_state=[h, c])]), [X, IDS != 0]


def fill(model):
    for weight in model.weights:
        weight.assign((RNG.normal(size=weight.shape) * 0.7).astype("float32"))


def main(name):
    """Put the models and what they give into one archive."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))
        with zipfile.ZipFile(HERE / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(Path(folder).iterdir()):
                archive.write(path, path.name)


def write(folder):
    arrays = {}
    for make in (both_ways, cells, nested, states):
        model, given = make()
        fill(model)
        made = model(given if len(given) > 1 else given[0], training=False)
        made = made if isinstance(made, list | tuple) else [made]
        for kind, several in (("in", given), ("out", made)):
            for i, one in enumerate(several):
                arrays[f"{make.__name__}/{kind}/{i}"] = np.asarray(one)
        for ending in ("keras", "h5"):
            model.save(folder / f"{make.__name__}.{ending}")
    np.savez(folder / "arrays.npz", **arrays)


if __name__ == "__main__":
    main(sys.argv[1])
