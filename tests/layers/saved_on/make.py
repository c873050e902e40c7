"""Write the model of `test_result_order.py` on a backend, from the root of the repository:

KERAS_BACKEND=torch python tests/layers/saved_on/make.py
"""

from pathlib import Path

import keras

from seqstate.layers import LSTM, Bidirectional

PATHS = {
    "lstm": ("states/c", "states/h", "state/h", "state/c", "gates/forget", "gates/candidate"),
    "both": ("states/backward/c", "state/forward/h", "gates/forward/input", "sequence/backward"),
}


def at(results, path):
    """Follow a path such as `state/c` into what a layer gave."""
    for name in path.split("/"):
        results = results[name]
    return results


def model(**more):
    """Make a model that goes on from results by name."""
    x = keras.Input((None, 3))
    lstm = LSTM(2, returns="all", name="lstm", **more)
    inner = LSTM(2, returns=("sequence", "state", "states", "gates"), **more)
    both = Bidirectional(inner, merge_mode=None, name="both")
    results = {"lstm": lstm(x), "both": both(x)}
    return keras.Model(x, [at(results[name], path) for name in PATHS for path in PATHS[name]])


if __name__ == "__main__":
    keras.utils.set_random_seed(1)
    model().save(Path(__file__).parent / f"{keras.backend.backend()}.keras")
