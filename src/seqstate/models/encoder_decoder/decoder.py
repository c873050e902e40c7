"""`Decoder`: says the target, step by step, from the state that it is given."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from seqstate import state as states
from seqstate.arguments import whole_number
from seqstate.errors import ArgumentError, message
from seqstate.models.encoder_decoder.attention import attention_of
from seqstate.models.encoder_decoder.embedding import check_token, embedding_of
from seqstate.models.encoder_decoder.encoder import read_config
from seqstate.models.encoder_decoder.stack import Stack, build_once
from seqstate.state import Spec, State


@keras.saving.register_keras_serializable(package="seqstate")
class Decoder(keras.layers.Layer):
    """Says a sequence, one step after the other, each from the step before and the state.

    Args:
        layers: a recurrent layer of `seqstate.layers`, or several on top of each other, with
            layers between them that work on one step as on many (`Dense`, `LayerNormalization`,
            ...).
        tokens: how many tokens the target has; its ids are `0` to `tokens - 1`. None for real
            values.
        start: the token that is read at the first step; with real values a number, or one for
            each feature (0 by default).
        stop: the token that ends a row; steps after it do not count. None if rows are as long as
            they are made.
        padding: another token whose steps do not count.
        outputs: how many values a step has, if they are real.
        embedding: the size of the vector that is learned for each token, or a layer that makes
            the vectors.
        head: a layer that makes scores (logits, no softmax), one for each token, or values of the
            last layer's output; a `Dense` by default.
        attention: "bahdanau" or "luong", or a layer of these, to look at the encoder's sequence.
        **kwargs: of `keras.layers.Layer`.

    Attributes:
        repeats: whether each step reads the encoder's output instead of the step before.

    Raises:
        ArgumentError: a layer that can't be used; `start` missing or no token; both or neither
            of `tokens` and `outputs`; an embedding or a head of another size.
    """

    def __init__(
        self,
        layers: Any,
        tokens: int | None = None,
        start: Any = None,
        stop: int | None = None,
        padding: int | None = None,
        outputs: int | None = None,
        embedding: Any = 64,
        head: Any = None,
        attention: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.where = f'Decoder "{self.name}"'
        self.tokens, self.outputs = tokens, outputs
        self.repeats = False
        self.start, self.stop, self.padding = start, stop, padding
        self._check()
        self.embedding = embedding_of(embedding, self.tokens, self.padding, self.where)
        self.stack = Stack(layers, self.where, by_step=True)
        self.head = self._head_of(head)
        self.attention: Any = attention_of(attention, self.where)

    def _check(self) -> None:
        def wrong(what: str, todo: str) -> ArgumentError:
            return ArgumentError(message(self.where, what, todo))

        if (self.tokens is None) == (self.outputs is None):
            raise wrong(
                f"tokens={self.tokens}, outputs={self.outputs}; expected one of the two.",
                "Say tokens=..., the size of the vocabulary, or outputs=..., the number of real "
                "values of a step.",
            )
        if self.tokens is None:
            self.outputs = whole_number(self.outputs, self.where, "outputs")
            start = np.asarray(0.0 if self.start is None else self.start)
            if start.dtype.kind not in "fiu" or start.shape not in ((), (self.outputs,)):
                got = f"shape {start.shape}" if start.dtype.kind in "fiu" else repr(self.start)
                raise wrong(
                    f"start has {got}; expected a number, or {self.outputs} of them.",
                    "Say what is read at the first step.",
                )
            for name in ("stop", "padding"):
                if getattr(self, name) is not None:
                    raise wrong(f"{name} is a token, but the values are real.", "Leave it out.")
            return
        self.tokens = whole_number(self.tokens, self.where, "tokens")
        if self.start is None:
            raise wrong(
                "start is missing: the token that is read before the first one is said.",
                "Count one more token that never occurs in the target, for example "
                f"tokens={self.tokens + 1}, start={self.tokens}.",
            )
        for name in ("start", "stop", "padding"):
            token = getattr(self, name)
            if token is not None:
                check_token(name, token, self.tokens, self.where)
                setattr(self, name, int(token))
        if self.start == self.stop:
            raise wrong(
                f"start and stop are the same token, {self.start}.",
                "Take two, or the rows end before they begin.",
            )
        if self.padding is not None and self.padding == self.stop:
            raise wrong(
                f"padding and stop are the same token, {self.stop}: steps with the padding do not "
                "count, so the model never learned to stop.",
                "Leave padding out: what stands after the stop token does not count anyway.",
            )

    def _head_of(self, given: Any) -> Any:
        size = self.tokens or self.outputs
        if given is None:
            return keras.layers.Dense(size, name="head")
        kind = type(given).__name__
        if not isinstance(given, keras.layers.Layer):
            what, todo = f"head is a {kind}; expected a layer.", f"Pass Dense({size})."
        elif self.tokens and getattr(given, "activation", None) is keras.activations.softmax:
            what = f'the head {kind} "{given.name}" gives probabilities; expected scores (logits).'
            todo = "Leave its softmax out: it is part of the loss and of `generate`."
        else:
            return given
        raise ArgumentError(message(self.where, what, todo))

    def _check_size(self, found: int) -> None:
        expected, name = (
            (self.tokens, "tokens") if self.tokens is not None else (self.outputs, "outputs")
        )
        if found != expected:
            raise ArgumentError(
                message(
                    self.where,
                    f'the head "{self.head.name}" gives {found} numbers a step; expected '
                    f"{expected} ({name}={expected}).",
                    f"Make it with Dense({expected}).",
                )
            )

    # What it is

    @property
    def spec(self) -> Spec:
        """The states of one row, by layer and name."""
        return self.stack.spec

    @property
    def carried(self) -> Spec:
        """The states of one row that are carried from step to step."""
        return self.spec

    @property
    def memory_paths(self) -> list[str]:
        """The paths in the memory that `remember` gives."""
        if self.repeats:
            return ["output"]
        return [] if self.attention is None else list(self.attention.MEMORY)

    def start_from(self, state: State) -> State:
        """Give the state before the first step, from what the bridge gave for `spec`."""
        return state

    @property
    def goes_by_step(self) -> bool:
        """Whether a step needs the state before it even if all of the target is known."""
        return self.attention is not None and self.attention.before_step

    def first(self, batch: Any) -> Any:
        """Give what is read at the first step: tokens `[batch]`, or values `[batch, outputs]`."""
        if self.tokens is not None:
            return ops.full((batch,), int(self.start), dtype="int32")
        start = ops.cast(
            ops.convert_to_tensor(0.0 if self.start is None else self.start), "float32"
        )
        return ops.broadcast_to(start, (batch, self.outputs))

    def build(self, memory_shape: Any) -> None:
        """Create all weights, for what the encoder gives."""
        memory_features = memory_shape[-1]
        features: Any = memory_features if self.repeats else self.outputs
        if self.embedding is not None and not self.repeats:
            build_once(self.embedding, (None, None))
            features = self.embedding.compute_output_shape((None, None))[-1]
        if self.goes_by_step:
            features += memory_features
        self.features = features
        build_once(self.stack, (None, None, features))
        size = self.stack.output_features
        if self.attention is not None:
            query = states.flatten(self.spec)[self._looks_with] if self.goes_by_step else (size,)
            build_once(self.attention, (None, None, *query), (None, None, memory_features))
            if not self.goes_by_step:
                size = self.attention.units or size
        build_once(self.head, (None, None, size))
        self._check_size(self.head.compute_output_shape((None, None, size))[-1])
        self.built = True

    @property
    def _looks_with(self) -> str:
        """The path of the state with which a decoder looks before a step."""
        last = self.stack.recurrent()[-1]
        return f"{last.name}/{next(iter(states.flatten(last.steps.spec)))}"

    # The memory: what stays the same for all steps

    def remember(self, given: Any, mask: Any) -> State:
        """Prepare what the encoder gave.

        Args:
            given: its sequence `[batch, time, features]`, or its output `[batch, features]`.
            mask: of the sequence.
        """
        if self.repeats:
            return {"output": given}
        return {} if self.attention is None else self.attention.prepare(given, mask)

    def unseen(self, memory: State) -> Any:
        """Give how much is looked at each source step at first: zeros; None without memory."""
        mask = memory.get("mask")
        return None if mask is None else ops.zeros_like(mask, dtype=self.compute_dtype)

    # Steps

    def whole(
        self, previous: Any, state: State, memory: State, training: bool | None
    ) -> tuple[Any, State]:
        """Run all steps at once, where what each reads is known.

        Args:
            previous: what each step reads: `[batch, time]` tokens or `[batch, time, outputs]`.
            state: before the first step.
            memory: what `remember` gave.
            training: whether dropout is applied.

        Returns:
            Scores `[batch, time, tokens]` or values `[batch, time, outputs]`, and the state.
        """
        inputs = self._inputs(previous, memory, ops.shape(previous)[1])
        outputs, state = self.stack(inputs, initial_state=state, training=training)
        if self.attention is not None:
            context, _ = self.attention.look(outputs, memory)
            outputs = self.attention.join(context, outputs)
        return self.head(outputs), state

    def begin(self, batch: Any, state: State, training: bool | None) -> State:
        """Draw what stays the same for all calls of `step`: dropout masks."""
        return self.stack.begin(batch, self.features, state, training)

    def step(
        self, previous: Any, state: State, memory: State, drawn: State
    ) -> tuple[Any, State, Any]:
        """Run one step.

        Args:
            previous: `[batch]` tokens, or `[batch, outputs]` values.
            state: before the step.
            memory: what `remember` gave.
            drawn: what `begin` gave.

        Returns:
            Scores `[batch, tokens]` or values `[batch, outputs]`; the state after the step; and
            how much the step looked at each step of the source, `[batch, source time]`, or None.
        """
        inputs = self._inputs(previous[:, None], memory, 1)[:, 0]
        looked = None
        if self.goes_by_step:
            query = states.flatten(state)[self._looks_with]
            context, looked = self.attention.look(query[:, None], memory)
            inputs = ops.concatenate([inputs, context[:, 0]], axis=-1)
        outputs, state = self.stack.step(inputs, state, drawn)
        if self.attention is not None and not self.goes_by_step:
            context, looked = self.attention.look(outputs[:, None], memory)
            outputs = self.attention.join(context, outputs[:, None])[:, 0]
        # A head made for sequences need not take a step.
        said = self.head(outputs[:, None])[:, 0]
        return said, state, None if looked is None else looked[:, 0]

    def end(self) -> None:
        """Forget what `begin` drew."""
        self.stack.end()

    def said(self, scores: Any) -> Any:
        """Give what the next step reads: the token of the best score, or the values."""
        return scores if self.tokens is None else ops.argmax(scores, axis=-1)

    def _inputs(self, previous: Any, memory: State, time: Any) -> Any:
        """Give `[batch, time, features]` of what the steps read."""
        if "output" in memory:
            output = memory["output"]
            shape = (ops.shape(output)[0], time, output.shape[-1])
            return ops.broadcast_to(output[:, None], shape)
        if self.embedding is not None:
            # A copy leaves the mask of an embedding behind: a step reads whatever was said before.
            return ops.copy(self.embedding(previous))
        return ops.cast(previous, self.compute_dtype)

    # Config

    def get_build_config(self) -> None:
        """Give none: the model that it belongs to builds it."""

    def get_config(self) -> dict[str, Any]:
        """Give the arguments, with the layers serialized."""
        written = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "layers": [written(layer) for layer in self.stack.parts],
            "tokens": self.tokens,
            "start": self.start,
            "stop": self.stop,
            "padding": self.padding,
            "outputs": self.outputs,
            "embedding": written(self.embedding),
            "head": written(self.head),
            "attention": written(self.attention),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Decoder:
        """Make the decoder from its config."""
        return cls(**read_config(config, custom_objects))
