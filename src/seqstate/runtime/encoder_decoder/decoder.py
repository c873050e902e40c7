"""`Decoder` and `Encoder`, in NumPy; `seqstate.models.encoder_decoder` says what they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from seqstate import state as states
from seqstate.runtime.archive.config import Config
from seqstate.runtime.archive.weights import Weights
from seqstate.runtime.encoder_decoder.attention import Attention
from seqstate.runtime.encoder_decoder.stack import (
    ByStep,
    Whole,
    recurrent,
    returning,
    spec_of,
    stack_of,
)
from seqstate.runtime.layers.embedding import EmbeddingLayer
from seqstate.runtime.layers.layer import Array
from seqstate.runtime.layers.making import Making
from seqstate.state import State


class Encoder:
    """Reads a source.

    Args:
        config: of the encoder.
        weights: of the encoder.
        making: notes what can't be made.
        gives: "sequence" for attention, else "output".
    """

    def __init__(self, config: Config, weights: Weights, making: Making, gives: str) -> None:
        self.tokens = config.whole("tokens") if config.has("tokens") else None
        embedding = embedding_of(config, weights, making)
        layers = stack_of(config, weights, making)
        self.ready = not making.refused
        if not self.ready:
            return
        self.spec = {layer.name: spec_of(layer) for layer in recurrent(layers)}
        returning(layers, gives)
        self.features = None if embedding is not None else _features(config, weights)
        rank: tuple[int | None, ...] = (None, None)
        shape = rank if embedding is not None else (None, None, self.features)
        self.run = Whole(embedding, layers, shape)


def embedding_of(config: Config, weights: Weights, making: Making) -> EmbeddingLayer | None:
    """Make the embedding of an encoder or a decoder, if it has one."""
    if not config.has("embedding"):
        return None
    inner = config.inner("embedding")
    layer = making.layer(inner, weights.below("embedding", inner.name))
    if not isinstance(layer, EmbeddingLayer):
        making.refuse(inner, "it is no Embedding", "Use a size, or an Embedding")
        return None
    return layer


def _features(config: Config, weights: Weights) -> int | None:
    """Give the number of features that the encoder was built for, where the file says it."""
    built = config.written.get("build_config")
    shape = built.get("input_shape") if isinstance(built, Mapping) else None
    return shape[-1] if isinstance(shape, list) and isinstance(shape[-1], int) else None


class Decoder:
    """Says a target, one step after the other.

    Args:
        config: of the decoder.
        weights: of the decoder.
        making: notes what can't be made.
        repeats: whether each step reads the encoder's output instead of the step before.
        attention: the weights of the attention, if they are not among those of the decoder.
    """

    def __init__(
        self,
        config: Config,
        weights: Weights,
        making: Making,
        repeats: bool,
        attention: Weights | None = None,
    ) -> None:
        self.config, self.repeats = config, repeats
        self.tokens = config.whole("tokens") if config.has("tokens") else None
        self.outputs = config.whole("outputs") if config.has("outputs") else None
        self.stop, self.padding = (
            config.whole(name, least=0) if config.has(name) else None
            for name in ("stop", "padding")
        )
        self.start: Any = config.get("start")
        # One that reads the encoder's output has an embedding without weights.
        self.embedding = None if repeats else embedding_of(config, weights, making)
        self.attention: Attention | None = None
        if config.has("attention"):
            inner = config.inner("attention")
            own = attention or weights.below("attention", inner.name)
            self.attention = Attention(inner, own, making)
        self.layers = stack_of(config, weights, making)
        head = config.inner("head")
        self._head_layer = making.layer(head, weights.below("head", head.name))
        self.looks = self.attention is not None
        if (self.tokens is None) == (self.outputs is None):
            raise config.wrong("it has tokens and outputs, or neither.")

    def finish(self, encoded: int, making: Making) -> None:
        """Make the plans of a step.

        Args:
            encoded: the number of features that the encoder gives.
            making: notes what can't be made.
        """
        features = encoded if self.repeats else self.outputs or 0
        if self.embedding is not None:
            features = self.embedding.table.shape[1]
        if self._looks_before:
            features += encoded
        self.stack = ByStep(self.layers, features, making, self.config)
        self.spec = self.stack.spec
        size = self.stack.units
        if self.attention is not None and not self._looks_before:
            size = self.attention.units
        self._head = Whole(None, [self._head_layer], (None, 1, size))

    @property
    def _looks_before(self) -> bool:
        return self.attention is not None and self.attention.before_step

    def first(self, batch: int) -> Array:
        """Give what is read at the first step."""
        if self.tokens is not None:
            return np.full(batch, int(self.start), np.int32)
        start = np.asarray(0.0 if self.start is None else self.start, np.float32)
        return np.broadcast_to(start, (batch, self.outputs or 0)).copy()

    def remember(self, given: Array, mask: Array) -> State:
        """Prepare what the encoder gave."""
        if self.repeats:
            return {"output": given}
        return {} if self.attention is None else self.attention.prepare(given, mask)

    def step(self, previous: Array, state: State, memory: State) -> tuple[Array, State, Array]:
        """Make a step: scores or values, the state after it, and what it looked at or None."""
        if "output" in memory:
            inputs = memory["output"]
        elif self.embedding is not None:
            inputs = self.embedding.apply(previous)
        else:
            inputs = previous.astype(np.float32, copy=False)
        looked = None
        if self.attention is not None and self.attention.before_step:
            query = next(leaf for _, leaf in states.leaves(list(state.values())[-1]))
            context, looked = self.attention.look(query, memory)
            inputs = np.concatenate([inputs, context], axis=-1)
        outputs, after = self.stack(inputs, state)
        if self.attention is not None and not self.attention.before_step:
            context, looked = self.attention.look(outputs, memory)
            outputs = self.attention.join(context, outputs)
        said, _, _ = self._head(outputs[:, None])
        return said[:, 0], after, looked

    def said(self, scores: Array) -> Array:
        """Give what the next step reads: the token of the best score, or the values."""
        return scores if self.tokens is None else scores.argmax(axis=-1)

    def start_from(self, state: State) -> State:
        """Give the state before the first step, from what the bridge gave for `spec`."""
        return state

    @property
    def filler(self) -> int:
        """The token that stands after the end of a row."""
        return next((one for one in (self.padding, self.stop) if one is not None), 0)
