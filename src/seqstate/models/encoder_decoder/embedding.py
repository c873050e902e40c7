"""What a step reads: tokens as vectors, or values as they are."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from seqstate.errors import ArgumentError, message


@keras.saving.register_keras_serializable(package="seqstate")
class TokenEmbedding(keras.layers.Embedding):
    """An embedding that masks one token.

    Args:
        tokens: how many there are; ids are `0` to `tokens - 1`.
        size: of a vector.
        padding: the token that fills up the ends of short rows, or None.
        **kwargs: of `keras.layers.Embedding`.

    Example:
        >>> import numpy as np
        >>> embedding = TokenEmbedding(5, 3, padding=4)
        >>> embedding.compute_mask(np.array([[2, 0, 4]])).tolist()
        [[True, True, False]]
    """

    def __init__(self, tokens: int, size: int, padding: int | None = None, **kwargs: Any) -> None:
        for taken in ("input_dim", "output_dim", "mask_zero"):
            kwargs.pop(taken, None)
        super().__init__(tokens, size, **kwargs)
        self.padding = padding
        self.supports_masking = padding is not None

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Give True where a token is not the padding."""
        return None if self.padding is None else ops.not_equal(inputs, self.padding)

    def get_config(self) -> dict[str, Any]:
        """Give the arguments."""
        config = super().get_config()
        tokens, size = config.pop("input_dim"), config.pop("output_dim")
        return {**config, "tokens": tokens, "size": size, "padding": self.padding}


def embedding_of(given: Any, tokens: int | None, padding: int | None, where: str) -> Any:
    """Give the layer that makes vectors of tokens; None for values.

    Args:
        given: the size of a vector, or a layer.
        tokens: how many there are, or None for values.
        padding: the token that is masked, or None.
        where: who asks, for messages.

    Raises:
        ArgumentError: a padding that is no token, or one for values.
    """
    if tokens is None:
        if padding is not None:
            raise ArgumentError(
                message(
                    where,
                    f"padding={padding} is a token, but the values are real: tokens=None.",
                    "Put a keras.layers.Masking in front of the layers, or say tokens=...",
                )
            )
        return None
    if padding is not None and not 0 <= padding < tokens:
        raise ArgumentError(
            message(
                where,
                f"padding={padding} is no token; there are 0 to {tokens - 1} (tokens={tokens}).",
                "Count the padding among the tokens.",
            )
        )
    if isinstance(given, keras.layers.Layer):
        return given
    return TokenEmbedding(tokens, int(given), padding, name="embedding")
