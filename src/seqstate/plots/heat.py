"""Heat maps: units by time, one panel for a state or a gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from seqstate.plots.scales import colors, limits, scale_of
from seqstate.plots.times import is_dated

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable

_MOST_LABELS = 12


@dataclass(frozen=True)
class HeatMap:
    """A panel of units by time.

    Attributes:
        title: what the values are.
        values: `[time, units]`.
        low: the value at the lower end of the colours.
        high: the value at the upper end.
        colors: the name of a colour map of matplotlib.
    """

    title: str
    values: np.ndarray
    low: float
    high: float
    colors: str

    def draw(self, axes: Axes, time: np.ndarray, rows: Sequence[int]) -> ScalarMappable:
        """Draw the panel.

        Args:
            axes: where.
            time: `[time]`.
            rows: the units from the top down.

        Returns:
            What a colour bar is made from.
        """
        units = np.asarray(self.values)[:, list(rows)].T
        mesh = axes.pcolormesh(
            edges(time),
            np.arange(len(rows) + 1) + 0.5,
            units,
            vmin=self.low,
            vmax=self.high,
            cmap=self.colors,
            rasterized=True,
        )
        axes.invert_yaxis()
        axes.set_title(self.title, loc="left", fontsize=11)
        axes.set_ylabel("unit")
        ticks = range(0, len(rows), -(-len(rows) // _MOST_LABELS))
        axes.set_yticks([row + 1 for row in ticks], [str(rows[row]) for row in ticks], fontsize=8)
        return mesh


def edges(time: np.ndarray) -> np.ndarray:
    """Give the `[time + 1]` borders of cells whose middles are at `time` `[time]`.

    A single cell is one wide: one second, where it has a date.

    >>> edges(np.array([0.0, 1.0, 2.0])).tolist()
    [-0.5, 0.5, 1.5, 2.5]
    """
    time = np.asarray(time)
    one: np.timedelta64 | float = 1.0
    if is_dated(time):
        # Fine enough for half a step; nanoseconds only where needed, they end in the year 2262.
        steps = np.diff(time)
        fine = len(steps) > 0 and steps.min() < np.timedelta64(1, "ms")
        time = time.astype("datetime64[ns]" if fine else "datetime64[us]")
        one = np.timedelta64(1_000_000, "us")
    if len(time) == 1:
        return np.concatenate([time - one / 2, time + one / 2])
    half = (time[1:] - time[:-1]) / 2
    middles = time[:-1] + half
    return np.concatenate([time[:1] - half[:1], middles, time[-1:] + half[-1:]])


def state_maps(states: Mapping[str, np.ndarray]) -> list[HeatMap]:
    """Make a heat map of each state `[time, units]`.

    `h` is shown from -1 to 1; others, such as `c`, as far as the values go, the same on both
    sides of zero.
    """
    return [_heat_map(f"state {name}", f"states/{name}", values) for name, values in states.items()]


def gate_maps(gates: Mapping[str, np.ndarray]) -> list[HeatMap]:
    """Make a heat map of each gate `[time, units]`: 0 is closed, 1 is open.

    The candidate, which is no gate but what the gates let in, is shown from -1 to 1.
    """
    maps = []
    for name, values in gates.items():
        path = f"gates/{name}"
        is_gate = scale_of(path) == "gate"
        title = (
            f"{name} gate: 0 closed, 1 open" if is_gate else f"{name}: what the gates may let in"
        )
        maps.append(_heat_map(title, path, values))
    return maps


def _heat_map(title: str, path: str, values: np.ndarray) -> HeatMap:
    scale = scale_of(path)
    return HeatMap(title, values, *limits(values, scale), colors(scale))
