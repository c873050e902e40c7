"""`EncoderDecoder`: `encode`, `step` and `generate` without Keras."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from seqstate import state as states
from seqstate.errors import ArgumentError, InputError, StateMismatchError, message
from seqstate.generation import Generated, Settings
from seqstate.runtime.activations import log_softmax
from seqstate.runtime.archive.config import Config
from seqstate.runtime.archive.weights import Weights
from seqstate.runtime.encoder_decoder.bridge import Bridge
from seqstate.runtime.encoder_decoder.decoder import Decoder, Encoder
from seqstate.runtime.encoder_decoder.hand_over import HandOver
from seqstate.runtime.encoder_decoder.search import (
    Found,
    Pick,
    beam_search,
    best,
    drawn_by,
    one_by_one,
)
from seqstate.runtime.layers.graph import Places
from seqstate.runtime.layers.layer import Array
from seqstate.runtime.layers.making import Making
from seqstate.state import State

MEMORY = "memory"
KINDS: dict[str, Any] = {"seqstate>Decoder": Decoder, "seqstate>HandOver": HandOver}


class EncoderDecoder:
    """A trained `seqstate.models.EncoderDecoder`; `seqstate.load` makes it.

    Args:
        config: what the file says of it.
        weights: of the file.
        making: notes what can't be made.
        fingerprint: gives what tells it from other models.

    Attributes:
        name: of the model.
        decoders: by name.
    """

    def __init__(
        self, config: Config, weights: Weights, making: Making, fingerprint: Callable[[], str]
    ) -> None:
        self.name, self._fingerprint = config.name, fingerprint
        self.where = f'EncoderDecoder "{self.name}"'
        parts = list(config.each("decoder"))
        listed = config.get("names")
        names = listed if isinstance(listed, list) else ["decoder"]
        if len(names) != len(parts) or not parts:
            raise config.wrong("its decoders and their names are not as many.")
        self.repeats = config.text("hand_on", "state", ("state", "repeat")) == "repeat"
        places = Places("decoders")
        self.decoders: dict[str, Decoder | HandOver] = {}
        for name, part in zip(names, parts, strict=True):
            place = places.of(part)
            kind = KINDS.get(part.kind)
            if kind is None:
                making.refuse(part, f"the class {part.kind} is not known", "Use a Decoder")
                continue
            below = weights.below(place, part.name)
            self.decoders[str(name)] = kind(part, below, making, self.repeats)
        looks = any(one.looks for one in self.decoders.values())
        encoder = config.inner("encoder")
        gives = "sequence" if looks else "output"
        self.encoder = Encoder(encoder, weights.below("encoder", encoder.name), making, gives)
        bridge = config.get("bridge", "auto")
        if bridge not in ("auto", "dense"):
            making.refuse(config, "its bridge is a layer of its own", 'Use bridge="auto"')
        if making.refused:
            return
        encoded = self.encoder.run._given.shape[-1]
        self._bridges = {}
        for i, (name, one) in enumerate(self.decoders.items()):
            one.finish(encoded, making)
            place = "bridges/bridge" + (f"_{i}" if i else "")
            self._bridges[name] = Bridge(
                self.encoder.spec, one.spec, bridge == "dense", weights.below(place, ""), config
            )

    @cached_property
    def fingerprint(self) -> str:
        """What tells the model from others, hexadecimal: of the layers and the weights."""
        return self._fingerprint()

    def encode(self, source: Any, decoder: str | None = None) -> State:
        """Give the state that the decoder starts from.

        Args:
            source: `[batch, time]` tokens, or `[batch, time, features]` values.
            decoder: which, where there are several.

        Returns:
            A dict by layer and name, each leaf `[batch, units]`; with attention also `memory`.
        """
        state, memory = self._begin(self._named(decoder), self._source(source))
        return {**state, MEMORY: memory} if memory else state

    def step(
        self, previous: Any, state: Mapping[str, Any], decoder: str | None = None
    ) -> tuple[Array, State]:
        """Say one step.

        Args:
            previous: what the step reads: tokens `[batch]`, the start token at first; or values
                `[batch, outputs]`.
            state: what `encode`, or the step before, gave.
            decoder: which, where there are several.

        Returns:
            Scores (logits) `[batch, tokens]`, or values `[batch, outputs]`, and the state.
        """
        one = self._named(decoder)
        given = np.asarray(previous)
        rows: tuple[Any, ...] = () if one.tokens is not None else (one.outputs,)
        if given.ndim != 1 + len(rows) or given.shape[1:] != rows:
            axes = "[batch] of tokens" if one.tokens is not None else f"[batch, {one.outputs}]"
            raise InputError(
                message(
                    self.where,
                    f"step reads shape {given.shape}; expected {axes}.",
                    "Pass one token a row: scores.argmax(-1) of the step before; the start token "
                    "at first.",
                )
            )
        own = {name: leaf for name, leaf in state.items() if name != MEMORY}
        memory = state.get(MEMORY, {})
        flat = states.flatten(own)
        spec = one.spec if isinstance(one, Decoder) else {}
        for path, sizes in states.flatten(spec).items():
            if path not in flat:
                raise StateMismatchError(
                    message(
                        self.where,
                        f"step: the state has no {path!r}; it has {', '.join(flat) or 'nothing'}.",
                        "Pass what `encode`, or the step before, gave.",
                    )
                )
            states.check_leaf(flat[path], sizes, len(given), self.where, path, "state")
        scores, after, _ = one.step(given, own, memory)
        return scores, {**after, **({MEMORY: memory} if memory else {})}

    def generate(
        self,
        source: Any,
        max_length: int,
        method: str = "greedy",
        *,
        decoder: str | None = None,
        states: bool = False,
        **settings: Any,
    ) -> Generated:
        """Say a target for each row of a source; see `seqstate.models.EncoderDecoder.generate`.

        Args:
            source: `[batch, time]` tokens, or `[batch, time, features]` values.
            max_length: how many steps at most; values are made for all of them.
            method: "greedy", "beam" or "sample".
            decoder: which, where there are several.
            states: give the states after each step too, and what the steps looked at.
            **settings: of the method.

        Raises:
            ArgumentError: a setting that can't be used, or is not of the method.
            InputError: a source that does not fit.
        """
        one = self._named(decoder)
        how = Settings.read(method, settings, one, max_length, self.where)
        given = self._source(source)
        state, memory = self._begin(one, given)
        if one.tokens is None:
            return self._values(one, state, memory, max_length, states)
        if how.method == "beam":
            found = beam_search(one, state, memory, max_length, how)
            if not how.every_beam:
                tokens, lengths, scores, _ = found
                found = Found(tokens[:, 0], lengths[:, 0], scores[:, 0], None)
        else:
            pick: Pick = best
            if how.method == "sample":
                pick = drawn_by(how.chances(len(given), max_length), how)
            found = one_by_one(one, state, memory, max_length, pick)
        made: dict[str, Any] = {"token_scores": found.token_scores}
        if found.token_scores is None or states:
            made = self._followed(one, found, state, memory, states)
        return Generated(found.tokens, None, found.lengths, found.scores, **made)

    def _values(
        self, decoder: Decoder | HandOver, state: State, memory: State, length: int, wanted: bool
    ) -> Generated:
        said = decoder.first(_rows(state, memory))
        values, each, looks = [], [], []
        for _ in range(length):
            said, state, looked = decoder.step(said, state, memory)
            values.append(said)
            each.append(state)
            looks.append(looked)
        made = {"states": _stacked(each), "attention": _looks(looks)} if wanted else {}
        lengths = np.full(len(said), length, np.int32)
        return Generated(None, np.stack(values, 1), lengths, **made)

    def _followed(
        self, decoder: Decoder | HandOver, found: Found, state: State, memory: State, wanted: bool
    ) -> dict[str, Any]:
        """Go once more along the tokens that were found, and see what the steps hold."""
        shape = found.tokens.shape
        many = 1 if len(shape) == 2 else shape[1]
        tokens = found.tokens.reshape(-1, shape[-1])
        state, memory = (
            states.map_leaves(lambda leaf: np.repeat(leaf, many, axis=0), one)
            for one in (state, memory)
        )
        said, chances, each, looks = decoder.first(len(tokens)), [], [], []
        for t in range(shape[-1]):
            scores, state, looked = decoder.step(said, state, memory)
            said = tokens[:, t]
            chances.append(np.take_along_axis(log_softmax(scores), said[:, None], -1)[:, 0])
            each.append(state)
            looks.append(looked)

        def with_beams(value: Array) -> Array:
            return value.reshape(*shape[:-1], *value.shape[1:])

        there = np.arange(shape[-1]) < found.lengths.reshape(-1, 1)
        chosen = np.where(there, np.stack(chances, 1), np.float32(0))
        made: dict[str, Any] = {"token_scores": with_beams(chosen)}
        if wanted:
            made["states"] = states.map_leaves(with_beams, _stacked(each))
            seen = _looks(looks)
            made["attention"] = None if seen is None else with_beams(seen)
        return made

    def _begin(self, decoder: Decoder | HandOver, source: Array) -> tuple[State, State]:
        given, state, mask = self.encoder.run(source)
        if self.repeats:
            batch = len(given)
            start = states.map_leaves(
                lambda sizes: np.zeros((batch, *sizes), np.float32), decoder.spec
            )
        else:
            name = next(name for name, one in self.decoders.items() if one is decoder)
            start = self._bridges[name](state)
        return decoder.start_from(start), decoder.remember(given, mask)

    def _named(self, name: str | None) -> Decoder | HandOver:
        if name is None and len(self.decoders) == 1:
            return next(iter(self.decoders.values()))
        if name not in self.decoders:
            raise ArgumentError(
                message(
                    self.where,
                    f"decoder={name!r}; there are {', '.join(map(repr, self.decoders))}.",
                    "Say which one is to speak.",
                )
            )
        return self.decoders[name]

    def _source(self, source: Any) -> Array:
        array = np.asarray(source)
        tokens = self.encoder.tokens is not None
        features = self.encoder.features
        right = array.ndim == (2 if tokens else 3) and array.dtype.kind in ("iu" if tokens else "f")
        if right and not tokens and features is not None:
            right = array.shape[2] == features
        if not right or 0 in array.shape:
            axes = "[batch, time] of token ids" if tokens else f"[batch, time, {features}]"
            raise InputError(
                message(
                    self.where,
                    f"the source has shape {array.shape} and dtype {array.dtype}; expected {axes}.",
                    "Pass one row for each source, padded to the same length.",
                )
            )
        return array if tokens else array.astype(np.float32, copy=False)


def _rows(state: State, memory: State) -> int:
    return len(next(leaf for one in (state, memory) for _, leaf in states.leaves(one)))


def _stacked(each: list[State]) -> State:
    first, *rest = each
    return states.map_leaves(lambda *leaves: np.stack(leaves, 1), first, *rest)


def _looks(looks: list[Any]) -> Any:
    return None if looks[0] is None else np.stack(looks, 1)
