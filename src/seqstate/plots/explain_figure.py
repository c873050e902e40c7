"""The picture of `explain`: layers from the bottom up, time steps from left to right."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

from seqstate.plots.canvas import empty_figure
from seqstate.plots.sketch import DOTS, LEFT, RIGHT, TEXT, WIDTH, Sketch
from seqstate.plots.unrolled import Row, Slots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from seqstate.models.explain.facts import LayerFacts, Value

MOST_LAYERS = 12
_BELOW, _ABOVE = 1.85, 1.0
_LINE = 0.21


def explain_figure(title: str, layers: Sequence[LayerFacts]) -> Figure:
    """Draw layers unrolled over time.

    Args:
        title: of what is explained.
        layers: the facts about each layer, in order.

    Raises:
        MissingPackageError: matplotlib is not installed.
    """
    names = [facts.name for facts in layers]
    # Of a layer that holds others, those others are drawn.
    inner = [one for one in layers if not any(name.startswith(f"{one.name}/") for name in names)]
    shown, left_out = inner[:MOST_LAYERS], inner[MOST_LAYERS:]
    rows = [Row(facts) for facts in shown]
    height = _BELOW + sum(row.height + _gap(row) for row in rows) + _ABOVE
    figure = empty_figure(WIDTH, height, "explain")
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set(xlim=(0, WIDTH), ylim=(0, height))
    axes.set_axis_off()
    sketch = Sketch(axes)
    axes.text(TEXT, height - 0.35, title, fontsize=15, va="center", weight="bold")
    says = "From left to right: time steps, which come with the data. Inside each box: units, "
    says += "which you choose. All boxes of a row are one layer, with the same weights."
    axes.text(TEXT, height - 0.75, says, fontsize=10.5, va="center", color="0.25")
    if left_out:
        says = f"Not drawn, for lack of room: {', '.join(one.name for one in left_out)}"
        axes.text(TEXT, height - 1.0, says, fontsize=10.5, va="center", color="0.25")

    slots = Slots(_steps_of(shown))
    bottom = _BELOW
    _input(sketch, rows[:1], slots, bottom)
    for row, above in zip_longest(rows, rows[1:]):
        row.draw(sketch, slots, bottom)
        top = bottom + row.height
        bottom = top + _gap(row)
        _between(sketch, slots, row, above, top, bottom)
    return figure


def _gap(row: Row) -> float:
    """Give the height above a layer, where it says what comes out."""
    return max(0.85, 0.45 + _LINE * len(row.facts.comes_out))


def _steps_of(layers: Sequence[LayerFacts]) -> int | None:
    """Give the number of steps of the first array that has a time axis; None for any number."""
    for facts in layers:
        for value in (*facts.goes_in, *facts.comes_out):
            if "time" in value.axes:
                return value.shape[value.axes.index("time")]
    return None


def _input(sketch: Sketch, rows: Sequence[Row], slots: Slots, bottom: float) -> None:
    """Draw what goes into the first layer, and the axis of time below it."""
    value = next((value for row in rows for value in row.facts.goes_in), None)
    over_time = value is not None and "time" in value.axes
    size = 0 if value is None else _size(value)
    low = bottom - 0.95
    for x in slots.centers if over_time else slots.centers[-1:]:
        sketch.cells(x, low, size, "input")
        sketch.arrow((x, low + 0.2), (x, bottom))
    if over_time:
        for x in slots.gaps:
            sketch.say(x, low + 0.1, DOTS, 15)
    sketch.say(TEXT, low + 0.1, "goes in", 11, "left", bold=True)
    says = "not known until it is called" if value is None else value.written()
    sketch.say(TEXT, low - 0.15, says, 10, "left")
    if not over_time:
        return
    for x, label in zip(slots.centers, slots.labels, strict=True):
        sketch.say(x, low - 0.38, label, 10)
    sketch.arrow((LEFT - 0.1, low - 0.6), (RIGHT, low - 0.6), color="0.4")
    count = "any number of" if slots.steps is None else slots.steps
    sketch.say(RIGHT + 0.2, low - 0.6, f"time: {count} step{'s' * (slots.steps != 1)}", 10, "left")


def _size(value: Value) -> int:
    """Give how many numbers there are at a step; 0 where it is not known."""
    last = value.shape[-1] if value.axes[-1] != "time" else 1
    return max(last or 0, 0)


def _between(
    sketch: Sketch, slots: Slots, row: Row, above: Row | None, low: float, high: float
) -> None:
    """Draw what comes out of a layer, up to the layer above where that is what reads it."""
    tops = row.tops(slots)
    handed_on = (
        above is not None
        and _is_read_by(row.facts, above.facts)
        # A layer over the parts of a TimeDistributed reads what was put together of all of them.
        and not (above.strips and len(above.bottoms(slots)) > len(tops))
    )
    high_out = high if handed_on else low + 0.35
    for x in tops:
        if handed_on and above is not None and x not in above.bottoms(slots):
            # The end of the backward direction: it goes to where the layer above stands.
            to = above.bottoms(slots)[-1]
            sketch.line([(x, low), (x, low + 0.2), (to, low + 0.2)])
        else:
            sketch.arrow((x, low), (x, high_out))
    for number, value in enumerate(reversed(row.facts.comes_out)):
        several = f": {len(value.parts)} x" if value.parts else ""
        words = f"{value.name}{several} {value.written()}".strip()
        words = f"{value.place}. {words}" if value.place else words
        sketch.say(RIGHT + 0.2, low + 0.3 + _LINE * number, words, 10, "left")
    if above is None or handed_on:
        return
    for x in above.bottoms(slots):
        sketch.arrow((x, high - 0.3), (x, high))
    source = above.facts.source or "an input of the model"
    sketch.say(TEXT, high - 0.2, f"reads: {source}", 10, "left")


def _is_read_by(facts: LayerFacts, above: LayerFacts) -> bool:
    source = above.source
    if source is None or facts.name == source or facts.name.startswith(f"{source}/"):
        return True
    # The first layer of a nested model reads what the nested model reads.
    return source == "" and "/" in above.name
