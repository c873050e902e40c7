"""`accelerate`: the recurrent layers of Keras in a model, replaced by ours."""

from __future__ import annotations

import warnings
from typing import Any

import keras

from seqstate import layers as ours
from seqstate.errors import message
from seqstate.layers import RNN
from seqstate.models.config_nodes import Node, nodes
from seqstate.models.rebuilt import rebuilt
from seqstate.models.recurrent_layers import (
    CONVOLUTIONS,
    directions_of,
    is_bidirectional,
    recurrent_layers,
)


def accelerate(model: Any) -> Any:
    """Give the same model with Keras's recurrent layers replaced by ours.

    Weights, names, compile settings, the optimizer's memory and carried states are those of the
    model, which stays as it is; outputs are equal to 1e-5. Layers that can't be replaced stay
    Keras's, and a warning says which and why; so it does for a metric that can't be copied.

    Args:
        model: a Keras model: Sequential, functional, nested, or subclassed with a `get_config`
            that holds its layers.

    Returns:
        A new model. It trains, saves and loads as any other; `import seqstate.layers` before it
        is loaded.

    Raises:
        ArgumentError: not a model, no recurrent layer, two classes of one name, or a model that
            Keras can't save.

    Example:
        >>> import keras, numpy as np, seqstate
        >>> model = keras.Sequential([keras.Input((None, 2)), keras.layers.LSTM(3, name="lstm")])
        >>> fast = seqstate.accelerate(model)
        >>> type(fast.get_layer("lstm")).__module__
        'seqstate.layers.lstm'
        >>> x = np.random.rand(4, 6, 2).astype("float32")
        >>> bool(np.allclose(fast.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-5))
        True
    """
    where = f'accelerate("{getattr(model, "name", type(model).__name__)}")'
    recurrent_layers(model, where)

    def change(config: Node) -> None:
        for node in nodes(config):
            if node.get("module") == "keras.layers" and node["class_name"] in ours.__all__:
                made = getattr(ours, node["class_name"])
                node["module"] = made.__module__
                node["registered_name"] = keras.saving.get_registered_name(made)
                # Which kernel runs is ours to choose.
                node["config"].pop("use_cudnn", None)

    made = rebuilt(model, change, where)
    left = _left_alone(made, where)
    if left:
        warnings.warn(
            message(
                where,
                "; ".join(f'"{name}" is left alone: {why}' for name, why in left.items()) + ".",
                "The rest is replaced.",
            ),
            stacklevel=2,
        )
    return made


def _left_alone(model: Any, where: str) -> dict[str, str]:
    """Give the layers that are not ours, with the reason."""
    left = {
        layer.name: f"the states of a {type(layer).__name__} are images"
        for layer in model._flatten_layers()
        if isinstance(layer, CONVOLUTIONS)
    }
    for name, layer in recurrent_layers(model, where).items():
        parts = list(directions_of(layer).values()) if is_bidirectional(layer) else []
        for part in (layer, *parts):
            if isinstance(part, RNN | ours.Bidirectional):
                continue
            own_class = not type(part).__module__.startswith("keras.")
            left.setdefault(
                name,
                f"{type(part).__name__} is a class of its own"
                if own_class
                else "it is made by the code of a subclassed model, not from its config "
                "(write seqstate.layers there)",
            )
    return left
