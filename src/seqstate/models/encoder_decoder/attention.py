"""Attention: how a decoder looks at the sequence of the encoder."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from seqstate.arguments import whole_number
from seqstate.errors import ArgumentError, message
from seqstate.state import State


class Attention(keras.layers.Layer):
    """What the two kinds share: the encoder's sequence is prepared once, then looked at.

    Args:
        units: of the space in which queries and keys are compared.
        **kwargs: of `keras.layers.Layer`.
    """

    MEMORY = ("sequence", "keys", "mask")
    before_step: bool
    """Whether the decoder looks before a step, with its state, or after it, with its output."""

    def __init__(self, units: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        where = f'{type(self).__name__} "{self.name}"'
        self.units = None if units is None else whole_number(units, where, "units")

    def prepare(self, sequence: Any, mask: Any) -> State:
        """Give the memory that the decoder looks at.

        Args:
            sequence: `[batch, source time, features]`, of the encoder.
            mask: `[batch, source time]` bool, or None.

        Returns:
            `sequence`, `keys` (`[batch, source time, units]`) and `mask`.
        """
        if mask is None:
            mask = ops.ones(ops.shape(sequence)[:2], dtype="bool")
        return {"sequence": sequence, "keys": self.keys(sequence), "mask": mask}

    def keys(self, sequence: Any) -> Any:
        """Give what queries are compared with, `[batch, source time, units]`."""
        raise NotImplementedError

    def look(self, queries: Any, memory: State) -> tuple[Any, Any]:
        """Look at the memory.

        Args:
            queries: `[batch, time, units of the decoder]`.
            memory: what `prepare` gave.

        Returns:
            The context `[batch, time, features]` and how much of it came from each source step,
            `[batch, time, source time]`.
        """
        query = self.query(queries)
        return self.compare(
            [query, memory["sequence"], memory["keys"]],
            mask=[None, memory["mask"]],
            return_attention_scores=True,
        )

    def query(self, queries: Any) -> Any:
        """Give the queries as they are compared with the keys."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """Give the arguments."""
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable(package="seqstate")
class Bahdanau(Attention):
    """Additive attention: before each step the decoder looks with the state that it is in.

    The score of source step `s` is `v . tanh(W_q h + W_k x_s)`; the context, a mean of the
    encoder's sequence weighted by the softmax of the scores, is read beside the input of the
    step. Because a step waits for the one before, training goes step by step too.

    Args:
        units: of the layer that compares; those of the decoder by default.
        **kwargs: of `keras.layers.Layer`.

    References:
        Bahdanau, Cho and Bengio, Neural machine translation by jointly learning to align and
        translate, arXiv 1409.0473, appendix A.1.2.
    """

    before_step = True

    def build(self, query_shape: Any, sequence_shape: Any) -> None:
        """Create the weights."""
        units = self.units or query_shape[-1]
        self.of_query = keras.layers.Dense(units, use_bias=False, name="of_query")
        self.of_sequence = keras.layers.Dense(units, use_bias=False, name="of_sequence")
        self.compare = keras.layers.AdditiveAttention(name="compare")
        self.of_query.build((None, None, query_shape[-1]))
        self.of_sequence.build((None, None, sequence_shape[-1]))
        keys = (None, None, units)
        self.compare.build([keys, (None, None, sequence_shape[-1]), keys])
        self.built = True

    def keys(self, sequence: Any) -> Any:
        """Give `W_k x`."""
        return self.of_sequence(sequence)

    def query(self, queries: Any) -> Any:
        """Give `W_q h`."""
        return self.of_query(queries)


@keras.saving.register_keras_serializable(package="seqstate")
class Luong(Attention):
    """Dot-product attention: after each step the decoder looks with its output.

    The score of source step `s` is `h . x_s`, or `h . W x_s` where the two have different sizes.
    What goes to the head is `tanh(W_c [context, h])`.

    Args:
        units: of `tanh(W_c ...)`; those of the decoder by default.
        **kwargs: of `keras.layers.Layer`.

    References:
        Luong, Pham and Manning, Effective approaches to attention-based neural machine
        translation, arXiv 1508.04025, section 3.1.
    """

    before_step = False

    def build(self, query_shape: Any, sequence_shape: Any) -> None:
        """Create the weights."""
        size, features = query_shape[-1], sequence_shape[-1]
        self.of_sequence = (
            None if size == features else keras.layers.Dense(size, use_bias=False, name="of_keys")
        )
        if self.of_sequence is not None:
            self.of_sequence.build((None, None, features))
        self.compare = keras.layers.Attention(name="compare")
        both = (None, None, size)
        self.compare.build([both, (None, None, features), both])
        self.joined = keras.layers.Dense(
            self.units or size, activation="tanh", use_bias=False, name="joined"
        )
        self.joined.build((None, None, features + size))
        self.built = True

    def keys(self, sequence: Any) -> Any:
        """Give `x`, or `W x`."""
        return sequence if self.of_sequence is None else self.of_sequence(sequence)

    def query(self, queries: Any) -> Any:
        """Give `h`."""
        return queries

    def join(self, context: Any, outputs: Any) -> Any:
        """Give `tanh(W_c [context, h])`, `[batch, time, units]`."""
        return self.joined(ops.concatenate([context, outputs], axis=-1))


KINDS = {"bahdanau": Bahdanau, "luong": Luong}


def attention_of(given: Any, where: str) -> Attention | None:
    """Give the attention that was asked for.

    Args:
        given: None, a name of `KINDS`, or a layer of these.
        where: who asks, for messages.

    Raises:
        ArgumentError: something else.
    """
    if given is None or isinstance(given, Attention):
        return given
    if isinstance(given, str) and given in KINDS:
        return KINDS[given](name="attention")
    raise ArgumentError(
        message(
            where,
            f"attention={given!r}; expected None, {', '.join(map(repr, KINDS))}.",
            "For another size: attention=Bahdanau(units=64).",
        )
    )
