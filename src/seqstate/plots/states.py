"""The figure of a run: its series as lines, its states and gates as heat maps, one time axis."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import dates
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from seqstate.errors import InputError, message
from seqstate.plots.heat import HeatMap, edges
from seqstate.plots.lines import Lines

_LINES_HEIGHT = 2.1
_HEAT_HEIGHT = 1.75


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
    """
    _check(time, lines, maps, order)
    heights = [_LINES_HEIGHT] * len(lines) + [_HEAT_HEIGHT] * len(maps)
    figure = Figure(figsize=(width, sum(heights) + 1.2), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(
        len(heights), 2, width_ratios=(80, 1), height_ratios=heights, wspace=0.01
    )
    figure.suptitle(f"{title}\n{note}" if note else title, x=0.01, ha="left", fontsize=13)
    panels: list[Lines | HeatMap] = [*lines, *maps]
    drawn: list[Axes] = []
    for row, panel in enumerate(panels):
        axes = figure.add_subplot(grid[row, 0], sharex=drawn[0] if drawn else None)
        drawn.append(axes)
        axes.tick_params(labelbottom=row == len(panels) - 1)
        if isinstance(panel, Lines):
            panel.draw(axes, time)
            continue
        rows = range(np.shape(panel.values)[1]) if order is None else order
        bar = figure.colorbar(panel.draw(axes, time, rows), cax=figure.add_subplot(grid[row, 1]))
        ends = (panel.low, (panel.low + panel.high) / 2, panel.high)
        bar.set_ticks(ends, labels=[f"{value:.3g}" for value in ends])
    _time_axis(drawn[-1], time, time_label)
    return figure


def _time_axis(axes: Axes, time: np.ndarray, label: str) -> None:
    borders = edges(time)
    axes.set_xlim(borders[0], borders[-1])
    if not np.issubdtype(np.asarray(time).dtype, np.datetime64):
        axes.set_xlabel(label or "time step")
        return
    locator = dates.AutoDateLocator()  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    formatter = dates.ConciseDateFormatter(locator)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_formatter(formatter)
    axes.set_xlabel(label or "time")


def _check(
    time: np.ndarray,
    lines: Sequence[Lines],
    maps: Sequence[HeatMap],
    order: Sequence[int] | None,
) -> None:
    steps = len(time)

    def wrong(what: str, todo: str) -> InputError:
        return InputError(message("states_figure", what, todo))

    if not lines and not maps:
        raise wrong("there is nothing to draw.", "Pass lines, maps or both.")
    for panel in lines:
        for line in panel.lines:
            if np.shape(line.values) != (steps,):
                raise wrong(
                    f'the line "{line.label}" has shape {np.shape(line.values)}; '
                    f"expected ({steps},), [time].",
                    "Pass one value for each entry of time.",
                )
    for heat in maps:
        shape = np.shape(heat.values)
        if len(shape) != 2 or shape[0] != steps:
            raise wrong(
                f'"{heat.title}" has shape {shape}; expected ({steps}, units), [time, units].',
                "Pass one sequence of a batch, such as states[0].",
            )
        if order is not None and sorted(order) != list(range(shape[1])):
            raise wrong(
                f'order does not name each of the {shape[1]} units of "{heat.title}" once.',
                "Leave it out, or pass a permutation of the units.",
            )
