"""Layers that give the same numbers another shape."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from seqstate.errors import InputError, message
from seqstate.runtime.archive.config import Config
from seqstate.runtime.archive.weights import Weights
from seqstate.runtime.arranging import permuted, reshaped
from seqstate.runtime.layers.layer import Array, Layer
from seqstate.runtime.layers.making import Making
from seqstate.runtime.plan.maker import MOST_NUMBERS, Maker


class FlattenLayer(Layer):
    """`Flatten`: all axes behind the batch as one."""

    def __init__(self, config: Config, weights: Weights, making: Making) -> None:
        super().__init__(config, weights, making)
        if config.get("data_format") == "channels_first":
            making.refuse(config, 'data_format="channels_first"', "Use channels_last")

    def call(self, maker: Maker, x: Any, **given: Any) -> Any:
        """See `Layer`."""
        x = self.one(x)
        if x.time:
            maker.no_step(f"{self.where} needs all time steps at once")
        sizes, where = x.shape[1:], self.where
        total = None if None in sizes else prod(size for size in sizes if size is not None)

        def compute(array: Array) -> Array:
            flat = array.reshape(len(array), prod(array.shape[1:]))
            if total is not None and flat.shape[1] != total:
                raise InputError(
                    message(
                        where,
                        f"there are {array.shape[1:]} values in a row; the model was trained "
                        f"with {sizes}.",
                        "Pass as many time steps as it was trained with: what follows has a "
                        "weight for each.",
                    )
                )
            return flat

        return maker.emit(compute, x, shape=(x.shape[0], total), time=False)


class ReshapeLayer(Layer):
    """`Reshape`."""

    def call(self, maker: Maker, x: Any, **given: Any) -> Any:
        """See `Layer`."""
        target = self.config.numbers("target_shape", ())
        if target.count(-1) > 1 or any(size < -1 or size == 0 for size in target):
            raise self.config.wrong(f"its shape is {target}.")
        return reshaped(maker, self.where, self.one(x), target)


class PermuteLayer(Layer):
    """`Permute`."""

    def call(self, maker: Maker, x: Any, **given: Any) -> Any:
        """See `Layer`."""
        x = self.one(x)
        axes = (0, *self.config.numbers("dims"))
        if sorted(axes) != list(range(x.rank)):
            raise self.config.wrong(f"its axes are {axes[1:]}; the input has {x.rank - 1}.")
        return permuted(maker, self.where, x, axes)


class RepeatVectorLayer(Layer):
    """`RepeatVector`: one vector, several times."""

    def call(self, maker: Maker, x: Any, **given: Any) -> Any:
        """See `Layer`."""
        x = self.one(x)
        times = self.config.whole("n")
        if times * prod(size or 1 for size in x.shape[1:]) > MOST_NUMBERS:
            raise self.config.wrong(f"it makes {times:,} copies of {x.shape[1:]}.")
        if x.time:
            maker.no_step(f"{self.where} needs all time steps at once")
        shape = (x.shape[0], times, *x.shape[1:])
        return maker.emit(
            lambda a: np.repeat(a[:, None], times, axis=1), x, shape=shape, time=False
        )
