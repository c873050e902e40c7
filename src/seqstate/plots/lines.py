"""Line panels: one or several series over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
        for line in self.lines:
            axes.plot(
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
        axes.set_title(self.title, loc="left", fontsize=11)
        axes.set_ylabel(self.unit)
        axes.grid(color="0.9")
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_axisbelow(True)
        if len(self.lines) > 1:
            axes.legend(
                loc="lower right",
                bbox_to_anchor=(1.0, 1.0),
                ncols=len(self.lines),
                frameon=False,
                borderaxespad=0.1,
            )
