"""`Attention` and `AdditiveAttention`."""

from __future__ import annotations

from typing import Any

import numpy as np

from seqstate.kernels.dense import activate
from seqstate.runtime.activations import softmax
from seqstate.runtime.archive.config import Config
from seqstate.runtime.archive.weights import Weights
from seqstate.runtime.layers.layer import Array, Layer
from seqstate.runtime.layers.making import Making
from seqstate.runtime.layers.merging import contracted, several
from seqstate.runtime.plan.maker import Maker
from seqstate.runtime.plan.value import Value, flat


class AttentionLayer(Layer):
    """Looks at a sequence of values with queries."""

    def __init__(self, config: Config, weights: Weights, making: Making) -> None:
        super().__init__(config, weights, making)
        self.additive = config.class_name == "AdditiveAttention"
        self.concat = config.text("score_mode", "dot", ("dot", "concat")) == "concat"
        scaled = config.flag("use_scale", self.additive)
        names = ["scale"] if scaled else []
        names += ["concat_score_weight"] if self.concat and not self.additive else []
        arrays = weights.arrays(*names)
        shape = (None,) if self.additive else ()
        self.scale: Any = self.weight(arrays, 0, "scale", shape) if scaled else None
        self.factor: Any = np.float32(1)
        if "concat_score_weight" in names:
            self.factor = self.weight(arrays, len(names) - 1, "concat_score_weight", ())

    def call(self, maker: Maker, x: Any, **given: Any) -> Any:
        """See `Layer`."""
        values = several(self, x)
        if len(values) not in (2, 3) or any(value.rank != 3 for value in values):
            raise self.config.wrong("expected a query, a value and perhaps a key of three axes.")
        query, value, key = (*values, values[1])[:3]
        asked = given.get("mask")
        masks = flat(asked) if asked is not None else [query.mask, value.mask]
        of_query, of_value = ((one if isinstance(one, Value) else None) for one in masks[:2])
        causal = bool(given.get("use_causal_mask", False))
        late = query.time and (maker.settled(value) or maker.settled(key))
        if value.time or key.time or late or (query.time and causal):
            maker.no_step(f"{self.where} needs all time steps at once")
        inputs = [query, value, key, *(m for m in (of_query, of_value) if m is not None)]

        def compute(q: Array, v: Array, k: Array, *counts: Array) -> tuple[Array, Array]:
            of_q = counts[0] if of_query is not None else None
            of_v = counts[-1] if of_value is not None else None
            weights = self.look(q, k, of_v, causal)
            made = contracted(weights, v.transpose(0, 2, 1))
            if of_q is not None:
                made = np.where(of_q[..., None], made, np.float32(0))
            return made, weights

        out = maker.value((*query.shape[:2], value.shape[2]), query.time, of_query)
        looked = maker.value((*query.shape[:2], key.shape[1]), query.time)
        maker.emit_many(compute, inputs, [out, looked])
        return [out, looked] if given.get("return_attention_scores") else out

    def look(self, query: Array, key: Array, mask: Array, causal: bool = False) -> Array:
        """Give how much each query looks at each step, `[batch, queries, time]`."""
        scores = self._scores(query, key)
        counts = None if mask is None else mask[:, None]
        if causal:
            rows, columns = np.arange(scores.shape[1])[:, None], np.arange(scores.shape[2])
            before = (rows >= columns)[None]
            counts = before if counts is None else counts & before
        if counts is not None:
            scores = np.where(counts, scores, scores - np.float32(1e9))
        return softmax(scores)

    def _scores(self, query: Array, key: Array) -> Array:
        scale = np.float32(1) if self.scale is None else self.scale
        if not self.additive and not self.concat:
            return contracted(query, key) * scale
        both = query[:, :, None] + key[:, None]
        if self.additive:
            return np.ascontiguousarray(scale * activate("tanh", both)).sum(axis=-1)
        return self.factor * activate("tanh", np.ascontiguousarray(scale * both)).sum(axis=-1)
