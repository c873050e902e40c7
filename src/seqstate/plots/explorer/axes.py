"""Time axes: what the page needs to draw one and to name its steps."""

from __future__ import annotations

from typing import Any

import numpy as np

from seqstate.plots.times import Times

# Steps are even when none is off its place by more than this share of a step.
_EVEN = 1e-3


def steps_axis() -> dict[str, Any]:
    """Describe an axis that counts the steps from 0."""
    return {"label": "time step", "datetime": False, "start": 0, "step": 1, "names": None}


def time_axis(times: Times) -> dict[str, Any]:
    """Describe the axis of the times that were given.

    Where the steps are not even, or where there is one step only, the axis counts the steps, and
    each is labelled with its time: a heat map then shows every step at the same width.
    """
    values = times.values
    passed = (values - values[0]) / (np.timedelta64(1, "ms") if times.dated else 1)
    step = float(passed[-1]) / max(len(values) - 1, 1)
    axis: dict[str, Any] = {
        "label": times.label,
        "datetime": times.dated,
        "names": _dates(values) if times.dated else [_number(value) for value in values.tolist()],
        "start": None,
        "step": None,
    }
    if len(values) == 1:
        return axis
    if np.abs(passed - step * np.arange(len(values))).max() > _EVEN * step:
        return axis | {"label": f"{times.label} (the steps are not even)"}
    first = values[:1]
    start = first.astype("datetime64[us]").astype(np.int64) / 1000 if times.dated else first
    return axis | {"start": float(start[0]), "step": step}


def _dates(times: np.ndarray) -> list[str]:
    """Write dates down to the minute, or as far as they differ from whole ones.

    >>> _dates(np.array(["2024-02-29", "2024-03-01"], "datetime64[D]"))
    ['2024-02-29 00:00', '2024-03-01 00:00']
    """
    unit = np.datetime_data(times.dtype)[0]
    for coarser in ("m", "s", "ms", "us"):
        if (times.astype(f"datetime64[{coarser}]") == times).all():
            unit = coarser
            break
    return [str(one).replace("T", " ") for one in times.astype(f"datetime64[{unit}]")]


def _number(value: float) -> str:
    """Write a number: whole ones without a point.

    >>> _number(4.0), _number(0.25), _number(3)
    ('4', '0.25', '3')
    """
    return repr(value).removesuffix(".0")
