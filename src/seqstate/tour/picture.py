"""The picture of the tour: the last of the held-out days, outside and inside the LSTM."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from seqstate.plots import Line, Lines, gate_maps, state_maps, states_figure
from seqstate.tour.data import DAY, PLACE, Temperatures
from seqstate.tour.windows import change_since_yesterday
from seqstate.traces import LayerTrace

DAYS = 9
OBSERVED, FORECAST, BASELINE = "0.15", "#c8102e", "#2a7fba"


def by_temperature(h: np.ndarray, celsius: np.ndarray) -> list[int]:
    """Order the units by the correlation of `h` with the temperature, the highest first.

    Args:
        h: `[time, units]`.
        celsius: `[time]`.
    """
    together = ((h - h.mean(axis=0)) * (celsius - celsius.mean())[:, None]).mean(axis=0)
    spread = h.std(axis=0)
    # A unit that never moves has no correlation: it goes to the middle, with the zeros.
    correlation = np.divide(together, spread, out=np.zeros_like(together), where=spread > 0)
    return [int(unit) for unit in np.argsort(-correlation, kind="stable")]


def draw(
    series: Temperatures,
    part: slice,
    forecast: np.ndarray,
    baseline: np.ndarray,
    inside: LayerTrace,
) -> Figure:
    """Draw input, forecasts and errors, `h`, `c` and the gates.

    Args:
        series: all the temperatures.
        part: the held-out hours.
        forecast: of the LSTM, `[days, 24]`, °C.
        baseline: the seasonal-naive forecast, `[days, 24]`, °C.
        inside: of the LSTM, one sample, over the held-out hours.
    """
    shown = slice(-DAYS * DAY, None)
    time = series.time[part][shown]
    celsius = series.celsius[part][shown]
    learned, repeated = forecast.ravel()[shown], baseline.ravel()[shown]
    states = {name: values[0, shown] for name, values in inside.states.items()}
    gates = {name: values[0, shown] for name, values in inside.gates.items()}
    panels = [
        Lines(
            f"Temperature in {PLACE}: input, and what each midnight's forecast said",
            "°C",
            [
                Line("observed (input)", celsius, OBSERVED, 2.6),
                Line("same hour the day before", repeated, BASELINE),
                Line("LSTM", learned, FORECAST, dashed=True),
            ],
        ),
        Lines(
            "Error of the forecasts: forecast less observed",
            "°C",
            [
                Line("same hour the day before", repeated - celsius, BASELINE),
                Line("LSTM", learned - celsius, FORECAST),
            ],
            zero=True,
        ),
        Lines(
            "Second input: change since the same hour of the day before",
            "°C",
            [Line("change", change_since_yesterday(series.celsius)[part][shown], OBSERVED)],
            zero=True,
        ),
    ]
    return states_figure(
        time,
        panels,
        [*state_maps(states), *gate_maps(gates)],
        title=f"Inside an LSTM that forecasts {PLACE}'s hourly temperature: "
        f"the last {DAYS} of the held-out days",
        note="NOAA hourly climate normals (averages over 1981 to 2010), from vega_datasets\n"
        "Units are ordered by the correlation of their h with the temperature, highest on top",
        time_label="day, by the dates in the file; ticks at midnight",
        order=by_temperature(states["h"], celsius),
    )
