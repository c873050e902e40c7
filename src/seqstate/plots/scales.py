"""What the values of a quantity can be: the ends of its range, and the colours that show it."""

from __future__ import annotations

from typing import Literal

import numpy as np

Scale = Literal["tanh", "gate", "open"]
"""`tanh`: in (-1, 1). `gate`: from 0, closed, to 1, open. `open`: signed, without ends."""

# Blue below zero, white at zero, red above.
SIGNED = "RdBu_r"
FRACTION = "viridis"

NOT_A_NUMBER = "black"
"""The colour of what is not finite, which is no colour of a scale."""

# These come out of a tanh; the other states have no ends, the other gates come out of a sigmoid.
_TANH = ("h", "candidate", "sequence")


def scale_of(path: str) -> Scale:
    """Tell the scale of a quantity by its path, as in `LayerTrace.over_time`.

    >>> scale_of("states/forward/h"), scale_of("gates/input"), scale_of("states/c")
    ('tanh', 'gate', 'open')
    """
    first, last = path.split("/")[0], path.split("/")[-1]
    if last in _TANH or first == "sequence":
        return "tanh"
    return "gate" if first == "gates" else "open"


def limits(values: np.ndarray, scale: Scale) -> tuple[float, float]:
    """Give the values at the two ends of the colours.

    A range is fixed where the scale has ends, and the same on both sides of zero where it is
    signed. Layers with other activations than tanh and sigmoid may leave it: then it grows to
    show all finite values.
    """
    known = values[np.isfinite(values)]
    if scale == "gate":
        return float(known.min(initial=0.0)), float(known.max(initial=1.0))
    reach = float(np.abs(known).max(initial=0.0))
    reach = max(reach, 1.0) if scale == "tanh" else reach or 1.0
    return -reach, reach


def colors(scale: Scale) -> str:
    """Name the colour map, of matplotlib, for a scale."""
    return FRACTION if scale == "gate" else SIGNED
