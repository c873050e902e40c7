"""What goes into a model and comes out of it in a figure: lines or, without time, words."""

from __future__ import annotations

import numpy as np

from seqstate.plots.ends import End
from seqstate.plots.lines import Line, Lines
from seqstate.plots.series import Series

MOST_LINES = 6


def lines_of(series: Series, sample: int) -> Lines:
    """Give one sample, of the first part, as a panel of lines."""
    values = series.values[sample, 0]
    title, count = series.title, len(series.features)
    if series.values.shape[1] > 1:
        title += ", part 0"
    if series.ids:
        return Lines(title, "id", [Line("id", values[:, 0], "0.2", steps=True)])
    known, gaps = _finite(values)
    features = list(range(count))
    if count > MOST_LINES:
        features = _that_vary_most(known)
        title += f": the {MOST_LINES} of {count} features that vary most"
    elif count > 1:
        title += f": {count} features"
    lines = [Line(series.features[one], known[:, one]) for one in features]
    if count == 1:
        lines = [Line(series.features[0], known[:, 0], "0.2")]
    return Lines(title + gaps, "value", lines, zero=_below_zero(known))


def vector_of(name: str, array: np.ndarray, sample: int) -> Lines | None:
    """Give one sample of `[sample, value]` as a line of its values; None where they are few."""
    if array.ndim != 2 or array.shape[1] <= MOST_LINES or array.dtype.kind not in "iufb":
        return None
    values, gaps = _finite(array[sample])
    title = f"{name}: {len(values)} values, without a time axis{gaps}"
    return Lines(title, "value", [Line(name, values, "0.2")], zero=_below_zero(values))


def said_of(end: End, sample: int) -> str:
    """Say what one sample of an array without a time axis is."""
    array = end.array
    if not np.issubdtype(array.dtype, np.number) or array.ndim > 2:
        return f"{end.title}, not drawn: shape {array.shape}, {array.dtype}"
    shown = [f"{value:.4g}" for value in np.ravel(array[sample])]
    if end.features is not None:
        shown = [f"{name} {value}" for name, value in zip(end.features, shown, strict=True)]
    return f"{end.title}, without a time axis: {', '.join(shown)}"


def _finite(values: np.ndarray) -> tuple[np.ndarray, str]:
    """Give the values with NaN for all that is not finite, and the words that say so."""
    found = np.asarray(values, dtype=np.float64)
    known = np.isfinite(found)
    return np.where(known, found, np.nan), "" if known.all() else " (gaps: not a finite number)"


def _below_zero(values: np.ndarray) -> bool:
    return bool((values < 0).any())


def _that_vary_most(values: np.ndarray) -> list[int]:
    known = np.where(np.isfinite(values), values, 0.0)
    return sorted(np.argsort(-known.std(axis=0), kind="stable")[:MOST_LINES].tolist())
