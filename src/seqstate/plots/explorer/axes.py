"""Time axes: what the page needs to draw one and to name its steps."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from seqstate.errors import ArgumentError, message

# Steps are even when none is off its place by more than this share of a step.
_EVEN = 1e-3


def steps_axis() -> dict[str, Any]:
    """Describe an axis that counts the steps from 0."""
    return {"label": "time step", "datetime": False, "start": 0, "step": 1, "values": None}


def time_axis(time: Any, lengths: Collection[int], where: str) -> dict[str, Any]:
    """Describe the axis of the times that were given.

    Where the steps are not even, or where there is one step only, the axis counts the steps, and
    each is labelled with its time: a heat map then shows every step at the same width.

    Args:
        time: `[time]` numbers or `datetime64`, rising.
        lengths: how many steps the layers have.
        where: who asks, for messages.

    Raises:
        ArgumentError: the times are of another kind or length, or don't rise.
    """
    times = _times(time)
    dated = np.issubdtype(times.dtype, np.datetime64)
    real = np.issubdtype(times.dtype, np.integer) or np.issubdtype(times.dtype, np.floating)
    if times.ndim != 1 or not (dated or real):
        raise ArgumentError(
            message(
                where,
                f"time has shape {times.shape} and type {times.dtype}; "
                "expected numbers or datetime64 of [time].",
                "Pass one entry for each time step, such as np.arange(steps) * 0.1.",
            )
        )
    if len(times) not in lengths:
        has = ", ".join(str(length) for length in sorted(set(lengths)))
        raise ArgumentError(
            message(
                where,
                f"time has {len(times)} entries; the layers have {has} time steps.",
                "Pass one entry for each time step, or leave it out to count the steps.",
            )
        )
    values = (
        times.astype("datetime64[us]").astype(np.int64) / 1000 if dated else times.astype(float)
    )
    known = ~np.isnat(times) if dated else np.isfinite(values)
    if not (known.all() and (np.diff(values) > 0).all()):
        raise ArgumentError(
            message(
                where,
                "time does not rise from each step to the next.",
                "Sort the data by time, and keep one entry for each time.",
            )
        )
    step = float(values[-1] - values[0]) / max(len(values) - 1, 1)
    even = values[0] + step * np.arange(len(values))
    axis: dict[str, Any] = {"label": "time", "datetime": dated, "values": values.tolist()}
    if len(values) > 1 and np.abs(values - even).max() <= _EVEN * step:
        return axis | {"start": float(values[0]), "step": step}
    return axis | {"start": None, "step": None}


def _times(time: Any) -> np.ndarray:
    times = np.asarray(time)
    if times.dtype != object:
        return times
    try:
        return times.astype("datetime64[us]")  # dates of Python's own
    except (TypeError, ValueError):
        return times
