"""Rows of packed arrays by number, as the states of many sources lie: native, or by NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from seqstate.errors import InputError, message
from seqstate.kernels import native
from seqstate.kernels.float_array import float_array

Array = np.ndarray


def gather(packed: Array, rows: Any, out: Array | None = None) -> Array:
    """Copy rows out of a packed array: out[m] = packed[rows[m]].

    Args:
        packed: float32 array [capacity, units], its last axis contiguous.
        rows: row numbers [n], int64, from 0 on.
        out: float32 array [n, units] that is written, its last axis contiguous. By default a new
            one.

    Returns:
        `out`.

    Raises:
        InputError: where a number names no row, or an array has another type or shape.

    Example:
        >>> import numpy as np
        >>> gather(np.float32([[0, 1], [2, 3], [4, 5]]), [2, 0]).tolist()
        [[4.0, 5.0], [0.0, 1.0]]
    """
    numbers = _numbers(rows)
    if native.usable():
        return native.module().gather(packed, numbers, out)
    _check("gather", packed, numbers)
    if out is None:
        return packed[numbers]
    float_array("gather", "out", out, len(numbers), packed.shape[1])
    out[...] = packed[numbers]
    return out


def scatter(packed: Array, rows: Any, values: Array) -> None:
    """Copy rows into a packed array: packed[rows[m]] = values[m].

    Args:
        packed: float32 array [capacity, units], its last axis contiguous.
        rows: row numbers [n], int64, from 0 on, each once.
        values: float32 array [n, units], its last axis contiguous.

    Raises:
        InputError: where a number names no row or is there twice, or an array has another type or
            shape. Nothing is written then.

    Example:
        >>> import numpy as np
        >>> packed = np.zeros((3, 2), "float32")
        >>> scatter(packed, [2], np.float32([[4, 5]]))
        >>> packed.tolist()
        [[0.0, 0.0], [0.0, 0.0], [4.0, 5.0]]
    """
    numbers = _numbers(rows)
    if native.usable():
        native.module().scatter(packed, numbers, values)
        return
    _check("scatter", packed, numbers)
    float_array("scatter", "values", values, len(numbers), packed.shape[1])
    first = np.unique(numbers, return_index=True)[1]
    if len(first) < len(numbers):
        i = int(np.setdiff1d(np.arange(len(numbers)), first)[0])
        raise InputError(
            message(
                "scatter",
                f"rows[{i}] is {numbers[i]}, which is there twice",
                "Write a row once in a call.",
            )
        )
    packed[numbers] = values


def row_calls() -> tuple[Callable[..., list[Array]], Callable[..., int]]:
    """Give `read_row` and `write_row` for many calls: what they run on is settled once."""
    if native.usable():
        module = native.module()
        return module.read_row, module.write_row
    return read_row, write_row


def read_row(packed: list[Array], row: int) -> list[Array]:
    """Copy one row out of each of several packed arrays; see `gather`.

    Args:
        packed: float32 arrays [capacity, units], the last axis contiguous.
        row: its number, from 0 on.

    Returns:
        New arrays [1, units].

    Raises:
        InputError: where there is no such row, or an array has another type or shape.

    Example:
        >>> import numpy as np
        >>> [one.tolist() for one in read_row([np.eye(2, dtype="float32")], 1)]
        [[[0.0, 1.0]]]
    """
    if native.usable():
        found: list[Array] = native.module().read_row(packed, row)
        return found
    for one in packed:
        _check_row("read_row", one, row)
    return [one[row : row + 1].copy() for one in packed]


def write_row(packed: list[Array], row: int, values: list[Array]) -> int:
    """Copy one row into each of several packed arrays, unless a value is NaN; see `scatter`.

    Args:
        packed: float32 arrays [capacity, units], the last axis contiguous.
        row: its number, from 0 on.
        values: for each of them a float32 array [1, units].

    Returns:
        -1, or the place of the first array of values with NaN: nothing is written then.

    Raises:
        InputError: where there is no such row, or an array has another type or shape. Nothing is
            written then.

    Example:
        >>> import numpy as np
        >>> packed = [np.zeros((2, 2), "float32")]
        >>> write_row(packed, 1, [np.float32([[4, 5]])]), packed[0].tolist()
        (-1, [[0.0, 0.0], [4.0, 5.0]])
    """
    if native.usable():
        place: int = native.module().write_row(packed, row, values)
        return place
    if len(values) != len(packed):
        raise InputError(
            message(
                "write_row",
                f"there are {len(values)} values for {len(packed)} packed arrays",
                "Pass one array of values for each.",
            )
        )
    for to, value in zip(packed, values, strict=True):
        _check_row("write_row", to, row)
        float_array("write_row", "values", value, 1, to.shape[1])
    for i, value in enumerate(values):
        if np.isnan(value).any():
            return i
    try:
        _write(packed, row, values)
    except BaseException:  # Ctrl-C between two arrays: all of the row, not a part
        _write(packed, row, values)
        raise
    return -1


def _write(packed: list[Array], row: int, values: list[Array]) -> None:
    for to, value in zip(packed, values, strict=True):
        to[row] = value[0]


def _check_row(where: str, packed: Array, row: int) -> None:
    float_array(where, "packed", packed, None, None)
    if not 0 <= row < len(packed):
        raise InputError(
            message(
                where,
                f"the row is {row}; there are {len(packed)} rows",
                "Pass a number from 0 on that is below that.",
            )
        )


def _numbers(rows: Any) -> Array:
    """Give row numbers as int64, where they are integers."""
    numbers = np.asarray(rows)
    whole = numbers.dtype.kind == "i" or not numbers.size
    return numbers.astype(np.int64, copy=False) if whole else numbers


def _check(where: str, packed: Array, numbers: Array) -> None:
    """Refuse what the native kernels refuse, in their words."""
    float_array(where, "packed", packed, None, None)
    if numbers.dtype != np.int64 or numbers.ndim != 1:
        found = f"rows is an array of {numbers.dtype} with {numbers.ndim} axes"
        raise InputError(message(where, f"{found}; expected int64 with 1", "Pass row numbers."))
    outside = np.flatnonzero((numbers < 0) | (numbers >= len(packed)))
    if outside.size:
        i = int(outside[0])
        raise InputError(
            message(
                where,
                f"rows[{i}] is {numbers[i]}; there are {len(packed)} rows",
                "Pass numbers from 0 on that are below that.",
            )
        )
