"""`Maker`: collects the calls of a plan while the layers are run with symbols."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from seqstate import state as states
from seqstate.runtime.plan.value import Shape, Value
from seqstate.state import State

Call = Callable[[list[Any], Any, State], None]
"""`call(slots, before, after)`: reads and writes arrays by their slot, and a state by its name."""


@dataclass
class Plan:
    """What a model does, one call after the other.

    Attributes:
        slots: the arrays before a run: constants, and None.
        calls: what to do, in order.
        spec: the states of one row, by layer and name.
        start: the state of one row before the first step, of the same names.
        why_no_step: why it can't be run a step at a time, or None.
    """

    slots: list[Any] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    spec: dict[str, Any] = field(default_factory=dict)
    start: dict[str, Any] = field(default_factory=dict)
    why_no_step: str | None = None


class Maker:
    """Makes a plan.

    Attributes:
        plan: as far as it is made.
        see: where a recurrent layer shows what it did, or None: `see(layer, kind, found)`.
    """

    def __init__(self, see: Callable[..., None] | None = None) -> None:
        self.plan = Plan()
        self.see = see
        self.folder: tuple[str, ...] = ()
        self._counts: dict[tuple[str, ...], int] = {}

    # Values

    def value(
        self, shape: Shape, time: bool = False, mask: Value | None = None, holds: Any = None
    ) -> Value:
        """Make room for an array.

        Args:
            shape: of the array.
            time: whether axis 1 is the stream's.
            mask: which steps count.
            holds: the array itself, if it is the same for all runs.
        """
        self.plan.slots.append(holds)
        return Value(len(self.plan.slots) - 1, shape, time, mask)

    def constant(self, array: Any) -> Value:
        """Give an array that never changes."""
        array = np.asarray(array)
        return self.value(array.shape, holds=array)

    # Calls

    def emit(
        self,
        function: Callable[..., Any],
        *inputs: Value,
        shape: Shape,
        time: bool | None = None,
        mask: Value | None = None,
    ) -> Value:
        """Add a call of a function of arrays that gives one array.

        Args:
            function: it must leave what it is given as it is.
            *inputs: what it is given.
            shape: of what it gives.
            time: whether that has the stream's time axis; by default if the first input does.
            mask: of what it gives.
        """
        result = self.value(shape, inputs[0].time if time is None else time, mask)
        to = result.slot
        if len(inputs) == 1:
            one = inputs[0].slot

            def call(slots: list[Any], _: Any, __: State) -> None:
                slots[to] = function(slots[one])

        elif len(inputs) == 2:
            first, second = inputs[0].slot, inputs[1].slot

            def call(slots: list[Any], _: Any, __: State) -> None:
                slots[to] = function(slots[first], slots[second])

        else:
            places = [one.slot for one in inputs]

            def call(slots: list[Any], _: Any, __: State) -> None:
                slots[to] = function(*[slots[place] for place in places])

        self.plan.calls.append(call)
        return result

    def emit_many(
        self, function: Callable[..., Sequence[Any]], inputs: Sequence[Value], like: Sequence[Value]
    ) -> None:
        """Add a call of a function that gives several arrays, written to the slots of `like`."""
        places, to = [one.slot for one in inputs], [one.slot for one in like]

        def call(slots: list[Any], _: Any, __: State) -> None:
            for place, made in zip(to, function(*[slots[one] for one in places]), strict=True):
                slots[place] = made

        self.plan.calls.append(call)

    def carry(
        self,
        name: str,
        spec: Mapping[str, Any],
        start: Mapping[str, Any],
        function: Callable[..., tuple[Sequence[Any], State]],
        inputs: Sequence[Value],
        like: Sequence[Value],
    ) -> None:
        """Add a call that reads a state and leaves the next one.

        Args:
            name: of the layer; a second call of the layer has a state of its own, `name@2`.
            spec: the states of one row.
            start: their values before the first step.
            function: `function(state, *arrays)` gives the arrays for the slots of `like` and the
                next state; `state` is None where a run starts.
            inputs: what it is given.
            like: what it gives.
        """
        name = self.unique(name)
        folder = self.folder
        spec_here, start_here = self.plan.spec, self.plan.start
        for one in folder:
            spec_here, start_here = spec_here.setdefault(one, {}), start_here.setdefault(one, {})
        spec_here[name], start_here[name] = dict(spec), dict(start)
        places, to = [one.slot for one in inputs], [one.slot for one in like]
        if not folder and len(places) == 1 and len(to) == 1:
            place, result = places[0], to[0]

            def call(slots: list[Any], before: Any, after: State) -> None:
                state = None if before is None else before[name]
                (slots[result],), after[name] = function(state, slots[place])

        else:

            def call(slots: list[Any], before: Any, after: State) -> None:
                for one in folder:
                    before = None if before is None else before[one]
                    after = after.setdefault(one, {})
                state = None if before is None else before[name]
                made, after[name] = function(state, *[slots[place] for place in places])
                for place, array in zip(to, made, strict=True):
                    slots[place] = array

        self.plan.calls.append(call)

    def unique(self, name: str) -> str:
        """Give the name of this call of a layer: `lstm`, then `lstm@2`."""
        key = (*self.folder, name)
        self._counts[key] = number = self._counts.get(key, 0) + 1
        return name if number == 1 else f"{name}@{number}"

    @contextmanager
    def inside(self, name: str) -> Iterator[None]:
        """Put the states of the layers that are called meanwhile below a name."""
        before = self.folder
        self.folder = (*before, self.unique(name))
        try:
            yield
        finally:
            self.folder = before

    def no_step(self, why: str) -> None:
        """Say that the model can't be run a step at a time; the first reason counts."""
        if self.plan.why_no_step is None:
            self.plan.why_no_step = why


def zeros_like_spec(spec: Mapping[str, Any]) -> State:
    """Give a state of zeros for one row."""
    return states.map_leaves(lambda sizes: np.zeros(sizes, np.float32), spec)
