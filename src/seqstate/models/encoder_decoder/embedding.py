"""What a step reads: tokens as vectors, or values as they are."""

from __future__ import annotations

from typing import Any

import keras

from seqstate.arguments import whole_number
from seqstate.errors import ArgumentError, message


def embedding_of(given: Any, tokens: int | None, padding: int | None, where: str) -> Any:
    """Give the layer that makes vectors of tokens; None for values.

    Args:
        given: the size of a vector, or a layer.
        tokens: how many there are, or None for values.
        padding: the token that fills up short rows, or None.
        where: who asks, for messages.

    Raises:
        ArgumentError: a padding that is no token, or one for values; a size that is none; a layer
            for fewer tokens.
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
    if padding is not None:
        check_token("padding", padding, tokens, where)
    if not isinstance(given, keras.layers.Layer):
        size = whole_number(given, where, "embedding")
        return keras.layers.Embedding(tokens, size, name="embedding")
    if isinstance(given, keras.layers.Embedding) and given.input_dim < tokens:
        raise ArgumentError(
            message(
                where,
                f'the embedding "{given.name}" has vectors for {given.input_dim} tokens; expected '
                f"{tokens} (tokens={tokens}).",
                f"Make it with Embedding({tokens}, {given.output_dim}).",
            )
        )
    return given


def check_token(name: str, token: Any, tokens: int, where: str) -> None:
    """Refuse what is none of the tokens from 0 to `tokens - 1`.

    Args:
        name: of the argument.
        token: what came.
        tokens: how many there are.
        where: who asks, for messages.

    Raises:
        ArgumentError: no whole number, or out of range.
    """
    if isinstance(token, bool) or not hasattr(token, "__index__"):
        raise ArgumentError(
            message(where, f"{name}={token!r} is no token.", "Pass its id, a whole number.")
        )
    if not 0 <= token < tokens:
        raise ArgumentError(
            message(
                where,
                f"{name}={token} is no token; there are 0 to {tokens - 1} (tokens={tokens}).",
                "Count it among the tokens: make `tokens` larger.",
            )
        )
