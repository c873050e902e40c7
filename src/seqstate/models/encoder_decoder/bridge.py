"""`Bridge`: from the encoder's state to the state that the decoder starts from."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from seqstate import state as states
from seqstate.generation.routes import routes
from seqstate.state import Spec, State


class Bridge(keras.layers.Layer):
    """Maps the state of one stack of layers onto that of another.

    `seqstate.generation.routes` says which state goes where, and where a learned `Dense` stands
    between the two.

    Args:
        source: the spec of the state that comes in, by layer.
        target: the spec of the state that goes out, by layer.
        always: learn a `Dense` also where the sizes are the same.
        **kwargs: of `keras.layers.Layer`.
    """

    def __init__(self, source: Spec, target: Spec, always: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target = target
        self.routes = routes(source, target, always)
        self.dense: dict[str, Any] = {}
        for path, route in self.routes.items():
            if route.activation:
                dense = keras.layers.Dense(
                    route.units, route.activation, name=path.replace("/", "_")
                )
                dense.build((None, route.size))
                self.dense[path] = dense
        self.built = True

    def call(self, state: State) -> State:
        """Give the state to start from; each leaf `[batch, *sizes]`, as those that come in."""
        flat = states.flatten(state)
        made = {}
        for path, sizes in states.flatten(self.target).items():
            parts = [flat[one] for one in self.routes[path].parts]
            if path not in self.dense and len(parts) == 1:
                made[path] = parts[0]
                continue
            rows = ops.shape(parts[0])[0]
            value = ops.concatenate([ops.reshape(one, (rows, -1)) for one in parts], axis=-1)
            if path in self.dense:
                value = self.dense[path](value)
            made[path] = ops.reshape(value, (rows, *sizes))
        return states.nest(self.target, made)
