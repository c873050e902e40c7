"""One layer unrolled over time: a box for each time step, and what goes from box to box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from seqstate.plots.sketch import BOX, DOTS, LEFT, RIGHT, TEXT, Sketch

if TYPE_CHECKING:
    from seqstate.models.explain.facts import LayerFacts, Value

_STATE = 0.3
_PLAIN = 0.42
_LONGEST_NAME = 38


@dataclass(frozen=True)
class Slots:
    """The time steps that are drawn: all of a few, else the first two and the last.

    Attributes:
        steps: how many there are; None for any number.
    """

    steps: int | None

    @property
    def labels(self) -> list[str]:
        """What the drawn steps are called."""
        if self.steps is None:
            return ["step 0", "step 1", "last step"]
        shown = range(self.steps) if self.steps <= 4 else (0, 1, self.steps - 1)
        return [f"step {step}" for step in shown]

    @property
    def cut(self) -> bool:
        """Whether steps are left out before the last one."""
        return self.steps is None or self.steps > 4

    @property
    def centers(self) -> list[float]:
        """Where the drawn steps are."""
        places = 4 if self.steps is None or self.cut else self.steps
        width = (RIGHT - LEFT) / places
        at = [LEFT + width * (i + 0.5) for i in range(places)]
        return [at[0], at[1], at[3]] if self.cut else at

    @property
    def gaps(self) -> list[float]:
        """Where the steps are that are left out."""
        return [LEFT + (RIGHT - LEFT) * 2.5 / 4] if self.cut else []


@dataclass(frozen=True)
class Strip:
    """The states of one cell, or of one direction.

    Attributes:
        label: such as `forward`; "" for a layer that is one cell.
        states: the sizes by name.
        backward: whether it runs from the last step to the first.
    """

    label: str
    states: dict[str, int]
    backward: bool

    @property
    def height(self) -> float:
        """The height of a box."""
        return _STATE * len(self.states) + 0.12


def strips_of(facts: LayerFacts) -> list[Strip]:
    """Give the strips of a recurrent layer, from the bottom up."""
    together: dict[str, dict[str, int]] = {}
    for path, sizes in facts.carried.items():
        label, _, name = path.rpartition("/")
        size = 1
        for one in sizes:
            size *= one
        together.setdefault(label, {})[name] = size
    directions = dict(zip(("forward", "backward"), facts.reads, strict=False))
    return [
        Strip(label, states, directions.get(label.split("/")[0], facts.reads[0]) == "backward")
        for label, states in together.items()
    ]


class Row:
    """A layer in the picture.

    Args:
        facts: what is said of the layer.
    """

    def __init__(self, facts: LayerFacts) -> None:
        self.facts = facts
        self.strips = strips_of(facts) if facts.recurrent else []
        inner = [strip.height for strip in self.strips]
        self.height = sum(inner) + 0.12 * (len(inner) + 1) if inner else _PLAIN

    def draw(self, sketch: Sketch, slots: Slots, bottom: float) -> None:
        """Draw the layer with its bottom at a height."""
        self._say(sketch, bottom)
        if not self.strips:
            for left, right in self._plain_boxes(slots):
                sketch.box(left, bottom, right - left, self.height, "plain")
                sketch.say((left + right) / 2, bottom + self.height / 2, self.facts.kind, 10)
            if len(self._plain_boxes(slots)) > 1:
                for x in slots.gaps:
                    sketch.say(x, bottom + self.height / 2, DOTS, 15)
            return
        for x in slots.centers:
            sketch.box(x - BOX / 2, bottom, BOX, self.height, "layer")
        y = bottom + 0.12
        for strip in self.strips:
            self._strip(sketch, slots, strip, y)
            y += strip.height + 0.12

    def tops(self, slots: Slots) -> list[float]:
        """Give where something comes out."""
        first = self.facts.comes_out[:1]
        if _over_time(first) or any(_over_time([value]) for value in self.facts.comes_out):
            return slots.centers
        if not self.strips:
            return slots.centers[-1:]
        ends = {slots.centers[0] if one.backward else slots.centers[-1] for one in self._last()}
        return sorted(ends)

    def bottoms(self, slots: Slots) -> list[float]:
        """Give where something goes in."""
        if not self.facts.goes_in:
            return slots.centers
        return slots.centers if _over_time(self.facts.goes_in[:1]) else slots.centers[-1:]

    def _last(self) -> list[Strip]:
        """Give the strips that the output comes from."""
        two_ways = len(self.facts.reads) == 2
        of = {strip.label.split("/")[0]: strip for strip in self.strips}
        return list(of.values()) if two_ways else self.strips[-1:]

    def _plain_boxes(self, slots: Slots) -> list[tuple[float, float]]:
        """Give the left and right ends of the boxes of a layer that carries nothing."""
        ways = _over_time(self.facts.goes_in[:1]), _over_time(self.facts.comes_out[:1])
        each = [(x - BOX / 2, x + BOX / 2) for x in slots.centers]
        if all(ways):
            return each
        # What reads or gives a whole sequence, such as Flatten, stands over all of it.
        whole = any(ways) or not self.facts.goes_in
        return [(each[0][0], each[-1][1])] if whole else each[-1:]

    def _say(self, sketch: Sketch, bottom: float) -> None:
        path, _, _ = self.facts.name.rpartition("/")
        name = f"{path}/{self.facts.titled()}" if path else self.facts.titled()
        if len(name) > _LONGEST_NAME:
            name = f"…{name[1 - _LONGEST_NAME :]}"
        y = bottom + self.height + (0.14 if self.strips else -0.12)
        sketch.say(TEXT, y, name, 11, "left", bold=True)

    def _strip(self, sketch: Sketch, slots: Slots, strip: Strip, bottom: float) -> None:
        """Draw the states in each box, and the arrows that carry them on."""
        middles = [
            bottom + strip.height - 0.06 - _STATE * (number + 0.5)
            for number in range(len(strip.states))
        ]
        returned = any(value.state or value.name == "state" for value in self.facts.comes_out)
        ends = [LEFT - 0.35, *slots.centers, RIGHT + 0.25]
        last = 0 if strip.backward else len(ends) - 2
        for number, (left, right) in enumerate(pairwise(ends)):
            start = left + (BOX / 2 if left in slots.centers else 0)
            end = right - (BOX / 2 if right in slots.centers else 0)
            color = "0.7" if number == last and not returned else "C3"
            for y in middles:
                pair = ((end, y), (start, y)) if strip.backward else ((start, y), (end, y))
                sketch.arrow(*pair, color=color)
        for x in slots.centers:
            for (name, size), y in zip(strip.states.items(), middles, strict=True):
                sketch.say(x - BOX / 2 + 0.12, y, name, 9.5)
                sketch.cells(x + 0.08, y - 0.1, size, name)
        for x in slots.gaps:
            for y in middles:
                sketch.gap(x, y)
        y = (middles[0] + middles[-1]) / 2
        done = "state: returned" if returned else "state: not returned"
        starts = self.facts.starts
        texts = (done, starts) if strip.backward else (starts, done)
        sketch.say(LEFT - 0.42, y, texts[0], 9.5, "right")
        sketch.say(RIGHT + 0.32, y, texts[1], 9.5, "left")
        sizes = ", ".join(f"{name} {size}" for name, size in strip.states.items())
        label = f"{strip.label} carries" if strip.label else "carries"
        sketch.say(TEXT, y, f"{label} {sizes}", 10, "left")


def _over_time(values: Sequence[Value]) -> bool:
    return any("time" in value.axes for value in values)
