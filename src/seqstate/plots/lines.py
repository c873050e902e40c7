"""Line panels: one or several series over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

# Of the text of a legend, near enough.
_LETTERS_PER_INCH, _LETTERS_OF_A_HANDLE, _LONGEST = 10.5, 6, 60
_FONT, _ROW = 10, 16
# Room for the power of ten that matplotlib writes over an axis.
_OVER_AXES = 18


@dataclass(frozen=True)
class Line:
    """One series.

    Attributes:
        label: its name in the legend.
        values: `[time]`.
        color: any colour of matplotlib; None takes the next of the cycle.
        width: in points.
        dashed: whether the line is dashed.
        steps: whether the line jumps between the values, for numbers that are names.
    """

    label: str
    values: np.ndarray
    color: str | None = None
    width: float = 1.6
    dashed: bool = False
    steps: bool = False


@dataclass(frozen=True)
class Lines:
    """A panel of lines.

    Attributes:
        title: what the lines show.
        unit: the unit of measurement, for the axis.
        lines: drawn in this order, the last on top.
        zero: whether a thin line marks zero.
    """

    title: str
    unit: str
    lines: Sequence[Line]
    zero: bool = False

    def draw(self, axes: Axes, time: np.ndarray) -> None:
        """Draw the panel over `time` `[time]`."""
        if self.zero:
            axes.axhline(0.0, color="0.6", linewidth=0.8)
        drawn = []
        for line in self.lines:
            drawn += axes.plot(
                time,
                line.values,
                color=line.color,
                linewidth=line.width,
                linestyle="--" if line.dashed else "-",
                drawstyle="steps-mid" if line.steps else "default",
                # A line through one point can't be seen.
                marker="o" if len(time) == 1 else None,
                label=line.label,
            )
        axes.set_ylabel(self.unit)
        axes.grid(color="0.9")
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_axisbelow(True)
        _head(axes, self.title, drawn, [_short(line.label) for line in self.lines])


def _head(axes: Axes, title: str, drawn: Sequence[Line2D], labels: Sequence[str]) -> None:
    """Write the title, and the legend beside it or, where there is no room, in rows under it."""
    room = axes.get_figure(root=True).get_figwidth() * _LETTERS_PER_INCH  # type: ignore[union-attr]
    each = max(map(len, labels)) + _LETTERS_OF_A_HANDLE
    beside = len(labels) * each + len(title) <= room
    columns = len(labels) if beside else min(len(labels), max(int(room / each), 1))
    rows = 0 if beside else -(-len(labels) // columns)
    # Names may have dollar signs, which are no formulas.
    pad = _ROW * rows + _OVER_AXES if rows else 6
    axes.set_title(title, loc="left", fontsize=11, pad=pad, parse_math=False)
    if len(labels) < 2:
        return
    legend = axes.legend(
        drawn,
        labels,
        loc="lower right" if beside else "lower left",
        bbox_to_anchor=(1.0, 1.0) if beside else (0.0, 1.0),
        ncols=columns,
        frameon=False,
        fontsize=_FONT,
        borderaxespad=0.1 if beside else (_OVER_AXES - 6) / _FONT,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def _short(label: str) -> str:
    return label if len(label) <= _LONGEST else f"{label[: _LONGEST - 1]}…"
