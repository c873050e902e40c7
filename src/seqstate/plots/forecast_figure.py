"""A figure of series, forecasts of them, and how sure they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from seqstate.plots.canvas import empty_figure
from seqstate.plots.times import is_dated

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OBSERVED, FORECAST, BASELINE = "0.15", "#c8102e", "#2a7fba"
_WIDTH, _HEIGHT, _LOWER = 11.0, 4.6, 2.6  # inches; the last of one panel among several


@dataclass(frozen=True)
class Ahead:
    """One forecast.

    Attributes:
        time: `[horizon]`, dates or numbers.
        values: `[horizon]`.
        low: the lower end of the interval, `[horizon]`; None without one.
        high: the upper end.
        baseline: a simple forecast to compare with, `[horizon]`; None without one.
    """

    time: np.ndarray
    values: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    baseline: np.ndarray | None = None


@dataclass(frozen=True)
class Panel:
    """One series.

    Attributes:
        title: over the panel.
        unit: what the values are, for the axis.
        time: `[time]` of what was observed, dates or numbers.
        observed: `[time]`.
        forecasts: one, or several one after the other.
    """

    title: str
    unit: str
    time: np.ndarray
    observed: np.ndarray
    forecasts: Sequence[Ahead]


def forecast_figure(
    panels: Sequence[Panel],
    *,
    interval: str = "",
    baseline: str = "",
    note: str = "",
    where: str = "Forecaster.plot",
) -> Figure:
    """Draw what was observed, and forecasts with their intervals; a panel for each series.

    Args:
        panels: one below the other.
        interval: what the interval is called in the legend.
        baseline: what the simple forecast is called.
        note: below the last panel; "" for none.
        where: who draws, for messages.

    Raises:
        MissingPackageError: matplotlib is not installed.
    """
    height = _HEIGHT if len(panels) == 1 else 1.0 + _LOWER * len(panels)
    figure = empty_figure(_WIDTH, height, where, layout="constrained")
    for axes, panel in zip(figure.subplots(len(panels), squeeze=False)[:, 0], panels, strict=True):
        _draw(axes, panel, interval, baseline)
    legend = axes.legend(
        loc="upper left",
        bbox_to_anchor=(0.0, -0.1 if len(panels) == 1 else -0.18),
        ncols=4,
        frameon=False,
        fontsize=10,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
    if note:
        figure.supxlabel(note, x=0.01, ha="left", fontsize=10, color="0.3", parse_math=False)
    return figure


def _draw(axes: Axes, panel: Panel, interval: str, baseline: str) -> None:
    axes.plot(panel.time, panel.observed, color=OBSERVED, linewidth=1.6, label="observed", zorder=3)
    own = "forecast" if len(panel.forecasts) == 1 else "forecasts"
    for number, one in enumerate(panel.forecasts):
        # What comes again and again stands in the legend once.
        names = [name if number == 0 else None for name in (interval, baseline, own)]
        if one.low is not None and one.high is not None:
            _draw_interval(axes, one.time, one.low, one.high, names[0])
        # One value is no line.
        marker = "o" if len(one.time) == 1 else None
        for values, color, width, order, name in (
            (one.baseline, BASELINE, 1.2, 2, names[1]),
            (one.values, FORECAST, 1.8, 4, names[2]),
        ):
            if values is not None:
                axes.plot(
                    one.time,
                    values,
                    color=color,
                    linewidth=width,
                    marker=marker,
                    zorder=order,
                    label=name,
                )
    if len(panel.forecasts) == 1:
        axes.axvline(panel.time[-1], color="0.6", linewidth=0.8, linestyle=":")
    axes.set_title(panel.title, loc="left", fontsize=12, parse_math=False)
    axes.set_ylabel(panel.unit, parse_math=False)
    if not is_dated(np.asarray(panel.time)):
        axes.set_xlabel("step")
    axes.grid(color="0.9")
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    axes.margins(x=0.01)


def _draw_interval(
    axes: Axes, time: np.ndarray, low: np.ndarray, high: np.ndarray, label: str | None
) -> None:
    if len(time) == 1:
        axes.vlines(time, low, high, color=FORECAST, alpha=0.25, linewidth=6)
    axes.fill_between(time, low, high, color=FORECAST, alpha=0.18, linewidth=0, label=label)
