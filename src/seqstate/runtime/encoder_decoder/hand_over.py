"""`HandOver`: decoders that take turns; `seqstate.models.HandOver` says how."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from seqstate import state as states
from seqstate.runtime.archive.config import Config
from seqstate.runtime.archive.weights import Weights
from seqstate.runtime.encoder_decoder.bridge import Bridge
from seqstate.runtime.encoder_decoder.decoder import Decoder
from seqstate.runtime.layers.graph import Places
from seqstate.runtime.layers.layer import Array
from seqstate.runtime.layers.making import Making
from seqstate.state import State


class HandOver:
    """Decoders of one vocabulary, one of which speaks at a time.

    Args:
        config: of the whole.
        weights: of the whole.
        making: notes what can't be made.
        repeats: whether each step reads the encoder's output instead of the step before.
    """

    def __init__(self, config: Config, weights: Weights, making: Making, repeats: bool) -> None:
        names, places = config.get("names"), Places("decoders")
        parts = list(config.each("decoders"))
        if not isinstance(names, list) or len(names) != len(parts) or not parts:
            raise config.wrong("its decoders and their names are not as many.")
        self.config, self._weights = config, weights
        # Keras keeps the first attention where it finds it first: beside the decoders.
        looking = next((part for part in parts if part.has("attention")), None)
        self.decoders = {
            str(name): Decoder(
                part,
                weights.below(places.of(part), part.name),
                making,
                repeats,
                weights.below("attention", "attention") if part is looking else None,
            )
            for name, part in zip(names, parts, strict=True)
        }
        self.names = list(self.decoders)
        self._first = config.text("first", self.names[0], tuple(self.names))
        lead = next(iter(self.decoders.values()))
        self.tokens, self.outputs = lead.tokens, None
        self.stop, self.padding, self.filler = lead.stop, lead.padding, lead.filler
        self.looks = any(one.looks for one in self.decoders.values())
        self._lead = lead

    def finish(self, encoded: int, making: Making) -> None:
        """Make the plans of a step, and the bridges between the decoders."""
        for decoder in self.decoders.values():
            decoder.finish(encoded, making)
        self.rules = []
        rules = self.config.get("rules")
        for i, rule in enumerate(rules if isinstance(rules, list) else []):
            right = isinstance(rule, list) and len(rule) == 3 and isinstance(rule[1], int)
            if not right or rule[0] not in self.names or rule[2] not in self.names:
                raise self.config.wrong(f"its rule {str(rule)[:60]} names no decoders.")
            speaker, token, to = rule
            place = "bridges/bridge" + (f"_{i}" if i else "")
            source, target = self.decoders[speaker].spec, self.decoders[to].spec
            below = self._weights.below(place, f"bridge_{i}")
            bridge = Bridge(source, target, False, below, self.config)
            self.rules.append((self.names.index(speaker), token, self.names.index(to), bridge))

    @property
    def spec(self) -> Mapping[str, Any]:
        """The states of one row of the decoder that begins."""
        return self.decoders[self._first].spec

    def first(self, batch: int) -> Array:
        """Give the start token."""
        return self._lead.first(batch)

    def start_from(self, state: State) -> State:
        """Give `active`, the number of the decoder whose turn it is, and each one's state."""
        batch = len(next(leaf for _, leaf in states.leaves(state)))
        found: State = {"active": np.full(batch, self.names.index(self._first), np.int32)}
        for name, decoder in self.decoders.items():
            found[name] = state
            if name != self._first:
                found[name] = states.map_leaves(
                    lambda sizes: np.zeros((batch, *sizes), np.float32), decoder.spec
                )
        return found

    def remember(self, given: Array, mask: Array) -> State:
        """Prepare what the encoder gave for each decoder."""
        return {name: one.remember(given, mask) for name, one in self.decoders.items()}

    def step(self, previous: Array, state: State, memory: State) -> tuple[Array, State, Array]:
        """Hand over where a rule says so, then let the decoder whose turn it is make a step."""
        state = self._handed_over(previous, state)
        active = state["active"]
        scores: Any = None
        looked: Any = None
        new: State = {"active": active}
        for number, (name, decoder) in enumerate(self.decoders.items()):
            choose = _chosen(active == number)
            said, after, eyes = decoder.step(previous, state[name], memory.get(name, {}))
            new[name] = states.map_leaves(choose, after, state[name])
            scores = said if scores is None else choose(said, scores)
            if eyes is not None:
                looked = choose(eyes, np.zeros_like(eyes) if looked is None else looked)
        return scores, new, looked

    def _handed_over(self, previous: Array, state: State) -> State:
        active = state["active"]
        new = dict(state)
        for speaker, token, to, bridge in self.rules:
            now = (active == speaker) & (previous == token)
            name = self.names[to]
            handed = bridge(state[self.names[speaker]])
            new[name] = states.map_leaves(_chosen(now), handed, new[name])
            new["active"] = np.where(now, np.int32(to), new["active"])
        return new


def _chosen(rows: Array) -> Callable[[Array, Array], Array]:
    """Make a function that takes the first of two in some rows and the second in the others."""

    def choose(first: Array, second: Array) -> Array:
        return np.where(rows.reshape(-1, *[1] * (first.ndim - 1)), first, second)

    return choose
