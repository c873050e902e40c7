"""The recursive method: a model that says one step, fed with what it said.

The steps ahead are one run of a cell, compiled as one program where the backend compiles.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import keras
import numpy as np
from keras import ops

from seqstate.forecast.heads import drawn
from seqstate.forecast.network import Network
from seqstate.layers import RNN


@keras.saving.register_keras_serializable(package="seqstate")
class ForecastCell(keras.layers.Layer):
    """One step ahead: say a value, take it as observed, and move the state on.

    The states are those of the layers; `output`, of the last layer; and `past`, the last
    values, `[seasons * season, targets]`. The output of the cell is the value.

    Args:
        network: the layers and the head; its horizon is 1.
        ratio: how many spreads the values spread over, `[targets]`.
    """

    def __init__(self, network: Network, ratio: np.ndarray, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        shape = network.shape
        self.network = network
        self.ratio = ratio.astype("float32")
        past = (shape.reach.memory, shape.targets)
        self.state_size = {"past": past, **network.carried}
        self.output_size = shape.targets

    def call(self, inputs: Any, states: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Take one step.

        Args:
            inputs: `[batch, 2 * known + beside + targets]`: the known covariates of this step
                and of the one that the forecast starts from; what the layers read of this step
                beside the values; and what to draw the value with.
            states: by name.
        """
        shape, past = self.network.shape, states["past"]
        known = inputs[:, : 2 * shape.known]
        beside = inputs[:, 2 * shape.known : -shape.targets]
        draw = inputs[:, -shape.targets :]
        said = self._say(states["output"], past, known)
        season, seasons = shape.reach.season, shape.reach.seasons
        base = past[:, (seasons - 1) * season]
        change = drawn(said, draw, shape.head, shape.levels)
        value = base + change
        x = ops.concatenate([value / ops.convert_to_tensor(self.ratio), change, beside], axis=-1)
        results, after = self.network.run(x[:, None], self.network.nested(states))
        moved = self.network.named(after)
        past = ops.concatenate([past[:, 1:], value[:, None]], axis=1)
        return value, {"output": results["output"], "past": past, **moved}

    def _say(self, output: Any, past: Any, known: Any) -> Any:
        """Say one step ahead: `[batch, targets, size]`."""
        shape = self.network.shape
        season, seasons = shape.reach.season, shape.reach.seasons
        back = [past[:, (seasons - 1 - k) * season] for k in range(seasons)]
        changes = ops.stack([later - earlier for later, earlier in pairwise(back)], axis=-1)
        ahead = [known[:, None, None]] if shape.known else []
        said = self.network.head(output[:, None], changes[:, None, None], *ahead)
        return ops.reshape(said, (-1, shape.targets, self.network.head.sizes[-1]))


class Feedback:
    """The model that goes on from a state for as many steps as it is asked for."""

    def __init__(self, network: Network, ratio: np.ndarray) -> None:
        cell = ForecastCell(network, ratio, name="feedback")
        width = network.shape.inputs - network.shape.targets + 2 * network.shape.known
        x = keras.Input((None, width), name="ahead")
        start = {name: keras.Input(size, name=name) for name, size in cell.state_size.items()}
        values = RNN(cell, return_sequences=True)(x, initial_state=start)
        self.model = keras.Model({"ahead": x, **start}, values, name="feeding_back")
        self.model.jit_compile = keras.backend.backend() == "jax"

    def path(self, given: Mapping[str, np.ndarray], past: np.ndarray, ahead: np.ndarray) -> Any:
        """Give values ahead, `[rows, horizon, targets]`, in spreads.

        Args:
            given: what is carried, by name, `[rows, ...]`.
            past: the last values, `[rows, seasons * season, targets]`.
            ahead: what each step reads, see `ForecastCell.call`.
        """
        return self.model.predict_on_batch({"ahead": ahead, "past": past, **given})
