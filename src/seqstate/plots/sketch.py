"""What the picture of a layer is drawn with: boxes, rows of cells, arrows and words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Everything is measured in inches.
WIDTH = 14.0
TEXT, LEFT, RIGHT = 0.3, 4.3, 10.7
"""Where words begin, and where the time steps begin and end."""
BOX = 1.25
"""The width of the box of a time step."""

DOTS = "\N{MIDLINE HORIZONTAL ELLIPSIS}"

_CELL = 0.11
_MOST_CELLS = 8
_FILLS = {"input": "#9bcf9b", "h": "#6baed6", "c": "#f6a04d"}
_BOXES = {"layer": ("#eef3f8", "#4a6b8a"), "plain": ("#f4f4f4", "0.5")}


class Sketch:
    """Draws on axes that are measured in inches."""

    def __init__(self, axes: Axes) -> None:
        self.axes = axes

    def say(
        self,
        x: float,
        y: float,
        text: str,
        size: float,
        side: Literal["left", "center", "right"] = "center",
        bold: bool = False,
        color: str = "0.15",
    ) -> None:
        """Write a line of text, its middle at a height."""
        weight = "bold" if bold else "normal"
        self.axes.text(
            x, y, text, fontsize=size, ha=side, va="center", weight=weight, color=color, zorder=5
        )

    def box(self, x: float, y: float, width: float, height: float, kind: str) -> None:
        """Draw a box with rounded corners."""
        from matplotlib.patches import FancyBboxPatch

        fill, edge = _BOXES[kind]
        style = "round,pad=0,rounding_size=0.08"
        self.axes.add_patch(
            FancyBboxPatch((x, y), width, height, style, facecolor=fill, edgecolor=edge, zorder=2)
        )

    def cells(self, x: float, y: float, count: int, kind: str) -> None:
        """Draw so many numbers as cells side by side, around x; of many the first and the last.

        Args:
            x: the middle.
            y: the bottom.
            count: how many; 0 where it is not known.
            kind: "input", or the name of a state.
        """
        from matplotlib.patches import Rectangle

        if not count:
            self.say(x, y + 0.1, "?", 12)
            return
        shown = [True] * count if count <= _MOST_CELLS else [*[True] * 5, False, True, True]
        left = x - len(shown) * _CELL / 2
        fill = _FILLS.get(kind, "#b9a3d6")
        for number, cell in enumerate(shown):
            corner = (left + number * _CELL, y)
            if cell:
                patch = Rectangle(
                    corner, _CELL, 0.2, facecolor=fill, edgecolor="white", linewidth=0.8, zorder=3
                )
                self.axes.add_patch(patch)
            else:
                self.say(corner[0] + _CELL / 2, y + 0.1, DOTS, 8)

    def arrow(
        self, start: tuple[float, float], end: tuple[float, float], color: str = "0.3"
    ) -> None:
        """Draw an arrow."""
        self.axes.annotate(
            "",
            xy=end,
            xytext=start,
            arrowprops={
                "arrowstyle": "-|>",
                "color": color,
                "linewidth": 1.3,
                "shrinkA": 0,
                "shrinkB": 0,
                "mutation_scale": 11,
            },
            zorder=4,
        )

    def line(self, points: list[tuple[float, float]], color: str = "0.3") -> None:
        """Draw a line through points."""
        xs, ys = zip(*points, strict=True)
        self.axes.plot(xs, ys, color=color, linewidth=1.3, zorder=2)

    def gap(self, x: float, y: float) -> None:
        """Cut what runs through a point, and draw dots there."""
        self.axes.text(
            x,
            y,
            DOTS,
            fontsize=14,
            ha="center",
            va="center",
            zorder=6,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
        )
