"""A figure of a series, forecasts of it, and how sure they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from seqstate.plots.canvas import empty_figure
from seqstate.plots.times import is_dated

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OBSERVED, FORECAST, BASELINE = "0.15", "#c8102e", "#2a7fba"
_WIDTH, _HEIGHT = 11.0, 4.6  # inches


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


def forecast_figure(
    time: np.ndarray,
    observed: np.ndarray,
    forecasts: Sequence[Ahead],
    *,
    title: str,
    unit: str,
    interval: str = "",
    baseline: str = "",
    where: str = "Forecaster.plot",
) -> Figure:
    """Draw what was observed, and forecasts with their intervals.

    Args:
        time: `[time]` of what was observed, dates or numbers.
        observed: `[time]`.
        forecasts: one, or several one after the other.
        title: over the figure.
        unit: what the values are, for the axis.
        interval: what the interval is called in the legend.
        baseline: what the simple forecast is called.
        where: who draws, for messages.

    Raises:
        MissingPackageError: matplotlib is not installed.
    """
    figure = empty_figure(_WIDTH, _HEIGHT, where, layout="constrained")
    axes = figure.add_subplot()
    axes.plot(time, observed, color=OBSERVED, linewidth=1.6, label="observed", zorder=3)
    for number, one in enumerate(forecasts):
        first = number == 0
        # One value is no line.
        marker = "o" if len(one.time) == 1 else None
        if one.low is not None and one.high is not None:
            low, high, at = one.low, one.high, one.time
            if len(at) == 1:
                axes.vlines(at, low, high, color=FORECAST, alpha=0.25, linewidth=6)
            axes.fill_between(
                at,
                low,
                high,
                color=FORECAST,
                alpha=0.18,
                linewidth=0,
                label=interval if first else None,
            )
        if one.baseline is not None:
            axes.plot(
                one.time,
                one.baseline,
                color=BASELINE,
                linewidth=1.2,
                marker=marker,
                label=baseline if first else None,
            )
        axes.plot(
            one.time,
            one.values,
            color=FORECAST,
            linewidth=1.8,
            marker=marker,
            zorder=4,
            label=("forecast" if len(forecasts) == 1 else "forecasts") if first else None,
        )
    if len(forecasts) == 1:
        axes.axvline(time[-1], color="0.6", linewidth=0.8, linestyle=":")
    axes.set_title(title, loc="left", fontsize=12, parse_math=False)
    axes.set_ylabel(unit, parse_math=False)
    if not is_dated(np.asarray(time)):
        axes.set_xlabel("step")
    axes.grid(color="0.9")
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    axes.margins(x=0.01)
    legend = axes.legend(
        loc="upper left", bbox_to_anchor=(0.0, -0.1), ncols=4, frameon=False, fontsize=10
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure
