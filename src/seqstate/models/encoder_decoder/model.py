"""`EncoderDecoder`: one Keras model that reads a sequence and says another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from seqstate import state as states
from seqstate.errors import ArgumentError, InputError, message
from seqstate.generation.generated import Generated
from seqstate.layers import masks
from seqstate.models.encoder_decoder.bridge import Bridge
from seqstate.models.encoder_decoder.decoder import Decoder
from seqstate.models.encoder_decoder.encoder import Encoder, read_config
from seqstate.models.encoder_decoder.generate import Generator
from seqstate.models.encoder_decoder.hand_over import HandOver
from seqstate.models.encoder_decoder.learner import Learner
from seqstate.models.encoder_decoder.stack import build_once
from seqstate.models.encoder_decoder.steps import by_step, shifted
from seqstate.state import State

HAND_ON = ("state", "repeat")


@keras.saving.register_keras_serializable(package="seqstate")
class EncoderDecoder(Learner):
    """Reads a source and says a target; the decoder starts from the encoder's state.

    It is one model with one file: `fit` learns it, `generate` uses it, and what
    `keras.saving.load_model` gives needs no wiring.

    Args:
        encoder: an `Encoder`, or recurrent layers for one of real values.
        decoder: a `Decoder`; a `HandOver`, decoders that take turns; or a dict of decoders by
            name, each of which says a target of its own.
        bridge: from the encoder's final state to the decoder's first one. "auto": handed on where
            the sizes are the same, and through a learned `Dense` where not; "dense": learned
            everywhere; or a layer that makes the one of the other, each a dict by layer and name.
        hand_on: what the decoder gets. "state"; or "repeat", the `RepeatVector` form: the states
            start from zeros, and every step reads the encoder's last output instead of the step
            before.
        **kwargs: of `keras.Model`.

    Call arguments:
        inputs: `{"source": ..., "target": ...}`: tokens `[batch, time]`, or values `[batch, time,
            features]`. Each step of the decoder reads the step of the target before its own.

    Returns:
        Scores (logits) `[batch, time, tokens]`, or values `[batch, time, outputs]`, for each step
        of the target; a dict of these where there are decoders by name.

    Raises:
        ArgumentError: an argument that can't be used.
        InputError, DataError: data that does not fit.

    Example:
        >>> import keras, numpy as np
        >>> from seqstate.layers import LSTM, Bidirectional
        >>> model = EncoderDecoder(
        ...     Encoder(Bidirectional(LSTM(8)), tokens=12),
        ...     Decoder(LSTM(16), tokens=12, start=10, stop=11, attention="luong"),
        ... )
        >>> model.compile("adam")
        >>> source = np.array([[1, 2, 3], [4, 5, 6]])
        >>> target = np.array([[3, 2, 1, 11], [6, 5, 4, 11]])
        >>> history = model.fit(source, target, epochs=2, verbose=0)
        >>> said = model.generate(source, max_length=6, method="beam", beam_width=3)
        >>> said.tokens.shape, said.scores.shape
        ((2, 6), (2,))

    References:
        Sutskever, Vinyals and Le, Sequence to sequence learning with neural networks, arXiv
        1409.3215; Cho et al., arXiv 1406.1078.
    """

    def __init__(
        self,
        encoder: Any,
        decoder: Any,
        bridge: Any = "auto",
        hand_on: str = "state",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.where = f'EncoderDecoder "{self.name}"'
        self.encoder = encoder if isinstance(encoder, Encoder) else Encoder(encoder, name="encoder")
        self.by_name = isinstance(decoder, Mapping)
        decoders = dict(decoder) if self.by_name else {"decoder": decoder}
        self._check(decoders, bridge, hand_on)
        self.hand_on, self._bridge = hand_on, bridge
        self.decoder_names = list(decoders)
        self.parts = list(decoders.values())
        for one in self.parts:
            one.repeats = hand_on == "repeat"
        if any(one.attention is not None for one in self.parts):
            self.encoder.stack.give("sequence")
        self.bridges = [self._bridge_to(one, i) for i, one in enumerate(self.parts)]
        self.teacher_forcing = self.add_weight(
            shape=(), initializer="ones", trainable=False, name="teacher_forcing"
        )
        self.seeds = keras.random.SeedGenerator()
        self.generator = Generator(self)

    def _check(self, decoders: Mapping[str, Any], bridge: Any, hand_on: str) -> None:
        def wrong(what: str, todo: str) -> ArgumentError:
            return ArgumentError(message(self.where, what, todo))

        for name, one in decoders.items():
            if not isinstance(one, Decoder | HandOver):
                raise wrong(
                    f"{name}: got {type(one).__name__}; expected a Decoder.",
                    "Say what it says: Decoder(LSTM(64), tokens=..., start=...) or "
                    "Decoder(LSTM(64), outputs=...).",
                )
        if not decoders:
            raise wrong("got no decoder.", 'Pass Decoder(...), or {"name": Decoder(...)}.')
        if hand_on not in HAND_ON:
            raise wrong(
                f"hand_on={hand_on!r}; expected {' or '.join(map(repr, HAND_ON))}.",
                '"state": the decoder starts from the state; "repeat": it reads the last output '
                "at every step.",
            )
        if hand_on == "repeat" and any(one.attention is not None for one in decoders.values()):
            raise wrong(
                'hand_on="repeat" with attention: the one reads the last output, the other all.',
                'Leave one of them out: hand_on="state" goes with attention.',
            )
        if not (bridge in ("auto", "dense") or isinstance(bridge, keras.layers.Layer)):
            raise wrong(
                f"bridge={bridge!r}; expected 'auto', 'dense' or a layer.",
                "A layer takes the encoder's state, a dict by layer and name, and gives the "
                "decoder's.",
            )
        if isinstance(bridge, keras.layers.Layer) and len(decoders) > 1:
            raise wrong("one bridge can't serve several decoders.", 'Say bridge="auto".')

    def _bridge_to(self, decoder: Any, number: int) -> Any:
        if isinstance(self._bridge, keras.layers.Layer):
            return self._bridge
        always = self._bridge == "dense"
        return Bridge(self.encoder.spec, decoder.spec, always, name=f"bridge_{number}")

    # The model that learns

    def build(self, input_shape: Any) -> None:
        """Create all weights; of the shapes only that of the source is looked at."""
        build_once(self.encoder, tuple(input_shape["source"]))
        for decoder, bridge in zip(self.parts, self.bridges, strict=True):
            build_once(decoder, (None, self.encoder.output_features))
            if not bridge.built:
                self._build_own(bridge, decoder)
        self.built = True

    def _build_own(self, bridge: Any, decoder: Any) -> None:
        def symbol(sizes: tuple[int, ...]) -> Any:
            return keras.KerasTensor((None, *sizes))

        made = bridge(states.map_leaves(symbol, self.encoder.spec))
        found = states.map_leaves(lambda leaf: tuple(leaf.shape[1:]), made)
        expected, got = (states.flatten(one) for one in (decoder.spec, found))
        if got != expected:
            raise ArgumentError(
                message(
                    self.where,
                    f"the bridge gives {_listed(got)}; expected {_listed(expected)}.",
                    "Give a dict by layer and name, with each state that the decoder starts from.",
                )
            )

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Give the scores, or values, of each step of the target; see the class."""
        self._check_inputs(inputs)
        given, state = self.encoder(inputs["source"], training=training)
        found = {}
        for name, decoder in self.decoders.items():
            target = inputs["target"][name] if self.by_name else inputs["target"]
            previous = shifted(decoder, ops.convert_to_tensor(target))
            before, memory = self.begin_from(name, given, state)
            if decoder.goes_by_step or (training and not self.always_forced):
                forced = self._forced(ops.shape(previous)[:2], training)
                scores = by_step(decoder, previous, forced, before, memory, training).scores
            else:
                scores, _ = decoder.whole(previous, before, memory, training)
            found[name] = masks.travels_with(scores, steps_that_count(decoder, target))
        return found if self.by_name else found["decoder"]

    def begin_from(self, name: str, given: Any, state: State) -> tuple[State, State]:
        """Give the state that a decoder starts from, and its memory, of what the encoder gave."""
        decoder = self.decoders[name]
        mask = None if decoder.attention is None else self.encoder.mask_of(given)
        if self.hand_on == "repeat":
            batch = ops.shape(given)[0]
            start = states.map_leaves(
                lambda sizes: ops.zeros((batch, *sizes), dtype=self.compute_dtype), decoder.spec
            )
        else:
            start = self.bridges[self.decoder_names.index(name)](state)
        return decoder.start_from(start), decoder.remember(given, mask)

    def _forced(self, shape: Any, training: bool | None) -> Any:
        if not training or self.always_forced:
            return ops.ones(shape, dtype="bool")
        drawn = keras.random.uniform(shape, seed=self.seeds)
        return ops.less(drawn, ops.cast(self.teacher_forcing, drawn.dtype))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Give the shape of the scores or values."""
        found = {}
        for name, decoder in self.decoders.items():
            shape = input_shape["target"][name] if self.by_name else input_shape["target"]
            found[name] = (*tuple(shape)[:2], decoder.tokens or decoder.outputs)
        return found if self.by_name else found["decoder"]

    def _check_inputs(self, inputs: Any) -> None:
        if not isinstance(inputs, Mapping) or set(inputs) != {"source", "target"}:
            raise InputError(
                message(
                    self.where,
                    f"called with {type(inputs).__name__}; expected a dict with 'source' and "
                    "'target'.",
                    'model({"source": x, "target": y}) gives the scores of a known target; to say '
                    "one: generate(x, max_length=...).",
                )
            )

    # Saying

    def encode(self, source: Any, decoder: str | None = None) -> State:
        """Give the state that the decoder starts from.

        Args:
            source: `[batch, time]` tokens, or `[batch, time, features]` values.
            decoder: which, where there are several.

        Returns:
            A dict by layer and name, each leaf `[batch, units]`; with attention also `memory`,
            what the decoder looks at: `sequence` and `keys` `[batch, time, units]`, and `mask`.
            Pass it to `step`.
        """
        return self.generator.encode(source, decoder)

    def step(self, previous: Any, state: State, decoder: str | None = None) -> tuple[Any, State]:
        """Say one step.

        Args:
            previous: what the step reads: tokens `[batch]`, the start token at first; or values
                `[batch, outputs]`.
            state: what `encode`, or the step before, gave.
            decoder: which, where there are several.

        Returns:
            Scores (logits) `[batch, tokens]`, or values `[batch, outputs]`, and the state.
        """
        return self.generator.step(previous, state, decoder)

    def generate(
        self,
        source: Any,
        max_length: int,
        method: str = "greedy",
        *,
        decoder: str | None = None,
        batch_size: int | None = None,
        states: bool = False,
        **settings: Any,
    ) -> Generated:
        """Say a target for each row of a source.

        Args:
            source: `[batch, time]` tokens, or `[batch, time, features]` values.
            max_length: how many steps at most; values are made for all of them.
            method: "greedy": the best token at each step; "beam": the best sentence that a beam
                search finds; "sample": tokens drawn by their probability. Values have no other
                than "greedy".
            decoder: which, where there are several.
            batch_size: how many rows at once; all by default.
            states: give the states after each step too, and what the steps looked at.
            **settings: of the method. For "beam": `beam_width=4`, how many beginnings are kept;
                `length_penalty=0.0`, the score of `n` tokens is the logarithm of their
                probability divided by `((5 + n) / 6) ** length_penalty`; `every_beam=False`,
                give all sentences of a row, best first. For "sample": `temperature=1.0`, scores
                are divided by it; `top_k=None`, draw from so many of the best tokens only;
                `top_p=None`, only from the fewest that have this probability together;
                `seed=None`, for the same draws each time, on every backend.

        Raises:
            ArgumentError: a setting that can't be used, or is not of the method.
            InputError, DataError: a source that does not fit.
        """
        return self.generator.generate(
            source, max_length, method, decoder, batch_size, states, settings
        )

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Give the scores of a known target, `{"source": ..., "target": ...}`; see `generate`."""
        self._check_inputs(x)
        return super().predict(x, *args, **kwargs)

    # Config

    def get_config(self) -> dict[str, Any]:
        """Give the arguments, with encoder and decoders serialized."""
        written = keras.saving.serialize_keras_object
        own = isinstance(self._bridge, keras.layers.Layer)
        return {
            **super().get_config(),
            "encoder": written(self.encoder),
            "decoder": [written(one) for one in self.parts],
            "names": self.decoder_names if self.by_name else None,
            "bridge": written(self._bridge) if own else self._bridge,
            "hand_on": self.hand_on,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> EncoderDecoder:
        """Make the model from its config."""
        config = read_config(config, custom_objects)
        names, parts = config.pop("names"), config.pop("decoder")
        decoder = dict(zip(names, parts, strict=True)) if names else parts[0]
        return cls(config.pop("encoder"), decoder, **config)


def steps_that_count(decoder: Any, target: Any) -> Any:
    """Give where the steps of a target count, `[batch, time]` bool, or None if all do."""
    mask = None
    if decoder.stop is not None:
        stops = ops.cast(ops.equal(target, decoder.stop), "int32")
        mask = ops.equal(ops.cumsum(stops, axis=1) - stops, 0)
    if decoder.padding is not None:
        told = ops.not_equal(target, decoder.padding)
        mask = told if mask is None else ops.logical_and(mask, told)
    return mask


def _listed(sizes: Mapping[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{path} {size}" for path, size in sizes.items()) or "nothing"
