"""Data files for a model: `.npy`, `.npz` and `.csv`."""

from __future__ import annotations

import csv
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seqstate.commands.columns import refuse_twice
from seqstate.errors import DataError, message
from seqstate.files import existing_file

WHERE = "seqstate trace"
SUFFIXES = (".npy", ".npz", ".csv")


@dataclass(frozen=True)
class Data:
    """What a file holds.

    Attributes:
        arrays: an array, or a dict of arrays by name.
        time: `[time]` from a column of the file, or None.
        names: of the features, or None.
    """

    arrays: Any
    time: np.ndarray | None = None
    names: tuple[str, ...] | None = None


def read_data(path: Path, time_column: str | None = None) -> Data:
    """Read a data file.

    Args:
        path: a `.npy` or `.npz` of NumPy's, or a `.csv` with a row for each time step.
        time_column: the column of a `.csv` that holds the time, and is no feature.

    Raises:
        DataError: the file is not there, is damaged, has another ending, or holds no numbers.
    """
    found = existing_file(path, WHERE)
    suffix = found.suffix.lower()
    if suffix not in SUFFIXES:
        raise DataError(
            message(
                WHERE,
                f'the data file "{found}" ends in {suffix or "nothing"}; expected '
                f"{', '.join(SUFFIXES)}.",
                "Save the array with numpy.save, or the series as CSV with a row a time step.",
            )
        )
    if suffix == ".csv":
        return _csv(found, time_column)
    if time_column is not None:
        raise DataError(
            message(
                WHERE,
                f"--time names a column of a .csv; the data file is {suffix}.",
                "Leave it out.",
            )
        )
    try:
        with found.open("rb") as stream:
            loaded = np.load(stream, allow_pickle=False)
            arrays = dict(loaded) if suffix == ".npz" else loaded
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(
            message(
                WHERE,
                f'"{found}" can\'t be read: {error}.',
                "Save it anew with numpy.save or numpy.savez, as an array of numbers.",
            )
        ) from error
    return Data(arrays)


def _csv(path: Path, time_column: str | None) -> Data:
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = [row for row in csv.reader(stream) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            message(WHERE, f'"{path}" is no CSV in UTF-8: {error}.', "Save it anew as CSV.")
        ) from error
    header = rows.pop(0) if rows and not all(_is_number(cell) for cell in rows[0]) else None
    if not rows:
        raise DataError(
            message(WHERE, f'"{path}" has no rows of data.', "Give it a row for each time step.")
        )
    names = header or [str(i) for i in range(len(rows[0]))]
    for number, row in enumerate(rows, 2 if header else 1):
        if len(row) != len(names):
            raise DataError(
                message(
                    WHERE,
                    f'"{path}", line {number}: {len(row)} values; expected {len(names)}.',
                    "Give every line the same columns.",
                )
            )
    refuse_twice(names, names, path, WHERE)
    columns = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    time = None
    if time_column is not None:
        if time_column not in columns:
            raise DataError(
                message(
                    WHERE,
                    f'"{path}" has no column {time_column!r}; it has {", ".join(names)}.',
                    "Name one of these with --time, or leave it out.",
                )
            )
        time = _times(columns.pop(time_column), time_column, path)
    values = [_numbers(cells, name, path, bool(header)) for name, cells in columns.items()]
    return Data(np.stack(values, axis=-1)[None], time, tuple(columns) if header else None)


def _times(cells: list[str], name: str, path: Path) -> np.ndarray:
    if all(_is_number(cell) for cell in cells):
        return np.array(cells, "float64")
    try:
        return np.array(cells, "datetime64[s]")
    except ValueError as error:
        raise DataError(
            message(
                WHERE,
                f'"{path}", column {name!r}: {error}.',
                "Write times as 2010-12-31 or 2010-12-31T23:00:00, or as numbers.",
            )
        ) from error


def _numbers(cells: list[str], name: str, path: Path, has_header: bool) -> np.ndarray:
    for number, cell in enumerate(cells, 2 if has_header else 1):
        if not _is_number(cell):
            raise DataError(
                message(
                    WHERE,
                    f'"{path}", line {number}, column {name!r}: {cell!r} is no number.',
                    f'If the column is the time: --time "{name}". A missing value has to be '
                    "filled in.",
                )
            )
    return np.array(cells, "float64")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
