"""`seqstate trace`: a saved model and a data file in; arrays, a picture or a page out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from seqstate.commands.read_data import WHERE, Data
from seqstate.commands.read_model import read_model
from seqstate.errors import ArgumentError, DataError, message
from seqstate.files import whole_file
from seqstate.traces import Trace

OUT = {".npz": "all arrays", ".png": "a picture of one sample", ".html": "an explorer"}


def check_out(out: Path) -> None:
    """Refuse, before any work is done, a file that could not be written.

    Raises:
        ArgumentError: another ending than those of `OUT`, or a folder that can't be written to.
    """
    if out.suffix.lower() not in OUT:
        kinds = ", ".join(f"{suffix} ({what})" for suffix, what in OUT.items())
        raise ArgumentError(
            message(
                WHERE,
                f'--out "{out}" ends in {out.suffix or "nothing"}; expected one of {kinds}.',
                f'Write --out "{out.with_suffix(".html")}", for instance.',
            )
        )
    if out.is_dir() or not out.parent.is_dir():
        with whole_file(out, WHERE):
            pass


def run_trace(
    console: Console,
    model_path: Path,
    data: Data,
    out: Path,
    layers: Sequence[str] | None,
    sample: int,
) -> None:
    """Trace a saved model on data and write what was seen.

    Args:
        console: where to say what was found.
        model_path: a `.keras` or `.h5` file.
        data: what the data file holds.
        out: the file to write; its ending says what: see `OUT`.
        layers: the layers to look at; None for all.
        sample: the one that a picture shows.

    Raises:
        SeqstateError: as `seqstate.trace` and the methods of `Trace`.
    """
    from seqstate.models.trace import trace

    model = read_model(model_path, WHERE, "seqstate.trace(model, x)")
    seen = trace(model, _as_samples(model, data.arrays), layers)
    kind = out.suffix.lower()
    if kind == ".npz":
        seen.to_npz(out)
    elif kind == ".html":
        seen.to_html(out, time=data.time, features=data.names)
    else:
        figure = seen.plot(sample, time=data.time, features=data.names)
        with whole_file(out, WHERE, ".png") as aside:
            figure.savefig(aside)
    console.print(_table(seen))
    console.print(f"{out}: {OUT[kind]}", style="bold", soft_wrap=True)


def _as_samples(model: Any, arrays: Any) -> Any:
    """Give the arrays that a model takes, and a series by itself its sample axis."""
    inputs = list(getattr(model, "inputs", None) or [])
    if isinstance(arrays, Mapping):
        names = [tensor.name for tensor in inputs]
        if all(name in arrays for name in names) and names:
            arrays = {name: arrays[name] for name in names}
        elif len(arrays) == 1:
            (arrays,) = arrays.values()
        elif "x" in arrays and len(names) <= 1:
            arrays = arrays["x"]
        else:
            raise DataError(
                message(
                    WHERE,
                    f"the data file has the arrays {', '.join(arrays)}; the model's inputs are "
                    f"{', '.join(names) or 'not named'}.",
                    "Save one array for each input under its name: numpy.savez(path, "
                    f"{', '.join(f'{name}=...' for name in names) or 'x=...'}).",
                )
            )
    if isinstance(arrays, Mapping):
        return {t.name: _with_sample_axis(arrays[t.name], tuple(t.shape)) for t in inputs}
    return _with_sample_axis(arrays, tuple(inputs[0].shape)) if len(inputs) == 1 else arrays


def _with_sample_axis(array: np.ndarray, shape: tuple[int | None, ...]) -> np.ndarray:
    if array.ndim == 1 and len(shape) == 3 and shape[-1] == 1:
        return array.reshape(1, -1, 1)
    if array.ndim == len(shape) - 1 and shape[-1] in (None, array.shape[-1]) and len(shape) == 3:
        return array[None]
    return array


def _table(seen: Trace) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("layer", "class", "what", "shape"):
        table.add_column(title)
    for layer in seen.values():
        shapes: dict[str, list[str]] = {}
        for path, values in layer.over_time().items():
            kind, _, name = path.partition("/")
            axes = "part, time" if values.ndim == 4 else "time"
            shape = f"[sample, {axes}, unit] {values.shape}"
            shapes.setdefault(f"{kind}|{shape}", []).append(name or kind)
        for number, (key, names) in enumerate(shapes.items()):
            kind, _, shape = key.partition("|")
            what = kind if names == [kind] else f"{kind} {', '.join(names)}"
            first = (layer.name, layer.kind) if number == 0 else ("", "")
            table.add_row(*map(escape, (*first, what, shape)))
    return table
