"""An empty figure that belongs to nobody: no window, no global state of matplotlib."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

from seqstate.errors import MissingPackageError, message

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def empty_figure(
    width: float, height: float, where: str, layout: Literal["constrained"] | None = None
) -> Figure:
    """Make a figure with its own Agg canvas, of 100 pixels an inch.

    Args:
        width: in inches.
        height: in inches.
        where: who draws, for the message.
        layout: "constrained" keeps panels and their words apart.

    Raises:
        MissingPackageError: matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise MissingPackageError(
            message(where, "matplotlib is not installed.", 'Run: pip install "seqstate[plots]"')
        )
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=100, layout=layout)
    FigureCanvasAgg(figure)
    return figure
