"""`Layer`: what all layers of the runtime are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from seqstate.errors import InputError, message
from seqstate.runtime.archive.config import Config
from seqstate.runtime.archive.weights import Weights
from seqstate.runtime.plan.maker import Maker
from seqstate.runtime.plan.value import Shape, Value

if TYPE_CHECKING:
    from seqstate.runtime.layers.making import Making

Array = Any


class Layer:
    """A layer of a saved model.

    Args:
        config: what the file says of it.
        weights: its own, and those of the layers that it holds.
        making: makes the layers that it holds, and collects what can't be made.
    """

    hands_mask_on = False
    """Whether its output has the mask of its input, as in Keras."""

    def __init__(self, config: Config, weights: Weights, making: Making) -> None:
        self.config = config
        self.name = config.name
        self.where = config.where

    def call(self, maker: Maker, x: Any, **given: Any) -> Any:
        """Leave the calls in a plan.

        Args:
            maker: of the plan.
            x: a `Value`, or several in lists and dicts.
            **given: the arguments by name of this call; tensors are values.

        Returns:
            Values, nested as Keras nests the results.
        """
        raise NotImplementedError

    def weight(
        self, arrays: list[np.ndarray | None], place: int, name: str, shape: tuple[int | None, ...]
    ) -> np.ndarray:
        """Give one of the layer's weights if it has the right shape; None stands for any size.

        Raises:
            DataError: it is not there, or has another shape.
        """
        return checked_weight(self.config, arrays, place, name, shape)

    def one(self, x: Any) -> Value:
        """Give the one value that came in.

        Raises:
            DataError: several came.
        """
        while isinstance(x, list | tuple) and len(x) == 1:
            x = x[0]
        if not isinstance(x, Value):
            raise self.config.wrong("it is called with several tensors; expected one.")
        return x


def checked_weight(
    config: Config,
    arrays: list[np.ndarray | None],
    place: int,
    name: str,
    shape: tuple[int | None, ...],
) -> np.ndarray:
    """Give a weight in float32 if it has the right shape; see `Layer.weight`."""
    array = arrays[place]
    if array is None:
        raise config.wrong(
            f"its weight {name!r} is not in the file.",
            "Save the model after it is built: call it once, or give it an Input.",
        )
    fits = array.ndim == len(shape) and all(
        size is None or size == got for size, got in zip(shape, array.shape, strict=True)
    )
    if not fits:
        raise config.wrong(f"its weight {name!r} has shape {array.shape}; expected {shape}.")
    return np.ascontiguousarray(array, np.float32)


def too_short(where: str, time: int, least: int) -> InputError:
    """Make the error for a sequence that a window does not fit into."""
    return InputError(
        message(
            where,
            f"there are {time} time steps; its window needs {least}.",
            "Pass longer sequences, or pad them as they were padded for the training.",
        )
    )


def same_steps(where: str, time: int, own: int) -> None:
    """Refuse a sequence for a layer that has weights for each step of another one.

    Raises:
        InputError: another number of steps.
    """
    if time != own:
        raise InputError(
            message(
                where,
                f"there are {time} time steps; it has weights for each of {own}.",
                "Pass as many time steps as it was trained with.",
            )
        )


class OneToOne(Layer):
    """A layer without a state that makes one array of one, each time step by itself."""

    def call(self, maker: Maker, x: Any, **given: Any) -> Any:
        """See `Layer`."""
        x = self.one(x)
        given_mask = given.get("mask")
        mask = given_mask if isinstance(given_mask, Value) else x.mask
        return maker.emit(
            self.apply, x, shape=self.shape(x.shape), mask=mask if self.hands_mask_on else None
        )

    def apply(self, x: Array) -> Array:
        """Do the work, and leave `x` as it is."""
        raise NotImplementedError

    def shape(self, shape: Shape) -> Shape:
        """Give the shape of the output for that of the input."""
        return shape
