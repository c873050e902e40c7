"""`Maker`: collects the calls of a plan while the layers are run with symbols."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import prod
from typing import Any

import numpy as np

from seqstate import state as states
from seqstate.runtime.plan.value import Shape, Value
from seqstate.state import State

Call = Callable[[list[Any], Any, State], None]
"""`call(slots, before, after)`: reads and writes arrays by their slot, and a state by its name."""


# More than any model makes; a forged file of a few bytes could ask for any number.
MOST_VALUES, MOST_NESTED = 1 << 17, 1 << 12
MOST_NUMBERS = 1 << 28


class Plan:
    """What a model does, one call after the other.

    Attributes:
        slots: the arrays before a run: constants, and None.
        calls: what to do, in order.
        spec: the states of one row, by layer and name.
        start: the state of one row before the first step, of the same names.
        why_no_step: why it can't be run a step at a time, or None.
    """

    def __init__(self) -> None:
        self.slots: list[Any] = []
        self.calls: list[Call] = []
        self.spec: dict[str, Any] = {}
        self.start: dict[str, Any] = {}
        self.why_no_step: str | None = None


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
        self._given: set[tuple[str, ...]] = set()
        self._settled: set[int] = set()
        self._nested = 0

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
        if len(self.plan.slots) >= MOST_VALUES:
            # Models that are called twice in each other double what is to be done each time.
            raise ValueError(f"the model makes more than {MOST_VALUES:,} arrays")
        self.plan.slots.append(holds)
        return Value(len(self.plan.slots) - 1, shape, time, mask)

    def constant(self, array: Any) -> Value:
        """Give an array that never changes."""
        array = np.asarray(array)
        return self.value(array.shape, holds=array)

    def settled(self, value: Value) -> bool:
        """Tell whether a value has no time axis, and is another one after each step."""
        return not value.time and value.slot in self._settled

    def _settle(self, inputs: Sequence[Value], made: Sequence[Value]) -> None:
        if any(one.time or one.slot in self._settled for one in inputs):
            self._settled.update(one.slot for one in made)

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
        self._settle(inputs, [result])
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
        self._settle(inputs, like)

        def call(slots: list[Any], _: Any, __: State) -> None:
            for place, made in zip(to, function(*[slots[one] for one in places]), strict=True):
                slots[place] = made

        self.plan.calls.append(call)

    def carry(
        self,
        name: str,
        spec: Mapping[str, Any],
        start: Mapping[str, Any] | None,
        function: Callable[..., tuple[Sequence[Any], State]],
        inputs: Sequence[Value],
        like: Sequence[Value],
        checks: bool = False,
    ) -> None:
        """Add a call that reads a state and leaves the next one.

        Args:
            name: of the layer; a second call of the layer has a state of its own, `name@2`.
            spec: the states of one row.
            start: their values before the first step, or None for zeros.
            function: `function(state, *arrays)` gives the arrays for the slots of `like` and the
                next state; `state` is None where a run starts.
            inputs: what it is given.
            like: what it gives.
            checks: whether the function itself refuses a state of other rows, sizes or another
                type. What NumPy computes would spread one row over all.
        """
        if not checks:
            function = _checking(function, spec)
        numbers = sum(prod(sizes) for sizes in states.flatten(spec).values())
        if numbers > MOST_NUMBERS:
            raise ValueError(f"{name} has a state of {numbers:,} numbers for each row")
        name = self.unique(name)
        folder = self.folder
        self._settle(inputs, like)
        spec_here, start_here = self.plan.spec, self.plan.start
        for one in folder:
            spec_here, start_here = spec_here.setdefault(one, {}), start_here.setdefault(one, {})
        spec_here[name] = dict(spec)
        start_here[name] = dict(zeros_like_spec(spec) if start is None else start)
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
        key, made = (*self.folder, name), name
        while True:
            self._counts[key] = number = self._counts.get(key, 0) + 1
            made = name if number == 1 else f"{name}@{number}"
            # Another layer may have just this name.
            if (*self.folder, made) not in self._given:
                self._given.add((*self.folder, made))
                return made

    @contextmanager
    def inside(self, name: str) -> Iterator[None]:
        """Put the states of the layers that are called meanwhile below a name."""
        self._nested += 1
        if self._nested > MOST_NESTED:
            raise ValueError(f"the model calls models more than {MOST_NESTED:,} times")
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


def _checking(function: Callable[..., Any], spec: Mapping[str, Any]) -> Callable[..., Any]:
    sizes = [(tuple(path.split("/")), own) for path, own in states.flatten(spec).items()]

    def checked(state: State | None, first: Any, *arrays: Any) -> Any:
        if state is not None:
            rows = len(first)
            for path, own in sizes:
                leaf: Any = state
                for name in path:
                    leaf = leaf[name]
                if leaf.shape != (rows, *own) or leaf.dtype != np.float32:
                    raise ValueError(
                        f"{'/'.join(path)} is {leaf.dtype} {leaf.shape}, not float32 {(rows, *own)}"
                    )
        return function(state, first, *arrays)

    return checked


def zeros_like_spec(spec: Mapping[str, Any]) -> State:
    """Give a state of zeros for one row."""
    return states.map_leaves(lambda sizes: np.zeros(sizes, np.float32), spec)
