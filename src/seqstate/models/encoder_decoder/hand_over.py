"""`HandOver`: several decoders that take turns in saying one target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from seqstate import state as states
from seqstate.errors import ArgumentError, message
from seqstate.models.encoder_decoder.bridge import Bridge
from seqstate.models.encoder_decoder.decoder import Decoder
from seqstate.models.encoder_decoder.encoder import read_config
from seqstate.models.encoder_decoder.stack import build_once, check_name
from seqstate.state import Spec, State

# Whose turn it is, among the states.
ACTIVE = "active"
SHARED = ("tokens", "start", "stop", "padding")


class Rule(NamedTuple):
    """When one decoder hands over to another.

    Attributes:
        speaker: the decoder whose turn it is.
        token: what it says.
        to: the decoder that goes on from there, with the state that the speaker is in.
    """

    speaker: str
    token: int
    to: str


@keras.saving.register_keras_serializable(package="seqstate")
class HandOver(keras.layers.Layer):
    """Decoders that take turns: where one says a certain token, another goes on from its state.

    It stands where a decoder stands. Each row has its own turns. Where two decoders have states
    of different sizes, a learned layer maps the one's onto the other's.

    Args:
        decoders: by name; all have the same `tokens`, `start`, `stop` and `padding`.
        rules: when who hands over to whom: `(speaker, token, to)`.
        first: whose turn it is at the first step; the first one by default.
        **kwargs: of `keras.layers.Layer`.

    Raises:
        ArgumentError: fewer than two decoders, or of different tokens; a rule with an unknown
            name or token; two rules for one token of one speaker.

    Example:
        >>> from seqstate.layers import GRU
        >>> from seqstate.models import Decoder
        >>> of = dict(tokens=12, start=10, stop=11)
        >>> decoders = {"letters": Decoder(GRU(8), **of), "digits": Decoder(GRU(4), **of)}
        >>> turns = HandOver(decoders, [("letters", 9, "digits"), ("digits", 8, "letters")])
        >>> turns.first_speaker
        'letters'
    """

    goes_by_step = True
    outputs = None

    def __init__(
        self,
        decoders: Mapping[str, Any],
        rules: Sequence[tuple[str, int, str]],
        first: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.repeats = False
        self.where = f'HandOver "{self.name}"'
        self.rules = [self._rule(number, rule) for number, rule in enumerate(rules)]
        self.first_speaker = next(iter(decoders), "") if first is None else first
        self._check(decoders)
        # Keras sorts dicts.
        self.names = list(decoders)
        self.decoders = list(decoders.values())
        lead = self.decoders[0]
        self.tokens, self.start, self.stop, self.padding = (getattr(lead, n) for n in SHARED)
        self.attention = next((d.attention for d in self.decoders if d.attention), None)
        self.bridges = [
            Bridge(self._of(rule.speaker).spec, self._of(rule.to).spec, name=f"bridge_{i}")
            for i, rule in enumerate(self.rules)
        ]

    def _check(self, decoders: Mapping[str, Any]) -> None:
        def wrong(what: str, todo: str) -> ArgumentError:
            return ArgumentError(message(self.where, what, todo))

        if not isinstance(decoders, Mapping):
            raise wrong(
                f"got {type(decoders).__name__}; expected a dict of decoders by name.",
                'Pass {"letters": Decoder(...), "digits": Decoder(...)}.',
            )
        names = ", ".join(map(repr, decoders))
        for name, one in decoders.items():
            check_name(name, (ACTIVE,), self.where)
            if not isinstance(one, Decoder):
                raise wrong(
                    f"{name}: got {type(one).__name__}; expected a Decoder.",
                    "Say what it says: Decoder(LSTM(64), tokens=..., start=...).",
                )
        if len(decoders) < 2 or any(one.tokens is None for one in decoders.values()):
            raise wrong(
                f"got the decoders {names or 'none'}; expected two or more, of tokens.",
                'Pass them by name: {"letters": Decoder(...), "digits": Decoder(...)}.',
            )
        for attribute in SHARED:
            found = {name: getattr(one, attribute) for name, one in decoders.items()}
            if len(set(found.values())) > 1:
                listed = ", ".join(f"{name}: {value}" for name, value in found.items())
                raise wrong(
                    f"the decoders have different `{attribute}`: {listed}.",
                    "They say one target together; give all the same.",
                )
        unknown = [n for rule in self.rules for n in (rule.speaker, rule.to) if n not in decoders]
        if self.first_speaker not in decoders:
            unknown.append(self.first_speaker)
        if unknown:
            raise wrong(
                f"there is no decoder {unknown[0]!r}; there are {names}.",
                "Use these names in `rules` and `first`.",
            )
        tokens = next(iter(decoders.values())).tokens
        for number, rule in enumerate(self.rules):
            is_whole = hasattr(rule.token, "__index__") and not isinstance(rule.token, bool)
            if not is_whole or not 0 <= rule.token < tokens:
                raise wrong(
                    f"rules[{number}]: {rule.token!r} is no token; there are 0 to {tokens - 1}.",
                    "Name a token of the target.",
                )
            if rule[:2] in [other[:2] for other in self.rules[:number]]:
                raise wrong(
                    f"two rules say what follows when {rule.speaker!r} says {rule.token}.",
                    "Leave one of them.",
                )

    def _rule(self, number: int, given: Any) -> Rule:
        if not isinstance(given, tuple | list) or len(given) != 3:
            raise ArgumentError(
                message(
                    self.where,
                    f"rules[{number}]: got {given!r}; expected (speaker, token, to).",
                    'For example ("letters", 9, "digits"): where `letters` says 9, `digits` goes '
                    "on.",
                )
            )
        return Rule(*given)

    def _of(self, name: str) -> Any:
        return self.decoders[self.names.index(name)]

    # As `Decoder`

    @property
    def spec(self) -> Spec:
        """The states of one row of the decoder that begins."""
        return self._of(self.first_speaker).spec

    @property
    def carried(self) -> Spec:
        """The states of one row of each decoder; beside them goes `active`, a whole number."""
        return {n: one.spec for n, one in zip(self.names, self.decoders, strict=True)}

    @property
    def memory_paths(self) -> list[str]:
        """The paths in the memory that `remember` gives."""
        return [
            f"{name}/{path}"
            for name, decoder in zip(self.names, self.decoders, strict=True)
            for path in decoder.memory_paths
        ]

    def first(self, batch: Any) -> Any:
        """Give the start token, `[batch]`."""
        return self.decoders[0].first(batch)

    def start_from(self, state: State) -> State:
        """Give `active`, the number of the decoder whose turn it is, and each one's state."""
        batch = ops.shape(next(leaf for _, leaf in states.leaves(state)))[0]
        found: State = {ACTIVE: ops.full((batch,), self.names.index(self.first_speaker), "int32")}
        for name, decoder in zip(self.names, self.decoders, strict=True):
            found[name] = (
                state
                if name == self.first_speaker
                else states.map_leaves(
                    lambda sizes, d=decoder: ops.zeros((batch, *sizes), dtype=d.compute_dtype),
                    decoder.spec,
                )
            )
        return found

    def build(self, memory_shape: Any) -> None:
        """Build each decoder."""
        for decoder in self.decoders:
            decoder.repeats = self.repeats
            build_once(decoder, memory_shape)
        self.built = True

    def remember(self, given: Any, mask: Any) -> State:
        """Prepare what the encoder gave for each decoder."""
        return {
            name: decoder.remember(given, mask)
            for name, decoder in zip(self.names, self.decoders, strict=True)
        }

    def unseen(self, memory: State) -> Any:
        """Give how much is looked at each step of the source at first; None for no memory."""
        found = (
            decoder.unseen(memory[name])
            for name, decoder in zip(self.names, self.decoders, strict=True)
        )
        return next((one for one in found if one is not None), None)

    def begin(self, batch: Any, state: State, training: bool | None) -> State:
        """Draw what stays the same for all steps, for each decoder."""
        return {
            name: decoder.begin(batch, state[name], training)
            for name, decoder in zip(self.names, self.decoders, strict=True)
        }

    def step(
        self, previous: Any, state: State, memory: State, drawn: State
    ) -> tuple[Any, State, Any]:
        """Hand over where a rule says so, then let the decoder whose turn it is make a step."""
        state = self._handed_over(previous, state)
        active = state[ACTIVE]
        scores: Any = None
        looked: Any = None
        new: State = {ACTIVE: active}
        for number, (name, decoder) in enumerate(zip(self.names, self.decoders, strict=True)):
            speaks = ops.equal(active, number)
            said, after, eyes = decoder.step(
                previous, state[name], memory.get(name, {}), drawn[name]
            )
            new[name] = states.map_leaves(_chosen(speaks), after, state[name])
            scores = said if scores is None else _chosen(speaks)(said, scores)
            if eyes is not None:
                looked = ops.zeros_like(eyes) if looked is None else looked
                looked = _chosen(speaks)(eyes, looked)
        return scores, new, looked

    def _handed_over(self, previous: Any, state: State) -> State:
        active = state[ACTIVE]
        new = dict(state)
        for rule, bridge in zip(self.rules, self.bridges, strict=True):
            speaker, to = self.names.index(rule.speaker), self.names.index(rule.to)
            now = ops.logical_and(ops.equal(active, speaker), ops.equal(previous, rule.token))
            handed = bridge(state[rule.speaker])
            new[rule.to] = states.map_leaves(_chosen(now), handed, new[rule.to])
            new[ACTIVE] = ops.where(now, to, new[ACTIVE])
        return new

    def end(self) -> None:
        """Forget what `begin` drew."""
        for decoder in self.decoders:
            decoder.end()

    def said(self, scores: Any) -> Any:
        """Give the token of the best score."""
        return ops.argmax(scores, axis=-1)

    # Config

    def get_build_config(self) -> None:
        """Give none: the model that it belongs to builds it."""

    def get_config(self) -> dict[str, Any]:
        """Give the arguments, with the decoders serialized."""
        written = [keras.saving.serialize_keras_object(one) for one in self.decoders]
        return {
            **super().get_config(),
            "names": self.names,
            "decoders": written,
            "rules": [list(rule) for rule in self.rules],
            "first": self.first_speaker,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> HandOver:
        """Make it from its config."""
        config = read_config(config, custom_objects)
        decoders = dict(zip(config.pop("names"), config.pop("decoders"), strict=True))
        return cls(decoders, **config)


def _chosen(rows: Any) -> Any:
    """Make a function that takes the first of two in some rows and the second in the others."""

    def choose(first: Any, second: Any) -> Any:
        return ops.where(ops.reshape(rows, (-1, *[1] * (len(first.shape) - 1))), first, second)

    return choose
