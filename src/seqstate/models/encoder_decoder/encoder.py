"""`Encoder`: reads the source."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from seqstate.arguments import whole_number
from seqstate.layers import masks
from seqstate.models.encoder_decoder.embedding import embedding_of
from seqstate.models.encoder_decoder.stack import Stack, build_once
from seqstate.state import Spec, State


@keras.saving.register_keras_serializable(package="seqstate")
class Encoder(keras.layers.Layer):
    """Reads a sequence and gives the state that it ends in.

    Args:
        layers: a layer, or several on top of each other; recurrent ones of `seqstate.layers`, in
            either or both directions, and any other Keras layers between them. The sequence of one
            with `go_backwards` goes on in the order of time.
        tokens: how many tokens the source has; its ids are `0` to `tokens - 1`. None for real
            values.
        embedding: the size of the vector that is learned for each token, or a layer that makes
            the vectors.
        padding: the token that fills up the ends of short rows; steps with it are skipped.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        source: `[batch, time]` tokens or `[batch, time, features]` values.

    Raises:
        ArgumentError: a layer that can't be used, or no recurrent one.

    Example:
        >>> import numpy as np
        >>> from seqstate.layers import GRU, Bidirectional
        >>> encoder = Encoder(Bidirectional(GRU(8), name="both"), tokens=20, embedding=4)
        >>> output, state = encoder(np.array([[3, 1, 4, 1, 5]]))
        >>> tuple(output.shape), tuple(state["both"]["backward"]["h"].shape)
        ((1, 16), (1, 8))
    """

    def __init__(
        self,
        layers: Any,
        tokens: int | None = None,
        embedding: Any = 64,
        padding: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.where = f'Encoder "{self.name}"'
        self.tokens = None if tokens is None else whole_number(tokens, self.where, "tokens")
        # Half precision can't tell the ids of tokens apart.
        self.autocast = tokens is None
        self.embedding = embedding_of(embedding, self.tokens, padding, self.where)
        self.padding = None if padding is None else int(padding)
        self.stack = Stack(layers, self.where, gives="output")
        self._features: int | None = None

    @property
    def spec(self) -> Spec:
        """The states of one row, by layer and name."""
        return self.stack.spec

    @property
    def features(self) -> int | None:
        """How many real values a step of the source has; None for tokens, or before `build`."""
        return self._features

    @property
    def output_features(self) -> int:
        """The size of the output."""
        return int(self.stack.output_features)

    def build(self, source_shape: Any) -> None:
        """Build the embedding and the layers."""
        if self.embedding is not None:
            build_once(self.embedding, source_shape)
            source_shape = self.embedding.compute_output_shape(source_shape)
        else:
            self._features = source_shape[-1]
        build_once(self.stack, source_shape)
        self.built = True

    def call(self, source: Any, training: bool | None = None) -> tuple[Any, State]:
        """Give the output (or the sequence) and the state after the last step that counts."""
        if self.embedding is not None:
            tokens = ops.cast(source, "int32")
            source = self.embedding(tokens)
            if self.padding is not None:
                source = masks.travels_with(source, ops.not_equal(tokens, self.padding))
        return self.stack(source, training=training)

    def compute_mask(self, source: Any, mask: Any = None) -> Any:
        """Give none: the sequence has the one that its layer gave it."""
        return None

    def mask_of(self, sequence: Any) -> Any:
        """Give the mask that travels with the sequence that `call` gave, or None."""
        return masks.travelling(sequence, None, True, self.where)

    def get_config(self) -> dict[str, Any]:
        """Give the arguments, with the layers serialized."""
        written = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "layers": [written(layer) for layer in self.stack.parts],
            "tokens": self.tokens,
            "embedding": written(self.embedding),
            "padding": self.padding,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Encoder:
        """Make the encoder from its config."""
        return cls(**read_config(config, custom_objects))


def read_config(config: dict[str, Any], custom_objects: Any = None) -> dict[str, Any]:
    """Make the layers of a config: those listed as `layers`, and whatever else was written."""

    def read(value: Any) -> Any:
        if isinstance(value, dict) and "class_name" in value:
            return keras.saving.deserialize_keras_object(value, custom_objects=custom_objects)
        return [read(one) for one in value] if isinstance(value, list) else value

    return {name: read(value) for name, value in config.items()}
