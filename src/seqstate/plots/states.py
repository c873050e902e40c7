"""The figure of a run: its series as lines, its states and gates as heat maps, over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from seqstate.errors import InputError, message
from seqstate.plots.canvas import empty_figure
from seqstate.plots.heat import HeatMap, edges
from seqstate.plots.lines import Lines
from seqstate.plots.scales import NOT_A_NUMBER
from seqstate.plots.times import is_dated

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.gridspec import SubplotSpec

_LINES_HEIGHT = 2.1
_HEAT_HEIGHT = 1.75
# Above so many units a map grows, or its rows would be thinner than a pixel.
_ROWS_PER_INCH = 80


@dataclass(frozen=True)
class Panel:
    """Lines or a heat map, and how they are shown.

    Attributes:
        content: what is drawn.
        rows: the units of a heat map from the top down; None is 0, 1, 2 ...
        skipped: `[time]` bool, True where a step does not count: it is hatched.
    """

    content: Lines | HeatMap
    rows: Sequence[int] | None = None
    skipped: np.ndarray | None = None

    @property
    def height(self) -> float:
        """The height of the panel, in inches."""
        if isinstance(self.content, Lines):
            return _LINES_HEIGHT
        return max(_HEAT_HEIGHT, np.shape(self.content.values)[1] / _ROWS_PER_INCH)


@dataclass(frozen=True)
class Section:
    """Panels on one time axis.

    Attributes:
        time: `[time]`, `datetime64` or numbers, rising.
        panels: from the top down.
        time_label: what the axis shows; by default "time", or "time step" for numbers.
    """

    time: np.ndarray
    panels: Sequence[Panel]
    time_label: str = ""


def states_figure(
    time: np.ndarray,
    lines: Sequence[Lines],
    maps: Sequence[HeatMap],
    title: str,
    note: str = "",
    time_label: str = "",
    order: Sequence[int] | None = None,
    width: float = 14.0,
) -> Figure:
    """Draw panels of lines over panels of heat maps, on one time axis.

    Args:
        time: `[time]`, `datetime64` or numbers, rising.
        lines: the panels of lines, with values `[time]`.
        maps: the heat maps, with values `[time, units]`, see `state_maps` and `gate_maps`.
        title: what is shown, and of which data.
        note: lines under the title.
        time_label: what the time axis shows; by default "time", or "time step" for numbers.
        order: the units from the top down, for every map; None is 0, 1, 2 ...
        width: in inches, of 100 pixels each.

    Returns:
        A figure with its own Agg canvas: `figure.savefig(path)` writes it.

    Raises:
        InputError: the arrays don't fit together.
        MissingPackageError: matplotlib is not installed.
    """
    panels = [*map(Panel, lines), *(Panel(heat, order) for heat in maps)]
    return sections_figure([Section(time, panels, time_label)], title, note, width)


def sections_figure(
    sections: Sequence[Section], title: str, note: str = "", width: float = 14.0
) -> Figure:
    """Draw sections below each other, each with its own time axis.

    Args:
        sections: what is drawn.
        title: what is shown, and of which data.
        note: lines under the title.
        width: in inches, of 100 pixels each.

    Returns:
        A figure with its own Agg canvas: `figure.savefig(path)` writes it.

    Raises:
        InputError: the arrays don't fit together.
        MissingPackageError: matplotlib is not installed.
    """
    _check(sections)
    heights = [panel.height for section in sections for panel in section.panels]
    head = 0.6 + 0.2 * note.count("\n") + 0.6 * len(sections)
    figure = empty_figure(width, sum(heights) + head, "plot", layout="constrained")
    grid = figure.add_gridspec(
        len(heights), 2, width_ratios=(80, 1), height_ratios=heights, wspace=0.01
    )
    figure.suptitle(f"{title}\n{note}" if note else title, x=0.01, ha="left", fontsize=13)
    row = 0
    for section in sections:
        drawn: list[Axes] = []
        for panel in section.panels:
            axes = figure.add_subplot(grid[row, 0], sharex=drawn[0] if drawn else None)
            axes.tick_params(labelbottom=panel is section.panels[-1])
            drawn.append(axes)
            _draw(panel, axes, section.time, figure, grid[row, 1])
            row += 1
        _time_axis(drawn[-1], section.time, section.time_label)
    return figure


def _draw(panel: Panel, axes: Axes, time: np.ndarray, figure: Figure, beside: SubplotSpec) -> None:
    content = panel.content
    if isinstance(content, Lines):
        content.draw(axes, time)
    else:
        rows = range(np.shape(content.values)[1]) if panel.rows is None else panel.rows
        axes.set_facecolor(NOT_A_NUMBER)
        mesh = content.draw(axes, time, rows)
        bar = figure.colorbar(mesh, cax=figure.add_subplot(beside))
        ends = (content.low, (content.low + content.high) / 2, content.high)
        bar.set_ticks(ends, labels=[f"{value:.3g}" for value in ends])
    if panel.skipped is not None:
        _hatch(axes, time, panel.skipped)


def _hatch(axes: Axes, time: np.ndarray, skipped: np.ndarray) -> None:
    """Hatch each run of steps that don't count."""
    borders = edges(time)
    changes = np.flatnonzero(np.diff(np.concatenate([[False], skipped, [False]])))
    for first, last in pairwise(changes.tolist()):
        if skipped[first]:
            axes.axvspan(
                borders[first],
                borders[last],
                facecolor=(0.93, 0.93, 0.93, 0.75),
                edgecolor="0.55",
                hatch="///",
                linewidth=0.0,
                zorder=3,
            )


def _time_axis(axes: Axes, time: np.ndarray, label: str) -> None:
    from matplotlib import dates, ticker

    borders = edges(time)
    axes.set_xlim(borders[0], borders[-1])
    if len(time) == 1:
        axes.set_xticks(time, [str(time[0])])
        axes.set_xlabel(label or "time step")
        return
    if not is_dated(np.asarray(time)):
        if np.issubdtype(np.asarray(time).dtype, np.integer):
            axes.xaxis.set_major_locator(ticker.MaxNLocator(nbins=15, integer=True, min_n_ticks=1))
        axes.set_xlabel(label or "time step")
        return
    locator = dates.AutoDateLocator()  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    formatter = dates.ConciseDateFormatter(locator)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_formatter(formatter)
    axes.set_xlabel(label or "time")


def _check(sections: Sequence[Section]) -> None:
    def wrong(what: str, todo: str) -> InputError:
        return InputError(message("states_figure", what, todo))

    if not any(section.panels for section in sections):
        raise wrong("there is nothing to draw.", "Pass lines, maps or both.")
    for section in sections:
        steps = len(section.time)
        for panel in section.panels:
            content = panel.content
            if isinstance(content, Lines):
                for line in content.lines:
                    if np.shape(line.values) != (steps,):
                        raise wrong(
                            f'the line "{line.label}" has shape {np.shape(line.values)}; '
                            f"expected ({steps},), [time].",
                            "Pass one value for each entry of time.",
                        )
                continue
            shape = np.shape(content.values)
            if len(shape) != 2 or shape[0] != steps:
                raise wrong(
                    f'"{content.title}" has shape {shape}; expected ({steps}, units), '
                    "[time, units].",
                    "Pass one sequence of a batch, such as states[0].",
                )
            if panel.rows is not None and sorted(panel.rows) != list(range(shape[1])):
                raise wrong(
                    f'order does not name each of the {shape[1]} units of "{content.title}" once.',
                    "Leave it out, or pass a permutation of the units.",
                )
