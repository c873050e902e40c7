"""`Bridge`: from the encoder's state to the state that the decoder starts from."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import keras
from keras import ops

from seqstate import state as states
from seqstate.state import Spec, State


class Bridge(keras.layers.Layer):
    """Maps the state of one stack of layers onto that of another.

    With as many recurrent layers on both sides, each layer gets the state of its counterpart;
    otherwise each gets that of the encoder's last one. There, a state gets those of its name
    (both directions of a `Bidirectional`, side by side), or all of them where none has its name.
    If the sizes are the same, that is all; if not, or if `always` is set, a learned
    `Dense` stands between the two: with tanh where the state is an output (`h`), which stays
    between -1 and 1, and linear elsewhere.

    Args:
        source: the spec of the state that comes in, by layer.
        target: the spec of the state that goes out, by layer.
        always: learn a `Dense` also where the sizes are the same.
        **kwargs: of `keras.layers.Layer`.
    """

    def __init__(self, source: Spec, target: Spec, always: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target = target
        self.routes: dict[str, list[str]] = {}
        self.dense: dict[str, Any] = {}
        sizes = states.flatten(source)
        for (name, layer), origin in zip(target.items(), _origins(source, target), strict=True):
            for path, wanted in states.flatten({name: layer}).items():
                leaf = path.rpartition("/")[2]
                of_layer = [one for one in sizes if one.split("/")[0] == origin]
                same_name = [one for one in of_layer if one.rpartition("/")[2] == leaf]
                self.routes[path] = same_name or of_layer
                alike = len(same_name) == 1 and sizes[same_name[0]] == wanted
                joined = sum(prod(sizes[one]) for one in self.routes[path])
                if always or not (alike or (same_name and (joined,) == wanted)):
                    activation = "tanh" if leaf == "h" else None
                    dense = keras.layers.Dense(
                        prod(wanted), activation, name=path.replace("/", "_")
                    )
                    dense.build((None, joined))
                    self.dense[path] = dense
        self.built = True

    def call(self, state: State) -> State:
        """Give the state to start from; each leaf `[batch, *sizes]`, as those that come in."""
        flat = states.flatten(state)
        made = {}
        for path, sizes in states.flatten(self.target).items():
            parts = [flat[one] for one in self.routes[path]]
            if path not in self.dense and len(parts) == 1:
                made[path] = parts[0]
                continue
            rows = ops.shape(parts[0])[0]
            value = ops.concatenate([ops.reshape(one, (rows, -1)) for one in parts], axis=-1)
            if path in self.dense:
                value = self.dense[path](value)
            made[path] = ops.reshape(value, (rows, *sizes))
        return states.nest(self.target, made)


def _origins(source: Spec, target: Mapping[str, Any]) -> list[str]:
    """Give for each layer of the target the layer whose state it gets."""
    names = list(source)
    return names if len(names) == len(target) else [names[-1]] * len(target)
