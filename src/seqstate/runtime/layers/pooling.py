"""Pooling over time: in windows, or over all that has been seen."""

from __future__ import annotations

from typing import Any

import numpy as np

from seqstate.runtime.archive.config import Config
from seqstate.runtime.archive.weights import Weights
from seqstate.runtime.layers.layer import Array, Layer, too_short
from seqstate.runtime.layers.making import Making
from seqstate.runtime.plan.maker import Maker
from seqstate.runtime.plan.value import Value
from seqstate.state import State


class _Pooling(Layer):
    def __init__(self, config: Config, weights: Weights, making: Making) -> None:
        super().__init__(config, weights, making)
        if config.get("data_format", "channels_last") not in (None, "channels_last"):
            making.refuse(config, 'data_format="channels_first"', "Use channels_last")
        self.averages = "Average" in config.class_name

    def three_axes(self, x: Any) -> Value:
        """Give the value that came in, if it has three axes."""
        value = self.one(x)
        if value.rank != 3:
            raise self.config.wrong(
                f"its input has shape {value.shape}; expected [batch, time, features]."
            )
        return value


class PoolingLayer(_Pooling):
    """`MaxPooling1D` and `AveragePooling1D`."""

    def __init__(self, config: Config, weights: Weights, making: Making) -> None:
        super().__init__(config, weights, making)
        self.size = config.whole("pool_size", 2)
        self.stride = config.whole("strides") if config.has("strides") else self.size
        self.same = config.text("padding", "valid", ("valid", "same")) == "same"

    def call(self, maker: Maker, x: Any, **given: Any) -> Any:
        """See `Layer`."""
        x = self.three_axes(x)
        if x.time:
            maker.no_step(f"{self.where} gives one step for several")
        return maker.emit(self._pooled, x, shape=(x.shape[0], None, x.shape[2]))

    def _pooled(self, x: Array) -> Array:
        time = x.shape[1]
        steps = -(-time // self.stride) if self.same else (time - self.size) // self.stride + 1
        if steps < 1:
            raise too_short(self.where, time, self.size)
        missing = max(0, (steps - 1) * self.stride + self.size - time)
        first = missing // 2 if self.same else 0
        made = np.empty((len(x), steps, x.shape[2]), np.float32)
        for step in range(steps):
            start = step * self.stride - first
            window = x[:, max(0, start) : start + self.size]
            # What was padded does not count.
            pooled = window.max(axis=1) if not self.averages else _total(window) / window.shape[1]
            made[:, step] = pooled
        return made


class GlobalPoolingLayer(_Pooling):
    """`GlobalMaxPooling1D` and `GlobalAveragePooling1D`: of a stream, of all that was seen."""

    def __init__(self, config: Config, weights: Weights, making: Making) -> None:
        super().__init__(config, weights, making)
        self.keeps = config.flag("keepdims")

    def call(self, maker: Maker, x: Any, **given: Any) -> Any:
        """See `Layer`."""
        x = self.three_axes(x)
        features = x.shape[2]
        shape = (x.shape[0], 1, features) if self.keeps else (x.shape[0], features)
        asked = given.get("mask")
        mask = asked if isinstance(asked, Value) else x.mask
        inputs = [x, mask] if mask is not None and self.averages else [x]
        function = self._average if self.averages else self._largest
        if not x.time:
            return maker.emit(lambda *arrays: function(None, *arrays)[0][0], *inputs, shape=shape)
        if features is None:
            raise self.config.wrong("the number of its features is not known.")
        result = maker.value(shape)
        spec: dict[str, Any] = {"sum": (features,), "count": (1,)}
        start: State | None = None
        if not self.averages:
            lowest = np.float32(-np.inf)
            spec, start = {"max": (features,)}, {"max": np.broadcast_to(lowest, (features,))}
        maker.carry(self.name, spec, start, function, inputs, [result])
        return result

    def _average(
        self, state: State | None, x: Array, mask: Array = None
    ) -> tuple[tuple[Array], State]:
        count = np.full((len(x), 1), x.shape[1], np.float32)
        if mask is not None:
            x = np.where(mask[..., None], x, np.float32(0))
            count = mask.sum(axis=1, dtype=np.float32)[:, None]
        total = _total(x, None if state is None else state["sum"])
        if state is not None:
            count = count + state["count"]
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = total / count
        return ((mean[:, None] if self.keeps else mean),), {"sum": total, "count": count}

    def _largest(self, state: State | None, x: Array) -> tuple[tuple[Array], State]:
        largest = x.max(axis=1)
        if state is not None:
            largest = np.maximum(largest, state["max"])
        return ((largest[:, None] if self.keeps else largest),), {"max": largest}


def _total(x: Array, before: Array = None) -> Array:
    """Add up the steps one after the other, so that it does not matter how they are cut."""
    first = np.zeros_like(x[:, :1]) if before is None else before[:, None]
    return np.add.accumulate(np.concatenate([first, x], axis=1), axis=1)[:, -1].copy()
