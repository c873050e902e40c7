"""Layers that work element by element, and those that do nothing at inference."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from seqstate.runtime import activations
from seqstate.runtime.archive.config import Config
from seqstate.runtime.archive.weights import Weights
from seqstate.runtime.layers.layer import Array, Layer, OneToOne, same_steps
from seqstate.runtime.layers.making import Making
from seqstate.runtime.plan.maker import Maker
from seqstate.runtime.plan.value import Value


class NothingAtInference(Layer):
    """Dropout and its kin, noise, penalties, `Identity`."""

    def call(self, maker: Maker, x: Any, **given: Any) -> Any:
        """See `Layer`."""
        mask = given.get("mask")
        return x.with_mask(mask) if isinstance(mask, Value) and isinstance(x, Value) else x


class ActivationLayer(OneToOne):
    """`Activation`, `ReLU`, `LeakyReLU`, `ELU`, `PReLU`."""

    hands_mask_on = True

    def __init__(self, config: Config, weights: Weights, making: Making) -> None:
        super().__init__(config, weights, making)
        self.function = self._function(config, weights, making)

    def _function(self, config: Config, weights: Weights, making: Making) -> Any:
        kind = config.class_name
        if kind == "Activation":
            return making.activation(config, "activation")
        if kind == "ELU":
            return partial(activations.elu, alpha=config.number("alpha", 1.0))
        if kind == "LeakyReLU":
            name = "alpha" if config.has("alpha") else "negative_slope"
            return partial(activations.leaky_relu, negative_slope=config.number(name, 0.3))
        if kind == "PReLU":
            alpha = weights.arrays("alpha")[0]
            if alpha is None:
                raise config.wrong("its weight 'alpha' is not in the file.")
            self.alpha_rank = alpha.ndim
            along_time = alpha.ndim > 1 and alpha.shape[0] != 1
            self.needs_time = along_time

            def prelu(x: Array) -> Array:
                if along_time:
                    same_steps(self.where, x.shape[1], alpha.shape[0])
                return np.maximum(x, 0) - alpha * np.maximum(-x, 0)

            return prelu
        most = config.number("max_value") if config.has("max_value") else None
        return partial(
            activations.relu,
            negative_slope=config.number("negative_slope", 0.0),
            max_value=most,
            threshold=config.number("threshold", 0.0),
        )

    def call(self, maker: Maker, x: Any, **given: Any) -> Any:
        """See `Layer`."""
        if getattr(self, "needs_time", False) and self.one(x).time:
            maker.no_step(f"{self.where} has weights of its own for each time step")
        return super().call(maker, x, **given)

    def apply(self, x: Array) -> Array:
        """See `OneToOne`."""
        return self.function(x if x.dtype == np.float32 else x.astype(np.float32))


class SoftmaxLayer(Layer):
    """`Softmax`: what the mask leaves out gets nothing."""

    def __init__(self, config: Config, weights: Weights, making: Making) -> None:
        super().__init__(config, weights, making)
        self.axes = config.numbers("axis", -1)

    def call(self, maker: Maker, x: Any, **given: Any) -> Any:
        """See `Layer`."""
        x = self.one(x)
        axes = tuple(axis % x.rank for axis in self.axes)
        if x.time and 1 in axes:
            maker.no_step(f"{self.where} needs all time steps at once")
        mask = given.get("mask") if isinstance(given.get("mask"), Value) else x.mask
        if mask is None:
            return maker.emit(lambda a: activations.softmax(a, axes), x, shape=x.shape)
        if mask.rank != x.rank:
            raise self.config.wrong(
                f"its input has shape {x.shape} and a mask of shape {mask.shape}.",
                "Leave the mask out in front of it.",
            )

        def masked(array: Array, counts: Array) -> Array:
            low = np.where(counts, array, np.float32(-1e9))
            return np.where(counts, activations.softmax(low, axes), np.float32(0))

        return maker.emit(masked, x, mask, shape=x.shape, mask=mask)
