"""`InnerLayer`: a layer that a cell calls at each of its steps, such as a readout."""

from __future__ import annotations

import inspect
from typing import Any

import keras

from seqstate import state as states
from seqstate.layers.call_steps import Kept
from seqstate.state import Spec


class InnerLayer:
    """Calls a function, or a layer of Keras, inside the loop.

    Args:
        function: a layer, or any function of tensors.
    """

    def __init__(self, function: Any) -> None:
        self.function = function
        self.is_layer = isinstance(function, keras.layers.Layer)
        self.takes_training = (
            self.is_layer and "training" in inspect.signature(function.call).parameters
        )

    def begin(self, training: bool | None) -> None:
        """Get ready for a run."""
        self.training = training
        self.kept = Kept(self.function)

    def __call__(self, value: Any) -> Any:
        """Call the layer at one step."""
        how = {"training": self.training} if self.takes_training else {}
        return self.function(value, **how)

    def end(self) -> None:
        """Leave the layer as the loop found it."""
        self.kept.give_back()


def build_for(layer: Any, spec: Spec | tuple[int | None, ...], dtype: str) -> None:
    """Build a layer that is not built yet, for rows of these sizes; anything else is left alone.

    Args:
        layer: what may be a layer.
        spec: the sizes of one row: of a tensor, or of a nested dict of them.
        dtype: of the tensors.
    """
    if not isinstance(layer, keras.layers.Layer) or layer.built:
        return

    def symbolic(sizes: tuple[int | None, ...]) -> Any:
        return keras.KerasTensor((None, *sizes), dtype=dtype)

    # A call builds what is inside the layer, too; its `build` need not.
    layer(symbolic(spec) if isinstance(spec, tuple) else states.map_leaves(symbolic, spec))
