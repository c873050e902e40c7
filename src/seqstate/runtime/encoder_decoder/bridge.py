"""From the encoder's state to the one that the decoder starts from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from seqstate import state as states
from seqstate.generation.routes import routes
from seqstate.kernels.dense import Dense
from seqstate.runtime.archive.config import Config
from seqstate.runtime.archive.weights import Weights
from seqstate.runtime.layers.layer import checked_weight
from seqstate.state import State


class Bridge:
    """Hands states on, through a learned `Dense` where the sizes differ.

    `seqstate.generation.routes` says which state goes where.

    Args:
        source: the spec of the state that comes in, by layer.
        target: the spec of the state that goes out, by layer.
        always: whether there is a `Dense` everywhere.
        weights: of the bridge.
        config: of the model, for messages.
    """

    def __init__(
        self,
        source: Mapping[str, Any],
        target: Mapping[str, Any],
        always: bool,
        weights: Weights,
        config: Config,
    ) -> None:
        self.target = target
        self.routes = routes(source, target, always)
        self.dense: dict[str, Dense] = {}
        for path, (_, size, units, activation) in self.routes.items():
            if activation:
                place = "dense/dense" + (f"_{len(self.dense)}" if self.dense else "")
                arrays = weights.below(place, "").arrays("kernel", "bias")
                kernel = checked_weight(config, arrays, 0, "kernel", (size, units))
                bias = checked_weight(config, arrays, 1, "bias", (units,))
                self.dense[path] = Dense(kernel, bias, activation)

    def __call__(self, state: State) -> State:
        """Give the state to start from."""
        flat = states.flatten(state)
        made = {}
        for path, sizes in states.flatten(self.target).items():
            parts = [flat[one] for one in self.routes[path].parts]
            if path not in self.dense and len(parts) == 1:
                made[path] = parts[0]
                continue
            rows = len(parts[0])
            value = np.concatenate([one.reshape(rows, -1) for one in parts], axis=-1)
            if path in self.dense:
                value = self.dense[path](value)
            made[path] = value.reshape(rows, *sizes)
        return states.nest(self.target, made)
