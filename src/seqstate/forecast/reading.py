"""Series as they come, arrays or frames, one or many: read into one form and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Number
from typing import Any

import narwhals as nw
import numpy as np

from seqstate.errors import DataError, message
from seqstate.forecast.clock import show
from seqstate.forecast.form import Form
from seqstate.forecast.frames import (
    Columns,
    differ_in_clocks,
    read_column,
    read_frame,
    split_long,
)
from seqstate.forecast.matrix import as_matrix


@dataclass(frozen=True)
class Series:
    """One series.

    Attributes:
        name: for messages and legends.
        values: `[time, targets]`.
        known: covariates that are known for the future too, `[time, known]`.
        past: covariates that are known only when they have been observed, `[time, past]`.
        times: `[time]`, `datetime64[us]` or whole numbers; None where none came.
    """

    name: str
    values: np.ndarray
    known: np.ndarray
    past: np.ndarray
    times: np.ndarray | None

    def __len__(self) -> int:
        return len(self.values)

    def widths(self, targets: str = "targets") -> dict[str, int]:
        """Give how many targets and covariates it has, by what they are called."""
        return {
            targets: self.values.shape[1],
            "known covariates": self.known.shape[1],
            "past covariates": self.past.shape[1],
        }

    def cut(self, part: slice) -> Series:
        """Give a part of it in time."""
        times = None if self.times is None else self.times[part]
        return Series(self.name, self.values[part], self.known[part], self.past[part], times)


def read_series(
    given: Any, columns: Columns, where: str, known: Any = None, past: Any = None
) -> tuple[list[Series], Form]:
    """Read one series or several.

    Args:
        given: `[time]` or `[time, targets]`; a series or a frame of pandas, polars and others;
            a list or a dict of those; or one frame with a column that tells the series apart.
        columns: what the columns of a frame are.
        where: who reads, for messages.
        known: covariates that are known for the future, beside arrays: `[time, known]`.
        past: covariates of the past alone, beside arrays: `[time, past]`.

    Raises:
        DataError: something that can't be read, or that does not fit together.
    """
    given = _one_if_numbers(given)
    if isinstance(given, Mapping):
        names, parts = list(given), list(given.values())
        form = Form("dict", keys=tuple(names))
    elif isinstance(given, list | tuple) or getattr(given, "ndim", 0) == 3:
        parts = list(given)
        names = [f"series[{i}]" for i in range(len(parts))]
        form = Form("list")
    elif columns.series is not None:
        if known is not None or past is not None:
            raise DataError(
                message(
                    where,
                    "covariates came beside a frame of several series; nothing says which row "
                    "belongs to which.",
                    "Put them into the frame, and name their columns: known=..., past=... of the "
                    "Forecaster.",
                )
            )
        by_key, form = split_long(given, columns, where)
        found = [_from_table(table, str(key)) for key, table in by_key.items()]
        return found, form
    else:
        one, form = _read_one(given, columns, where, "the series", known, past)
        return [one], form
    if not parts:
        raise DataError(message(where, "no series came.", "Pass at least one series."))
    beside = [_beside(more, names, isinstance(given, Mapping), where) for more in (known, past)]
    read = [
        _read_one(part, columns, where, str(name), k, p)
        for part, name, k, p in zip(parts, names, *beside, strict=True)
    ]
    if differ_in_clocks([part for _, part in read], columns):
        return read_series(given, replace(columns, wall=True), where, known, past)
    found = [one for one, _ in read]
    for one in found[1:]:
        _check_same(one, found[0], where)
    return found, replace(form, parts=tuple(part for _, part in read))


def read_covariates(given: Any, columns: Columns, where: str, several: Form) -> list[Any]:
    """Read covariates for the horizon: of each series a pair of values and times.

    Args:
        given: as they came: arrays `[horizon, known]` or frames, one or several.
        columns: what the columns of a frame are.
        where: who reads, for messages.
        several: the form of the series that they are for.
    """
    only = replace(columns, target=None, past=())
    if several.kind == "long":
        by_key, _ = split_long(given, only, where)
        missing = [key for key in several.keys if key not in by_key]
        if missing:
            raise DataError(
                message(
                    where,
                    f"known has no rows of the series {missing[0]!r}.",
                    "Pass the covariates of each series, for the whole horizon.",
                )
            )
        return [(by_key[key]["known"], by_key[key]["times"]) for key in several.keys]
    if several.kind in ("list", "dict"):
        names = list(several.keys) or [f"series[{i}]" for i in range(len(several.parts))]
        parts = _beside(given, names, several.kind == "dict", where)
    else:
        names, parts = ["the series"], [given]
    return [
        _read_known(part, only, where, f"known of {name}")
        for part, name in zip(parts, names, strict=True)
    ]


def _read_known(given: Any, columns: Columns, where: str, name: str) -> Any:
    """Read covariates: their values `[time, covariates]`, and their times or None."""
    wrapped = nw.from_native(given, eager_only=True, allow_series=True, pass_through=True)
    if isinstance(wrapped, nw.DataFrame):
        if not columns.known:
            # Beside a series, the columns of a frame have no other names than their own.
            time = columns.time if columns.time in wrapped.columns else None
            names = tuple(column for column in wrapped.columns if column != time)
            columns = replace(columns, time=time, known=names)
        table, _ = read_frame(wrapped, columns, where, name)
        return table["known"], table["times"]
    if isinstance(wrapped, nw.Series):
        table, _ = read_column(wrapped, columns, where, name)
        return table["values"], table["times"]
    return as_matrix(given, where, name), None


def _read_one(
    given: Any, columns: Columns, where: str, name: str, known: Any, past: Any
) -> tuple[Series, Form]:
    wrapped = nw.from_native(given, eager_only=True, allow_series=True, pass_through=True)
    if isinstance(wrapped, nw.DataFrame):
        table, form = read_frame(wrapped, columns, where, name)
    elif isinstance(wrapped, nw.Series):
        table, form = read_column(wrapped, columns, where, name)
    else:
        values = as_matrix(given, where, name)
        table = {"values": values, "known": None, "past": None, "times": None}
        form = Form("array", axes=np.ndim(given))
    only = replace(columns, target=None, series=None, known=(), past=(), wall=form.wall)
    for kind, more in (("known", known), ("past", past)):
        if more is not None:
            table[kind] = _aligned(more, only, table, where, f"{kind} of {name}")
    return _from_table(table, name), form


def _from_table(table: Mapping[str, Any], name: str) -> Series:
    values = table["values"]
    none = np.zeros((len(values), 0))
    known, past = (none if table[kind] is None else table[kind] for kind in ("known", "past"))
    return Series(name, values, known, past, table["times"])


def _aligned(
    given: Any, columns: Columns, table: Mapping[str, Any], where: str, name: str
) -> np.ndarray:
    """Read covariates that came beside a series, and hold their times against its own."""
    matrix, times = _read_known(given, columns, where, name)
    steps, expected = len(table["values"]), table["times"]
    if len(matrix) != steps:
        raise DataError(
            message(
                where,
                f"{name} has {len(matrix)} steps; the series has {steps}.",
                "Pass one row of covariates for each step of the series.",
            )
        )
    if times is not None and expected is not None and (times != expected).any():
        at = int(np.argmax(times != expected))
        raise DataError(
            message(
                where,
                f"{name} has the time {show(times[at])} at row {at}; the series has "
                f"{show(expected[at])} there.",
                "Pass the covariates of the same times as the series, in the same order.",
            )
        )
    return np.asarray(matrix)


def _one_if_numbers(given: Any) -> Any:
    """Give a list of plain numbers as an array: it is one series, not many."""
    if isinstance(given, list | tuple) and given and all(isinstance(v, Number) for v in given):
        return np.asarray(given)
    return given


def _beside(more: Any, names: Sequence[Any], named: bool, where: str) -> list[Any]:
    """Give what comes beside each series."""
    if more is None:
        return [None] * len(names)
    if named and isinstance(more, Mapping) and set(more) == set(names):
        return [more[name] for name in names]
    if not named and isinstance(more, list | tuple) and len(more) == len(names):
        return list(more)
    expected = f"a dict with the keys {list(names)}" if named else f"a list of {len(names)}"
    raise DataError(
        message(
            where,
            f"the covariates are a {type(more).__name__}"
            + (f" of {len(more)}" if isinstance(more, list | tuple | Mapping) else "")
            + f"; expected {expected}, one for each series.",
            "Pass the covariates of each series in the same order, or under the same names.",
        )
    )


def _check_same(one: Series, first: Series, where: str) -> None:
    asked = first.widths("features")
    for words, got in one.widths("features").items():
        expected = asked[words]
        if got != expected:
            raise DataError(
                message(
                    where,
                    f"{one.name} has {got} {words}, {first.name} has {expected}; expected the "
                    "same for all.",
                    "Lengths may differ, columns may not: give all series the same, in the same "
                    "order.",
                )
            )
    if (one.times is None) != (first.times is None):
        raise DataError(
            message(
                where,
                f"only one of {first.name} and {one.name} has times.",
                "Give all series times, or none.",
            )
        )
