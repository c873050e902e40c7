"""`Conv1D`; a causal one carries the last steps that it has seen."""

from __future__ import annotations

from typing import Any

import numpy as np

from seqstate.kernels.dense import Dense
from seqstate.runtime.archive.config import Config
from seqstate.runtime.archive.weights import Weights
from seqstate.runtime.layers.layer import Array, Layer, too_short
from seqstate.runtime.layers.making import Making
from seqstate.runtime.plan.maker import Maker
from seqstate.state import State

WINDOW = "window"


class Conv1DLayer(Layer):
    """`Conv1D`."""

    def __init__(self, config: Config, weights: Weights, making: Making) -> None:
        super().__init__(config, weights, making)
        if config.get("data_format", "channels_last") not in (None, "channels_last"):
            making.refuse(config, 'data_format="channels_first"', "Use channels_last")
        self.size, self.filters = config.whole("kernel_size"), config.whole("filters")
        self.stride = config.whole("strides", 1)
        self.dilation = config.whole("dilation_rate", 1)
        self.groups = config.whole("groups", 1)
        self.padding = config.text("padding", "valid", ("valid", "same", "causal"))
        arrays = weights.arrays("kernel", "bias")
        kernel = self.weight(arrays, 0, "kernel", (self.size, None, self.filters))
        self.features = kernel.shape[1] * self.groups
        bias = None
        if config.flag("use_bias", True):
            bias = self.weight(arrays, 1, "bias", (self.filters,))
        if self.filters % self.groups:
            raise config.wrong(f"{self.filters} filters can't be in {self.groups} groups.")
        own = self.filters // self.groups
        parts = [slice(i * own, (i + 1) * own) for i in range(self.groups)]
        self.parts = [
            Dense(kernel[..., p].reshape(-1, own), None if bias is None else bias[p]) for p in parts
        ]
        self.reach = (self.size - 1) * self.dilation
        self.activation = making.activation(config, "activation")

    def call(self, maker: Maker, x: Any, **given: Any) -> Any:
        """See `Layer`."""
        x = self.one(x)
        if x.rank != 3 or x.shape[-1] not in (None, self.features):
            raise self.config.wrong(
                f"its input has shape {x.shape}; expected [batch, time, {self.features}]."
            )
        by_step = self.stride == 1 and (self.padding == "causal" or self.reach == 0)
        if x.time and not by_step:
            maker.no_step(
                f"{self.where} looks ahead or skips steps (padding={self.padding!r}, "
                f'strides={self.stride}); only padding="causal" with strides=1 can be stepped'
            )
        shape = (x.shape[0], x.shape[1] if by_step else None, self.filters)
        if x.time and by_step and self.reach:
            result = maker.value(shape, time=True)
            spec = {WINDOW: (self.reach, self.features)}
            maker.carry(self.name, spec, None, self._carried, [x], [result])
            return result
        return maker.emit(self._whole, x, shape=shape)

    def _carried(self, state: State | None, x: Array) -> tuple[tuple[Array], State]:
        x = x.astype(np.float32, copy=False)
        before = (
            np.zeros((len(x), self.reach, self.features), np.float32)
            if state is None
            else state[WINDOW]
        )
        both = np.concatenate([before, x], axis=1)
        return (self._valid(both),), {WINDOW: both[:, -self.reach :].copy()}

    def _whole(self, x: Array) -> Array:
        x = x.astype(np.float32, copy=False)
        before, after = 0, 0
        if self.padding == "causal":
            before = self.reach
        elif self.padding == "same":
            steps = -(-x.shape[1] // self.stride)
            missing = max(0, (steps - 1) * self.stride + self.reach + 1 - x.shape[1])
            before, after = missing // 2, missing - missing // 2
        return self._valid(np.pad(x, ((0, 0), (before, after), (0, 0))))

    def _valid(self, x: Array) -> Array:
        """Convolve without padding."""
        steps = (x.shape[1] - self.reach - 1) // self.stride + 1
        if steps < 1:
            raise too_short(self.where, x.shape[1], self.reach + 1)
        seen = np.arange(steps)[:, None] * self.stride + np.arange(self.size) * self.dilation
        windows = x[:, seen]  # [batch, steps, size, features]
        own = self.features // self.groups
        made = [
            dense(
                np.ascontiguousarray(windows[..., i * own : (i + 1) * own]).reshape(
                    len(x) * steps, self.size * own
                )
            )
            for i, dense in enumerate(self.parts)
        ]
        both = made[0] if len(made) == 1 else np.concatenate(made, axis=-1)
        return self.activation(both.reshape(len(x), steps, self.filters))
