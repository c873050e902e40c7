"""Frames and columns of pandas, polars and others, read through narwhals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import narwhals as nw
import numpy as np

from seqstate.errors import ArgumentError, DataError, message
from seqstate.forecast.form import Form, on_the_wall
from seqstate.forecast.matrix import check_finite

Table = dict[str, Any]


@dataclass(frozen=True)
class Columns:
    """What the columns of a frame are, by name.

    Attributes:
        time: the times; None for the index of pandas.
        target: what is to be forecast; empty for all that is nothing else, None for nothing.
        series: tells the series apart.
        known: covariates that are known for the future.
        past: covariates that are not.
        wall: whether times of a zone are read as the clocks there show them, not in UTC; None
            to see which of the two is regular.
    """

    time: Any = None
    target: tuple[Any, ...] | None = ()
    series: Any = None
    known: tuple[Any, ...] = ()
    past: tuple[Any, ...] = ()
    wall: bool | None = None


def read_frame(frame: Any, columns: Columns, where: str, name: str) -> tuple[Table, Form]:
    """Read a frame of one series: `values`, `known`, `past` and `times`.

    Raises:
        DataError: a column is not there, or can't be read.
    """
    if columns.series is not None and columns.series in frame.columns:
        frame = frame.drop(columns.series)
    there = list(frame.columns)
    named = [columns.time, *(columns.target or ()), *columns.known, *columns.past]
    missing = [column for column in named if column is not None and column not in there]
    if missing:
        raise DataError(
            message(
                where,
                f"{name} has no column {missing[0]!r}; it has {', '.join(map(str, there))}.",
                "Name one of these, or add the column.",
            )
        )
    others = [c for c in there if c not in (columns.time, *columns.known, *columns.past)]
    target = () if columns.target is None else columns.target or tuple(others)
    form = Form("frame", backend=_backend(frame), targets=target)
    times: np.ndarray | None = None
    if columns.time is not None:
        what = f"{name}, column {columns.time!r}"
        times, form = _times(frame[columns.time], form, where, what, columns.wall)
    else:
        times, form = _index(frame, form, where, name, columns.wall)
    groups = {"values": target, "known": columns.known, "past": columns.past}
    table: Table = {
        kind: _matrix(frame, group, where, name, times) for kind, group in groups.items()
    }
    return {**table, "times": times}, form


def read_column(column: Any, columns: Columns, where: str, name: str) -> tuple[Table, Form]:
    """Read a series of pandas or polars: its values, and its times where its index is of times."""
    native_name = column.name if column.name not in ("", None) else None
    form = Form("column", backend=_backend(column), targets=(native_name,))
    times, form = _index(column, form, where, name, columns.wall)
    values = _matrix(column.alias("y").to_frame(), ("y",), where, name, times)
    return {"values": values, "known": None, "past": None, "times": times}, form


def split_long(given: Any, columns: Columns, where: str) -> tuple[dict[Any, Table], Form]:
    """Read a frame of several series below each other, in the order in which they first come."""
    frame = nw.from_native(given, eager_only=True, pass_through=True)
    if not isinstance(frame, nw.DataFrame):
        raise ArgumentError(
            message(
                where,
                f"series={columns.series!r} names a column; what came is a {type(given).__name__}.",
                "Pass a frame with that column, or leave series out: a dict or a list holds "
                "several series too.",
            )
        )
    if columns.series not in frame.columns:
        raise DataError(
            message(
                where,
                f"the frame has no column {columns.series!r}; it has "
                f"{', '.join(map(str, frame.columns))}.",
                "Name the column that tells the series apart.",
            )
        )
    keys = frame[columns.series].to_numpy()
    nameless = [key is None or key != key for key in keys.tolist()]  # NaN is not itself
    if any(nameless):
        raise DataError(
            message(
                where,
                f"the column {columns.series!r}, which tells the series apart, is empty at row "
                f"{nameless.index(True)}; {sum(nameless)} of {len(keys)} rows are concerned.",
                "Write the name of the series there, or take the rows out.",
            )
        )
    found = list(dict.fromkeys(keys.tolist()))
    tables, forms = {}, []
    for key in found:
        rows = frame.filter((keys == key).tolist())
        tables[key], form = read_frame(rows, columns, where, f"series {key!r}")
        forms.append(form)
    if differ_in_clocks(forms, columns):
        return split_long(given, replace(columns, wall=True), where)
    form = replace(forms[0], kind="long", column=columns.series, keys=tuple(found))
    return tables, form


def differ_in_clocks(forms: Sequence[Form], columns: Columns) -> bool:
    """Say whether some times were read as clocks on the wall show them, and others in UTC.

    A series in which no clock is changed does not show which of the two is regular.
    """
    return columns.wall is None and len({form.wall for form in forms}) > 1


def _matrix(
    frame: Any, names: Sequence[Any], where: str, name: str, times: np.ndarray | None
) -> np.ndarray:
    made = np.zeros((len(frame), len(names)))
    for place, column in enumerate(names):
        dtype = frame[column].dtype
        if not (dtype.is_numeric() or dtype == nw.Boolean):
            raise DataError(
                message(
                    where,
                    f"{name}, column {column!r} is of type {dtype}; expected numbers.",
                    "Convert it, or name the columns that are meant: target=..., time=..., "
                    "series=....",
                )
            )
        made[:, place] = frame[column].cast(nw.Float64).to_numpy()
    check_finite(made, where, name, times, names)
    return made


def _index(
    frame: Any, form: Form, where: str, name: str, wall: bool | None
) -> tuple[np.ndarray | None, Form]:
    """Read the index of pandas as times; one that only counts the rows is none."""
    index = nw.maybe_get_index(frame)
    if index is None or type(index).__name__ == "RangeIndex":
        return None, form
    form = replace(form, time=index.name, indexed=True)
    period = getattr(index, "freqstr", "") if hasattr(index, "to_timestamp") else ""
    if period:
        index = index.to_timestamp()
    column = nw.from_native(index.to_series().reset_index(drop=True), series_only=True)
    times, form = _times(column, form, where, f"{name}, the index", wall)
    return times, replace(form, unit=f"period:{period}") if period else form


def _times(
    column: Any, form: Form, where: str, name: str, wall: bool | None
) -> tuple[np.ndarray, Form]:
    dtype = column.dtype
    if column.is_null().any():
        row = int(np.argmax(column.is_null().to_numpy()))
        raise DataError(
            message(where, f"{name} has no time at row {row}.", "Drop the row or fill it in.")
        )
    form = replace(form, time=column.name if not form.indexed else form.time)
    if dtype.is_integer():
        return column.to_numpy().astype("int64"), replace(form, unit="int")
    if dtype == nw.Date:
        return column.to_numpy().astype("datetime64[us]"), replace(form, unit="date")
    if dtype == nw.Datetime:
        form = replace(form, unit=dtype.time_unit, zone=dtype.time_zone)
        if dtype.time_zone is not None:
            column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        return _in_one_zone(column.to_numpy().astype("datetime64[us]"), form, wall)
    raise DataError(
        message(
            where,
            f"{name} is of type {dtype}; expected dates or whole numbers.",
            "Convert it first: pandas.to_datetime(...), or .str.to_datetime() of polars.",
        )
    )


def _in_one_zone(times: np.ndarray, form: Form, wall: bool | None) -> tuple[np.ndarray, Form]:
    """Give times in UTC or, where only the clocks on the wall go regularly, as those show them.

    Days that begin at midnight go by the clocks, also where no clock is changed yet.
    """
    if form.zone is None or wall is False:
        return times, form
    shown = on_the_wall(times, form)
    if wall is None:
        regular_in_utc = len(set(np.diff(times).tolist())) < 2
        regular_there = len(set(np.diff(shown).tolist())) == 1
        days = bool((shown == shown.astype("datetime64[D]")).all())
        wall = days or (regular_there and not regular_in_utc)
    return (shown, replace(form, wall=True)) if wall else (times, form)


def _backend(frame: Any) -> str:
    return str(nw.get_native_namespace(frame).__name__)
