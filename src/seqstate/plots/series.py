"""What goes into a model and comes out of it, as lines over time or, without time, as words."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np

from seqstate.plots.lines import Line, Lines

MOST_LINES = 6


def named_arrays(name: str, value: Any) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the arrays of an input or output of a model, each with a name.

    >>> [name for name, _ in named_arrays("input", {"a": [1], "b": [[2], [3]]})]
    ['input "a"', 'input "b", 0', 'input "b", 1']
    """
    yield from _named(name, "", value)


def _named(name: str, path: str, value: Any) -> Iterator[tuple[str, np.ndarray]]:
    if isinstance(value, Mapping):
        inner = [(f'"{key}"', one) for key, one in value.items()]
    elif isinstance(value, list | tuple) and any(np.ndim(one) for one in value):
        inner = [(str(i), one) for i, one in enumerate(value)]
    else:
        if value is not None:
            yield f"{name} {path}".rstrip(), np.asarray(value)
        return
    for key, one in inner:
        yield from _named(name, f"{path}, {key}" if path else key, one)


def lines_of(name: str, array: np.ndarray, sample: int, lengths: Collection[int]) -> Lines | None:
    """Give one sample of an array as a panel of lines; None where it has no time axis.

    Args:
        name: of the array.
        array: `[sample, time, ...]`, or `[sample, time]` where these are the inputs of a layer.
        sample: its number.
        lengths: how many time steps the layers of the model have run over.
    """
    values = array[sample]
    if array.ndim == 2:
        # A vector may be anything. What has a time axis are the ids that an embedding reads.
        if not np.issubdtype(array.dtype, np.integer) or len(values) not in lengths:
            return None
        return Lines(f"{name}: ids", "id", [Line("id", values, "0.2", steps=True)])
    if array.ndim < 3 or not np.issubdtype(array.dtype, np.number):
        return None
    part = ""
    if array.ndim > 3 and values.shape[0] not in lengths:
        if values.shape[1] not in lengths:
            return None
        values, part = values[0], ", part 0"
    values = np.asarray(values.reshape(len(values), -1), dtype=np.float64)
    values = np.where(np.isfinite(values), values, np.nan)
    count = values.shape[1]
    features = list(range(count))
    title = f"{name}{part}"
    if count > MOST_LINES:
        features = _that_vary_most(values)
        title += f": the {MOST_LINES} of {count} features that vary most"
    elif count > 1:
        title += f": {count} features"
    lines = [Line(f"feature {one}", values[:, one]) for one in features]
    if count == 1:
        lines = [Line(name, values[:, 0], "0.2")]
    return Lines(title, "value", lines, zero=_below_zero(values))


def vector_of(name: str, array: np.ndarray, sample: int) -> Lines | None:
    """Give one sample of `[sample, value]` as a line of its values; None where they are few."""
    if array.ndim != 2 or array.shape[1] <= MOST_LINES or array.dtype.kind not in "iufb":
        return None
    values = np.asarray(array[sample], dtype=np.float64)
    values = np.where(np.isfinite(values), values, np.nan)
    title = f"{name}: {len(values)} values, without a time axis"
    return Lines(title, "value", [Line(name, values, "0.2")], zero=_below_zero(values))


def said_of(name: str, array: np.ndarray, sample: int) -> str:
    """Say what one sample of an array without a time axis is."""
    values = np.ravel(array[sample]) if array.ndim else np.ravel(array)
    if not np.issubdtype(array.dtype, np.number) or array.ndim > 2:
        return f"{name[0].upper()}{name[1:]}, not drawn: shape {array.shape}, {array.dtype}"
    shown = ", ".join(f"{value:.4g}" for value in values)
    return f"{name[0].upper()}{name[1:]}, without a time axis: {shown}"


def _below_zero(values: np.ndarray) -> bool:
    return bool((values < 0).any())


def _that_vary_most(values: np.ndarray) -> list[int]:
    known = np.where(np.isfinite(values), values, 0.0)
    return sorted(np.argsort(-known.std(axis=0), kind="stable")[:MOST_LINES].tolist())
