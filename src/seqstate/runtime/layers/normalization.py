"""Layers that scale: by what was learned, or by the values of a step themselves."""

from __future__ import annotations

from typing import Any

import numpy as np

from seqstate.runtime.archive.config import Config
from seqstate.runtime.archive.weights import Weights
from seqstate.runtime.arranging import along
from seqstate.runtime.layers.layer import Array, Layer, OneToOne, same_steps
from seqstate.runtime.layers.making import Making
from seqstate.runtime.layers.merging import inverse_length
from seqstate.runtime.plan.maker import Maker
from seqstate.runtime.plan.value import Value


class AlongAxes(Layer):
    """The base of those that have an argument `axis`."""

    needs_all = False
    """Whether the axes are looked at as a whole; where not, each place has its own weights."""

    def call(self, maker: Maker, x: Any, **given: Any) -> Any:
        """See `Layer`."""
        x = self.one(x)
        axes = tuple(sorted(axis % x.rank for axis in self.axes()))
        if x.time and 1 in axes:
            maker.no_step(
                f"{self.where} needs all time steps at once"
                if self.needs_all
                else f"{self.where} has weights of its own for each time step"
            )
        mask = given.get("mask") if isinstance(given.get("mask"), Value) else x.mask
        function, own, where = self.function(x, axes), self.steps(axes), self.where

        def compute(array: Array) -> Array:
            if own is not None:
                same_steps(where, array.shape[1], own)
            return function(array.astype(np.float32, copy=False))

        return maker.emit(compute, x, shape=x.shape, mask=mask)

    def steps(self, axes: tuple[int, ...]) -> int | None:
        """Give for how many places along axis 1 it has weights, or None."""
        found = [one for one in self.weighted() if one is not None and one.ndim == len(axes)]
        return int(found[0].shape[axes.index(1)]) if 1 in axes and found else None

    def weighted(self) -> tuple[Any, ...]:
        """Give weights along the axes."""
        return ()

    def axes(self) -> tuple[int, ...]:
        """Give the axes."""
        return self.config.numbers("axis", -1)

    def function(self, x: Value, axes: tuple[int, ...]) -> Any:
        """Give the function of the array; `axes` are counted from 0."""
        raise NotImplementedError


def _not_negative(config: Config, name: str, array: Array) -> Array:
    """Give what a root is taken of, if there is one.

    Raises:
        DataError: a number is below 0, which would make NaN of all that goes through.
    """
    if np.any(array < 0):
        raise config.wrong(f"its {name} is negative.")
    return array


def _laid(array: Array, x: Value, axes: tuple[int, ...]) -> Array:
    """Give weights `[sizes of the axes]` as many axes as an array has."""
    sizes = iter(array.shape)
    return array.reshape([next(sizes) if i in axes else 1 for i in range(x.rank)])


class BatchNormalizationLayer(AlongAxes):
    """`BatchNormalization`: at inference a learned factor and a learned offset."""

    def __init__(self, config: Config, weights: Weights, making: Making) -> None:
        super().__init__(config, weights, making)
        if config.flag("renorm"):
            making.refuse(config, "renorm=True", "Train it without")
        names = ["gamma"] if config.flag("scale", True) else []
        names += ["beta"] if config.flag("center", True) else []
        names += ["moving_mean", "moving_variance"]
        arrays = weights.arrays(*names)
        found = {name: self.weight(arrays, i, name, (None,)) for i, name in enumerate(names)}
        spread = found["moving_variance"] + np.float32(config.number("epsilon", 1e-3))
        factor = 1 / np.sqrt(_not_negative(config, "moving variance", spread))
        self.factor = factor * found.get("gamma", np.float32(1))
        self.offset = found.get("beta", np.float32(0)) - found["moving_mean"] * self.factor

    def weighted(self) -> tuple[Any, ...]:
        """See `AlongAxes`."""
        return (self.factor,)

    def function(self, x: Value, axes: tuple[int, ...]) -> Any:
        """See `AlongAxes`."""
        factor, offset = _laid(self.factor, x, axes), _laid(self.offset, x, axes)
        return lambda array: array * factor + offset


class LayerNormalizationLayer(AlongAxes):
    """`LayerNormalization`: mean 0 and variance 1 along the axes, then a factor and an offset."""

    needs_all = True

    def __init__(self, config: Config, weights: Weights, making: Making) -> None:
        super().__init__(config, weights, making)
        self.rms = config.flag("rms_scaling")
        epsilon = np.float32(config.number("epsilon", 1e-3))
        self.epsilon = _not_negative(config, "epsilon", epsilon)
        scales = config.flag("scale", True) or self.rms
        centers = config.flag("center", True) and not self.rms
        names = [*(["gamma"] if scales else []), *(["beta"] if centers else [])]
        arrays = weights.arrays(*names)
        shape = (None,) * len(self.axes())
        found = {name: self.weight(arrays, i, name, shape) for i, name in enumerate(names)}
        self.gamma, self.beta = found.get("gamma"), found.get("beta")

    def weighted(self) -> tuple[Any, ...]:
        """See `AlongAxes`."""
        return (self.gamma, self.beta)

    def function(self, x: Value, axes: tuple[int, ...]) -> Any:
        """See `AlongAxes`."""
        gamma = np.float32(1) if self.gamma is None else _laid(self.gamma, x, axes)
        beta = np.float32(0) if self.beta is None else _laid(self.beta, x, axes)

        def normalize(array: Array) -> Array:
            mean = mean_along(array, axes)
            centered = array - mean
            factor = 1 / np.sqrt(mean_along(centered * centered, axes) + self.epsilon)
            return (array if self.rms else centered) * factor * gamma + beta

        return normalize


class UnitNormalizationLayer(AlongAxes):
    """`UnitNormalization`: length 1 along the axes."""

    needs_all = True

    def function(self, x: Value, axes: tuple[int, ...]) -> Any:
        """See `AlongAxes`."""

        def normalize(array: Array) -> Array:
            total = along(np.square(array), axes).sum(axis=-1)
            return array * np.expand_dims(inverse_length(total, 1e-12), axes)

        return normalize


class NormalizationLayer(AlongAxes):
    """`Normalization`: the mean and the variance of the data, known from `adapt`."""

    def __init__(self, config: Config, weights: Weights, making: Making) -> None:
        super().__init__(config, weights, making)
        mean, variance = config.get("mean"), config.get("variance")
        if mean is None:
            mean, variance, _ = weights.arrays("mean", "variance", "count")
        if mean is None or variance is None:
            raise config.wrong("its mean or its variance is not in the file.")
        self.mean = np.asarray(mean, np.float32)
        spread = _not_negative(config, "variance", np.asarray(variance, np.float32))
        self.scale = np.maximum(np.sqrt(spread), np.float32(1e-7))
        self.invert = config.flag("invert")

    def axes(self) -> tuple[int, ...]:
        """See `AlongAxes`."""
        return self.config.numbers("axis", -1) if self.config.get("axis", -1) is not None else ()

    def function(self, x: Value, axes: tuple[int, ...]) -> Any:
        """See `AlongAxes`."""
        mean, scale = (self._spread(one, x, axes) for one in (self.mean, self.scale))
        if self.invert:
            return lambda array: mean + array * scale
        return lambda array: (array - mean) / scale

    def weighted(self) -> tuple[Any, ...]:
        """See `AlongAxes`."""
        return (self.mean.reshape([size for size in self.mean.shape if size != 1]),)

    def _spread(self, array: Array, x: Value, axes: tuple[int, ...]) -> Array:
        shape = [1] * x.rank
        own = [size for size in array.shape if size != 1 or len(array.shape) == len(axes)]
        for place, size in zip(axes[::-1], own[::-1], strict=False):
            shape[place] = size
        return array.reshape(shape)


class RescalingLayer(OneToOne):
    """`Rescaling`: a factor and an offset."""

    hands_mask_on = True

    def __init__(self, config: Config, weights: Weights, making: Making) -> None:
        super().__init__(config, weights, making)
        try:
            self.scale = np.asarray(config.get("scale", 1.0), np.float32)
            self.offset = np.asarray(config.get("offset", 0.0), np.float32)
        except (TypeError, ValueError) as error:
            raise config.wrong("its scale or its offset is no number.") from error

    def apply(self, x: Array) -> Array:
        """See `OneToOne`."""
        return x.astype(np.float32, copy=False) * self.scale + self.offset


def mean_along(array: Array, axes: tuple[int, ...]) -> Array:
    """Give the mean along axes, which stay with size 1."""
    return np.expand_dims(along(array, axes).mean(axis=-1), axes)
