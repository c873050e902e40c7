"""The form in which series came, so that forecasts go out in the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from importlib import import_module
from typing import Any
from zoneinfo import ZoneInfo

import narwhals as nw
import numpy as np

# A column of forecasts of a series without a name.
_UNNAMED = "forecast"


@dataclass(frozen=True)
class Form:
    """What came in.

    Attributes:
        kind: "array"; "column", a series of pandas or polars; "frame"; "long", a frame with a
            column that tells the series apart; "list" or "dict" of those.
        axes: of an array.
        backend: the library of a frame or a column.
        targets: the columns to forecast.
        time: the column, or the index, of the times; None where there is none.
        indexed: whether the times are an index.
        unit: "ns", "us" or "ms" of dates with a time of day, "date", "int", or "period:" and
            the frequency of a period.
        zone: the time zone.
        wall: whether the times are those of clocks in that zone, not UTC.
        column: of a long frame, the column that tells the series apart.
        keys: of a dict, or of a long frame.
        parts: the forms in a list or a dict.
    """

    kind: str
    axes: int = 1
    backend: str = ""
    targets: tuple[Any, ...] = ()
    time: Any = None
    indexed: bool = False
    unit: str = ""
    zone: str | None = None
    wall: bool = False
    column: Any = None
    keys: tuple[Any, ...] = ()
    parts: tuple[Form, ...] = ()

    @property
    def first(self) -> Form:
        """The form of the first series."""
        return self.parts[0] if self.parts else self

    def target_names(self, count: int) -> tuple[str, ...]:
        """Give what the targets are called."""
        names = self.first.targets or (None,) * count
        if names == (None,):
            return ("value",)
        return tuple(f"value {i}" if name is None else str(name) for i, name in enumerate(names))


def on_the_wall(times: np.ndarray, form: Form) -> np.ndarray:
    """Give times as the clocks in their zone show them."""
    if form.zone is None or form.wall:
        return times
    zone = ZoneInfo(form.zone)
    shown = [
        time.replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None)
        for time in times.astype("datetime64[us]").astype(object)
    ]
    return np.array(shown, "datetime64[us]")


def written(
    form: Form,
    values: Sequence[np.ndarray],
    times: Sequence[np.ndarray | None],
    starts: Sequence[int],
    levels: Sequence[float] | None = None,
) -> Any:
    """Give forecasts in the form of what came.

    Args:
        form: of what came.
        values: of each series, `[horizon, targets]`, or `[horizon, targets, levels]`.
        times: of each series `[horizon]`, or None.
        starts: of each series the number of the first step.
        levels: of the quantiles, if these are quantiles.
    """
    if form.kind in ("list", "dict"):
        made = [
            written(part, [v], [t], [s], levels)
            for part, v, t, s in zip(form.parts, values, times, starts, strict=True)
        ]
        return made if form.kind == "list" else dict(zip(form.keys, made, strict=True))
    if form.kind == "array":
        return values[0][:, 0] if form.axes == 1 else values[0]
    columns: dict[Any, np.ndarray] = {}
    time = np.concatenate([t for t in times if t is not None]) if times[0] is not None else None
    if form.kind == "long":
        lengths = [len(one) for one in values]
        columns[form.column] = np.repeat(np.array(form.keys), lengths)
    together = np.concatenate(values)
    for number, target in enumerate(form.targets):
        if levels is None:
            columns[target] = together[:, number]
            continue
        for place, level in enumerate(levels):
            name = f"q{level:g}" if target is None else f"{target}_q{level:g}"
            columns[name] = together[:, number, place]
    if time is None:
        return _unindexed(form, columns, starts[0])
    return _timed(form, columns, time)


def _unindexed(form: Form, columns: dict[Any, np.ndarray], start: int) -> Any:
    made = _frame(form, columns)
    if form.backend == "pandas" and form.kind != "long":
        made.index = made.index + start
    return _narrowed(form, made)


def _timed(form: Form, columns: dict[Any, np.ndarray], times: np.ndarray) -> Any:
    name = "time" if form.time is None else form.time
    frame = nw.from_native(_frame(form, {name: _native_times(times, form), **columns}))
    if form.zone is not None:
        column = nw.col(name)
        if form.wall:
            column = column.dt.replace_time_zone(form.zone)
        else:
            column = column.dt.replace_time_zone("UTC").dt.convert_time_zone(form.zone)
        frame = frame.with_columns(column)
    if form.unit == "date" and form.backend != "pandas":
        frame = frame.with_columns(nw.col(name).cast(nw.Date))
    made = frame.to_native()
    if form.indexed:
        made = made.set_index(name)
        made.index.name = form.time
        if form.unit.startswith("period:"):
            made.index = made.index.to_period(form.unit.removeprefix("period:"))
    return _narrowed(form, made)


def _native_times(times: np.ndarray, form: Form) -> np.ndarray:
    if form.unit == "int":
        return times
    return times.astype(f"datetime64[{form.unit if form.unit in ('ns', 'ms') else 'us'}]")


def _frame(form: Form, columns: dict[Any, np.ndarray]) -> Any:
    named = {_UNNAMED if name is None else name: values for name, values in columns.items()}
    return nw.from_dict(named, backend=import_module(form.backend)).to_native()


def _narrowed(form: Form, frame: Any) -> Any:
    """Give a column where a column came, and one quantity is asked for."""
    if form.kind != "column" or len(frame.columns) > 1:
        return frame
    (target,) = form.targets
    column = frame[_UNNAMED if target is None else target]
    if target is None and form.backend == "pandas":
        column.name = None
    return column
