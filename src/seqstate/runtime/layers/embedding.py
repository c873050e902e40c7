"""Layers that make masks: `Embedding` and `Masking`."""

from __future__ import annotations

from typing import Any

import numpy as np

from seqstate.errors import InputError, message
from seqstate.runtime.archive.config import Config
from seqstate.runtime.archive.weights import Weights
from seqstate.runtime.layers.layer import Array, Layer
from seqstate.runtime.layers.making import Making
from seqstate.runtime.plan.maker import Maker


class EmbeddingLayer(Layer):
    """`Embedding`.

    Attributes:
        masked: the token that does not count, or None.
    """

    def __init__(self, config: Config, weights: Weights, making: Making) -> None:
        super().__init__(config, weights, making)
        tokens, size = config.whole("input_dim"), config.whole("output_dim")
        self.table = self.weight(weights.arrays("embeddings"), 0, "embeddings", (tokens, size))
        self.masked: int | None = 0 if config.flag("mask_zero") else None

    def apply(self, ids: Array) -> Array:
        """Give a row of the table for each id.

        Raises:
            InputError: an id that is none.
        """
        ids = ids.astype(np.int64)
        if ids.size and (ids.min() < 0 or ids.max() >= len(self.table)):
            raise InputError(
                message(
                    self.where,
                    f"the ids go from {ids.min()} to {ids.max()}; there are 0 to "
                    f"{len(self.table) - 1}.",
                    "Pass the ids that the model was trained with.",
                )
            )
        return self.table[ids]

    def call(self, maker: Maker, x: Any, **given: Any) -> Any:
        """See `Layer`."""
        x = self.one(x)
        mask = None
        if self.masked is not None:
            masked = self.masked
            mask = maker.emit(lambda ids: ids != masked, x, shape=x.shape)
        return maker.emit(self.apply, x, shape=(*x.shape, self.table.shape[1]), mask=mask)


class MaskingLayer(Layer):
    """`Masking`: a step whose features all have one value does not count."""

    def __init__(self, config: Config, weights: Weights, making: Making) -> None:
        super().__init__(config, weights, making)
        self.value = np.float32(config.number("mask_value"))

    def call(self, maker: Maker, x: Any, **given: Any) -> Any:
        """See `Layer`."""
        x = self.one(x)
        mask = maker.emit(lambda a: (a != self.value).any(axis=-1), x, shape=x.shape[:-1])
        return maker.emit(
            lambda a, counts: np.where(counts[..., None], a, np.float32(0)),
            x,
            mask,
            shape=x.shape,
            mask=mask,
        )
