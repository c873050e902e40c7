"""Series in a CSV file: read, and what is wrong with them said in its own words."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqstate.commands.columns import refuse_twice
from seqstate.errors import ArgumentError, DataError, message
from seqstate.files import existing_file
from seqstate.forecast.clock import clock_of, without_gaps

if TYPE_CHECKING:
    import pandas

WHERE = "seqstate forecast"
_SEPARATORS = ";\t,|"
_MISSING = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "-"]
_FORMATS = (
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y",
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%d/%m/%Y",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%Y/%m/%d",
    "%Y%m%d",
)


@dataclass(frozen=True)
class Wanted:
    """The columns that are asked for.

    Attributes:
        time: of the times.
        target: to forecast.
        series: that tells series apart; None for one series.
        covariates: known for the future too.
        time_format: of the times, as for `strptime`; None to find it.
    """

    time: str
    target: str
    series: str | None
    covariates: tuple[str, ...]
    time_format: str | None


def read_series_file(path: Path, wanted: Wanted, fill: bool) -> tuple[Any, Any]:
    """Read a CSV file with a row for each time, or for each time of each series.

    Args:
        path: of the file: separated by commas, semicolons, tabs or bars; with decimal commas
            where the separator is no comma.
        wanted: the columns.
        fill: put in the times that are missing, and fill holes on straight lines.

    Returns:
        A frame of pandas with the columns that are asked for, sorted as in the file, and a
        frame of the rows at the end that have covariates but no target yet, or None.

    Raises:
        DataError: the file is not there or is no such table; a column is not there; a time or
            a number can't be read; a value is missing and `fill` was not asked for.
    """
    names = [wanted.time, wanted.target, *wanted.covariates]
    names += [] if wanted.series is None else [wanted.series]
    text, separator = _as_text(existing_file(path, WHERE), path, names)
    missing = [name for name in names if name not in text.columns]
    if missing:
        raise DataError(
            message(
                WHERE,
                f'"{path}" has no column {missing[0]!r}; it has '
                f"{', '.join(map(repr, text.columns))}.",
                "Name one of these; upper and lower case count.",
            )
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ArgumentError(
            message(
                WHERE,
                f"the column {twice[0]!r} is named for two things.",
                "Name another column for one of them.",
            )
        )
    frame = text[names].copy()
    frame[wanted.time] = _times(text[wanted.time], path, wanted)
    for name in (wanted.target, *wanted.covariates):
        frame[name] = _numbers(text[name], path, separator)
    parts = [frame] if wanted.series is None else _split(frame, wanted.series, path)
    both = [_ended(part, wanted, path, fill) for part in parts]
    import pandas

    ahead = [later for _, later in both if later is not None]
    history = pandas.concat([past for past, _ in both], ignore_index=True)
    return history, pandas.concat(ahead, ignore_index=True) if ahead else None


def _as_text(found: Path, path: Path, wanted: Sequence[str]) -> tuple[pandas.DataFrame, str]:
    """Read the cells as text, rows by the number of their line; and what separates the cells."""
    import pandas

    try:
        with found.open(newline="", encoding="utf-8-sig") as stream:
            first = stream.readline()
        separator = max(_SEPARATORS, key=lambda mark: (first.count(mark), -_SEPARATORS.index(mark)))
        names = next(csv.reader([first], delimiter=separator, skipinitialspace=True), [])
        refuse_twice([name.strip() for name in names], wanted, path, WHERE)
        with warnings.catch_warnings():
            # Where every line has more cells than there are names, the rest would be lost.
            warnings.simplefilter("error", pandas.errors.ParserWarning)
            frame = pandas.read_csv(
                found,
                sep=separator,
                dtype=str,
                keep_default_na=False,
                na_values=_MISSING,
                encoding="utf-8-sig",
                skipinitialspace=True,
                skip_blank_lines=False,
                index_col=False,
                on_bad_lines="error",
            )
    except (UnicodeDecodeError, csv.Error, ValueError, pandas.errors.ParserWarning) as error:
        raise DataError(
            message(
                WHERE,
                f'"{path}" is no CSV in UTF-8 with a line of names on top: {error}'.rstrip(),
                "Save it anew as CSV (UTF-8), every line with the same columns.",
            )
        ) from error
    frame.index += 2  # after the line of names, lines are counted from 1
    frame = frame.dropna(how="all")
    if not len(frame):
        raise DataError(
            message(WHERE, f'"{path}" has no rows of data.', "Give it a row for each time.")
        )
    frame.columns = [str(name).strip() for name in frame.columns]
    return frame, separator


def _numbers(column: pandas.Series, path: Path, separator: str) -> Any:
    import pandas

    text = column.str.strip()
    plain = pandas.to_numeric(text, errors="coerce")
    if (plain.isna() & text.notna()).any() and text.str.contains(",", regex=False).any():
        # 1.234,5 and 1,234.5 both exist: a comma is read as a decimal one where there is no dot,
        # and where it is no separator elsewhere, or can't stand between thousands.
        commas = text[text.str.contains(",", regex=False, na=False)]
        decimal = separator != "," or not commas.str.fullmatch(_THOUSANDS).all()
        if decimal and not text.str.contains(".", regex=False).any():
            plain = pandas.to_numeric(text.str.replace(",", "."), errors="coerce")
        else:
            raise DataError(
                message(
                    WHERE,
                    f'"{path}", line {commas.index[0]}, column {column.name!r}: '
                    f"{commas.iloc[0]!r} may be one number or another, for "
                    + ("the column has commas and dots." if decimal else "it may be thousands."),
                    "Write numbers with one decimal mark and nothing between thousands.",
                )
            )
    bad = (plain.isna() & text.notna()).to_numpy()
    if bad.any():
        row = int(bad.argmax())
        raise DataError(
            message(
                WHERE,
                f'"{path}", line {text.index[row]}, column {column.name!r}: {text.iloc[row]!r} '
                f"is no number; {int(bad.sum())} of {len(text)} rows are concerned.",
                "Name a column of numbers, write numbers there, or leave the cell empty and say "
                "--fill.",
            )
        )
    return plain.astype("float64")


def _times(column: pandas.Series, path: Path, wanted: Wanted) -> Any:
    import pandas

    text = column.str.strip()
    if text.isna().any():
        row = int(text.isna().to_numpy().argmax())
        raise DataError(
            message(
                WHERE,
                f'"{path}", line {text.index[row]}: the time, column {column.name!r}, is empty.',
                "Write the time there, or take the line out.",
            )
        )
    formats = (wanted.time_format,) if wanted.time_format else ("ISO8601", *_FORMATS)
    fits: dict[str, Any] = {}
    for one in formats:
        try:
            # Times of several zones, as at the change of clocks, meet in UTC.
            zoned = bool(text.str.contains(_ZONED).all())
            read = pandas.to_datetime(text, format=one, utc=zoned)
        except ValueError:
            continue
        if not any(read.equals(other) for other in fits.values()):
            fits[one] = read
        if one == "ISO8601":
            break
    if len(fits) == 1:
        return next(iter(fits.values()))
    if wanted.time_format is None and text.str.fullmatch(r"\d+").all():
        return text.astype("int64")
    if fits:
        regular = [read for read in fits.values() if _is_regular(read)]
        if len(regular) == 1 and len(text) > 2:
            return regular[0]
        raise DataError(
            message(
                WHERE,
                f'"{path}", column {column.name!r}: {text.iloc[0]!r} can be read as '
                f"{' and as '.join(fits)}.",
                f'Say which it is: --time-format "{next(iter(fits))}".',
            )
        )
    raise _unread_time(text, path, wanted)


# The zone stands after a time of day: "-2024" is a year.
_ZONED = r"\d:?\d{2}(?:[.,]\d+)?\s*(?:Z|[+-]\d{2}:?\d{2})$"
_THOUSANDS = r"[+-]?[1-9]\d{0,2}(?:,\d{3})+"


def _is_regular(times: pandas.Series) -> bool:
    """Say whether times, of one series or of several, follow each other as a clock goes."""
    try:
        clock_of(times.drop_duplicates().to_numpy().astype("datetime64[us]"), WHERE, "the file")
    except DataError:
        return False
    return True


def _unread_time(text: pandas.Series, path: Path, wanted: Wanted) -> DataError:
    import pandas

    read = pandas.to_datetime(
        text, format=wanted.time_format or "ISO8601", errors="coerce", utc=True
    )
    row = int(read.isna().to_numpy().argmax())
    return DataError(
        message(
            WHERE,
            f'"{path}", line {text.index[row]}, column {text.name!r}: {text.iloc[row]!r} '
            "can't be read "
            + (f"as {wanted.time_format}." if wanted.time_format else "as a time."),
            "Write times as 2010-12-31 or 2010-12-31 23:00, or say how they are written: "
            '--time-format "%d.%m.%Y %H:%M".',
        )
    )


def _split(frame: pandas.DataFrame, column: str, path: Path) -> list[pandas.DataFrame]:
    if frame[column].isna().any():
        row = int(frame[column].isna().to_numpy().argmax())
        raise DataError(
            message(
                WHERE,
                f'"{path}", line {frame.index[row]}: the column {column!r}, which tells the series '
                "apart, is empty.",
                "Write the name of the series there, or take the line out.",
            )
        )
    return [part for _, part in frame.groupby(column, sort=False)]


def _ended(
    part: pandas.DataFrame, wanted: Wanted, path: Path, fill: bool
) -> tuple[pandas.DataFrame, pandas.DataFrame | None]:
    """Cut off the rows at the end that have only covariates, and see to the holes before."""
    ahead = None
    known = part[wanted.target].notna().to_numpy()
    if wanted.covariates and known.any() and not known[-1]:
        end = len(known) - int(known[::-1].argmax())
        part, ahead = part.iloc[:end], part.iloc[end:].drop(columns=wanted.target)
        if ahead.isna().any().any():
            raise _hole(ahead, wanted, path, fill=True)
    if fill:
        part = _filled(part, wanted)
    if part[[wanted.target, *wanted.covariates]].isna().any().any():
        raise _hole(part, wanted, path, fill)
    return part, ahead


def _filled(part: pandas.DataFrame, wanted: Wanted) -> pandas.DataFrame:
    """Put the missing times in, and fill holes on straight lines between their neighbours."""
    import pandas

    times = part[wanted.time]
    part = part.set_index(wanted.time)
    if times.is_monotonic_increasing and times.is_unique and len(times) > 2:
        dated = isinstance(part.index, pandas.DatetimeIndex)
        plain = times.to_numpy().astype("datetime64[us]" if dated else "int64")
        whole = pandas.Index(without_gaps(plain))
        if isinstance(whole, pandas.DatetimeIndex) and isinstance(part.index, pandas.DatetimeIndex):
            # What NumPy knows of a zone is UTC.
            whole = whole.as_unit(part.index.unit)
            whole = whole if part.index.tz is None else whole.tz_localize("UTC")
        part = part.reindex(whole)
    numbers = [wanted.target, *wanted.covariates]
    # Beyond the first and the last value there is no line to fill on.
    part[numbers] = part[numbers].interpolate(limit_area="inside")
    if wanted.series is not None:
        part[wanted.series] = part[wanted.series].ffill()
    return part.rename_axis(wanted.time).reset_index()


def _hole(part: pandas.DataFrame, wanted: Wanted, path: Path, fill: bool) -> DataError:
    columns = [c for c in (wanted.target, *wanted.covariates) if c in part]
    empty = part[columns].isna()
    row = int(empty.any(axis=1).to_numpy().argmax())
    name = columns[int(empty.iloc[row].to_numpy().argmax())]
    count = int(empty.any(axis=1).sum())
    place = f"line {part.index[row]}, " if not fill else ""
    return DataError(
        message(
            WHERE,
            f'"{path}", {place}column {name!r}: no value at {part[wanted.time].iloc[row]}; '
            f"{count} {'row has' if count == 1 else 'rows have'} holes.",
            "Fill the cell in, or say --fill: holes between two values are then filled on a "
            "straight line."
            if not fill
            else "There is no value on both sides of it to fill it from: write one there, or take "
            "the row out.",
        )
    )
