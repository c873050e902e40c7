"""`OneOfSeveral`: a symbolic result that shows which of a layer's results it is."""

from __future__ import annotations

from typing import Any

import keras


class OneOfSeveral(keras.KerasTensor):
    """A symbolic tensor of a layer that returns several.

    A layer that expects one input and is fed with all of them prints them in its error: then
    they say what they are and how to take one.

    Args:
        tensor: the symbolic tensor that this one stands for.
        path: the layer and the result, such as `lstm/c`.
        unpack: how to take the results apart.
    """

    def __init__(self, tensor: Any, path: str, unpack: str) -> None:
        super().__init__(tensor.shape, dtype=tensor.dtype)
        self.path = path
        self.unpack = unpack

    def __repr__(self) -> str:
        return (
            f"<{self.path}, shape={self.shape}: one of several; write {self.unpack} and pass one>"
        )
