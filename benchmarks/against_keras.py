"""How fast are the layers beside Keras's own, on the backend at hand?

Times `predict` and one epoch of `fit` of a model with one layer, ours and Keras's in turn, and
prints the ratio of the medians: above 1, ours is faster. Run:

    KERAS_BACKEND=jax python benchmarks/against_keras.py
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import keras
import numpy as np

import seqstate.layers

# batch, time, features, units
SHAPES = {
    "seq": (32, 100, 64, 128),
    "small": (32, 30, 1, 50),
    "wide": (256, 50, 16, 32),
    "narrow": (64, 100, 8, 64),
}
BATCHES = 4


def model_of(module: object, layer: str, shape: tuple[int, ...]) -> keras.Model:
    """Make a compiled model with one recurrent layer."""
    _, time_steps, features, units = shape
    made = getattr(module, layer)(units)
    model = keras.Sequential([keras.Input((time_steps, features)), made, keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def interleaved(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Give the median time of each run in seconds, one after the other in every round."""
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            taken[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in taken.items()}


def main() -> None:
    """Print a line for each layer, shape and task."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    print(f"Keras {keras.__version__} on {keras.backend.backend()}, medians of {rounds} rounds")
    print(f"{'layer':10} {'shape':24} {'task':8} {'Keras ms':>9} {'ours ms':>9} {'ratio':>6}")
    rng = np.random.default_rng(0)
    for layer in ("SimpleRNN", "GRU", "LSTM"):
        for name, shape in SHAPES.items():
            batch = shape[0]
            x = rng.normal(size=(batch * BATCHES, *shape[1:3])).astype("float32")
            y = x[:, 0, :1]
            modules = {"Keras": keras.layers, "ours": seqstate.layers}
            models = {key: model_of(module, layer, shape) for key, module in modules.items()}
            tasks = {
                "predict": lambda m, x=x, b=batch: m.predict(x, batch_size=b, verbose=0),
                "fit": lambda m, x=x, y=y, b=batch: m.fit(x, y, batch_size=b, verbose=0),
            }
            for task, run in tasks.items():
                runs = {key: lambda r=run, m=model: r(m) for key, model in models.items()}
                took = interleaved(runs, rounds)
                ms = {key: 1e3 * seconds for key, seconds in took.items()}
                print(
                    f"{layer:10} {f'{name} {shape}':24} {task:8} {ms['Keras']:9.1f} "
                    f"{ms['ours']:9.1f} {ms['Keras'] / ms['ours']:6.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
