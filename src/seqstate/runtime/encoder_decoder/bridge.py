"""From the encoder's state to the one that the decoder starts from."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from seqstate import state as states
from seqstate.kernels.dense import Dense
from seqstate.runtime.archive.config import Config
from seqstate.runtime.archive.weights import Weights
from seqstate.runtime.layers.layer import checked_weight
from seqstate.state import State


class Bridge:
    """Hands states on, through a learned `Dense` where the sizes differ.

    `seqstate.models.encoder_decoder.bridge` says which state goes where.

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
        self.routes: dict[str, list[str]] = {}
        self.dense: dict[str, Dense] = {}
        sizes = states.flatten(source)
        names = list(source)
        origins = names if len(names) == len(target) else [names[-1]] * len(target)
        for (name, layer), origin in zip(target.items(), origins, strict=True):
            for path, wanted in states.flatten({name: layer}).items():
                leaf = path.rpartition("/")[2]
                of_layer = [one for one in sizes if one.split("/")[0] == origin]
                same_name = [one for one in of_layer if one.rpartition("/")[2] == leaf]
                self.routes[path] = same_name or of_layer
                joined = sum(prod(sizes[one]) for one in self.routes[path])
                alike = len(same_name) == 1 and sizes[same_name[0]] == wanted
                if always or not (alike or (same_name and (joined,) == wanted)):
                    place = "dense/dense" + (f"_{len(self.dense)}" if self.dense else "")
                    arrays = weights.below(place, "").arrays("kernel", "bias")
                    units = prod(wanted)
                    kernel = checked_weight(config, arrays, 0, "kernel", (joined, units))
                    bias = checked_weight(config, arrays, 1, "bias", (units,))
                    self.dense[path] = Dense(kernel, bias, "tanh" if leaf == "h" else "linear")

    def __call__(self, state: State) -> State:
        """Give the state to start from."""
        flat = states.flatten(state)
        made = {}
        for path, sizes in states.flatten(self.target).items():
            parts = [flat[one] for one in self.routes[path]]
            if path not in self.dense and len(parts) == 1:
                made[path] = parts[0]
                continue
            rows = len(parts[0])
            value = np.concatenate([one.reshape(rows, -1) for one in parts], axis=-1)
            if path in self.dense:
                value = self.dense[path](value)
            made[path] = value.reshape(rows, *sizes)
        return states.nest(self.target, made)
