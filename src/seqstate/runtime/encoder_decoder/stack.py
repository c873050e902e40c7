"""`Stack`: the layers of an encoder or a decoder, as plans of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seqstate import state as states
from seqstate.runtime.archive.config import Config
from seqstate.runtime.archive.weights import Weights
from seqstate.runtime.layers.graph import Places
from seqstate.runtime.layers.layer import Array, Layer
from seqstate.runtime.layers.making import Making
from seqstate.runtime.layers.recurrent import Recurrent
from seqstate.runtime.layers.wrapping import BidirectionalLayer
from seqstate.runtime.plan.maker import Maker
from seqstate.runtime.plan.value import Shape, Value
from seqstate.state import State


def stack_of(config: Config, weights: Weights, making: Making) -> list[Layer]:
    """Make the layers of a stack."""
    places = Places("stack/parts")
    return [
        making.layer(one, weights.below(places.of(one), one.name)) for one in config.each("layers")
    ]


def recurrent(layers: list[Layer]) -> list[Recurrent | BidirectionalLayer]:
    """Give the recurrent layers among them."""
    return [one for one in layers if isinstance(one, Recurrent | BidirectionalLayer)]


def spec_of(layer: Recurrent | BidirectionalLayer) -> Mapping[str, Any]:
    """Give the states of one row."""
    if isinstance(layer, Recurrent):
        return layer.spec
    return {direction: one.spec for direction, one in layer.layers.items()}


def returning(layers: list[Layer], last: str) -> None:
    """Let every recurrent layer give its sequence and its state, the last one what is asked."""
    listed = recurrent(layers)
    for layer in listed:
        names = (last if layer is listed[-1] else "sequence", "state")
        both = layer.layers.values() if isinstance(layer, BidirectionalLayer) else (layer,)
        for one in both:
            one.returned = names
            one.zero_masked = one.zero_masked or (layer is not one and "sequence" in names)
            if layer is not one and "sequence" not in names:
                one.zero_masked = False


class Whole:
    """Runs layers over whole sequences, and gives the states that they end in.

    Args:
        first: an embedding that stands before them, or None.
        layers: set by `returning`.
        shape: of the input.
    """

    def __init__(self, first: Layer | None, layers: list[Layer], shape: Shape) -> None:
        maker = Maker()
        x: Any = maker.value(shape)
        if first is not None:
            x = first.call(maker, x)
        self._states: State = {}
        for layer in layers:
            made = layer.call(maker, x)
            if isinstance(layer, Recurrent | BidirectionalLayer):
                self._states[layer.name] = made["state"]
                made = made.get("sequence", made.get("output"))
            x = made
        self._plan, self._given = maker.plan, x

    def __call__(self, x: Array) -> tuple[Array, State, Array]:
        """Give what the last layer gives, the states by layer and name, and the mask or None."""
        slots = self._plan.slots.copy()
        slots[0] = x
        for call in self._plan.calls:
            call(slots, None, {})
        mask = self._given.mask
        found = states.map_leaves(lambda value: slots[value.slot], self._states)
        return slots[self._given.slot], found, None if mask is None else slots[mask.slot]


class ByStep:
    """Runs layers a step at a time.

    Args:
        layers: of a decoder.
        features: of a step.
        making: notes layers that can't be stepped.
        config: of the decoder, for messages.
    """

    def __init__(self, layers: list[Layer], features: int, making: Making, config: Config) -> None:
        maker = Maker()
        x: Any = maker.value((None, None, features), time=True)
        for layer in layers:
            if isinstance(layer, Recurrent):
                layer.returned, layer.sequences, layer.returns_state = None, True, False
            x = layer.call(maker, x)
        if maker.plan.why_no_step is not None:
            making.refuse(config, maker.plan.why_no_step, "Use layers that work on one step")
        self._plan, self._given = maker.plan, x
        self.units = x.shape[-1] if isinstance(x, Value) else None

    @property
    def spec(self) -> Mapping[str, Any]:
        """The states of one row, by layer and name."""
        return self._plan.spec

    def __call__(self, x: Array, state: State) -> tuple[Array, State]:
        """Make a step of `[batch, features]`: the output `[batch, units]` and the state."""
        slots = self._plan.slots.copy()
        slots[0] = x[:, None]
        after: State = {}
        for call in self._plan.calls:
            call(slots, state, after)
        return slots[self._given.slot][:, 0], after
