"""The explorer of states: one HTML file that opens without a network."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqstate.errors import MissingPackageError, message
from seqstate.files import whole_file
from seqstate.plots.explorer.content import Content

if TYPE_CHECKING:
    from seqstate.traces import Trace

__all__ = ["write_explorer"]


def write_explorer(
    trace: Trace,
    path: str | os.PathLike[str],
    samples: Sequence[int] | None = None,
    layers: str | Sequence[str] | None = None,
    time: Any = None,
    title: str | None = None,
    *,
    features: Any = None,
    outputs: Any = None,
) -> Path:
    """Write a page that shows every state and gate of a trace; see `Trace.to_html`.

    Args:
        trace: what to show.
        path: of the file, ending in `.html`.
        samples: the numbers of the samples to put in; by default the first eight.
        layers: the layers to put in, by name; all by default.
        time: `[time]` numbers or `datetime64` for the time axis; by default the step.
        title: of the page.
        features: the names of the features of the input.
        outputs: the names of the features of the output.

    Returns:
        The path.

    Raises:
        ArgumentError: a sample, a time axis or names that do not fit, a path that can't be
            written to, or a file that would be too large.
        InputError: arrays that can't be shown.
        UnknownLayerError: a layer that was not traced.
        MissingPackageError: Bokeh is not installed.
    """
    where = f'explorer of "{trace.model}"'
    if find_spec("bokeh") is None:
        raise MissingPackageError(
            message(where, "Bokeh is not installed.", 'Run: pip install "seqstate[plots]"')
        )
    from seqstate.plots.explorer.writing import write_page

    content = Content.of(trace, where, samples, layers, time, title, features, outputs)
    with whole_file(path, where, ".html") as file:
        write_page(file, content)
    return Path(path)
