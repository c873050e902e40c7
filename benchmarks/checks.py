"""Does a peer compute what we compute? One that doesn't is not a peer."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cases import Array

# Absolute for values, which are at most about 1; of the largest entry for gradients.
FORWARD_TOLERANCE = 1e-5
GRADIENT_TOLERANCE = 1e-4


class WrongNumbersError(Exception):
    """A run did not give the expected numbers."""


def compare(label: str, found: Mapping[str, Array], known: Mapping[str, Array]) -> float:
    """Compare a run with the float64 numbers, and give the largest error.

    Raises:
        WrongNumbersError: names are missing, or a shape or a value is not as expected.
    """
    if set(found) != set(known):
        raise WrongNumbersError(f"{label} gave {sorted(found)}; expected {sorted(known)}")
    worst = 0.0
    for name in known:
        value, expected = found[name], known[name]
        if value.shape != expected.shape:
            raise WrongNumbersError(
                f"{label}: {name} has shape {value.shape}; expected {expected.shape}"
            )
        gradient = name.startswith("d_")
        error = float(np.abs(value - expected).max())
        if gradient:
            error /= float(np.abs(expected).max())
        tolerance = GRADIENT_TOLERANCE if gradient else FORWARD_TOLERANCE
        # A NaN is not within any tolerance.
        if not error <= tolerance:
            raise WrongNumbersError(f"{label}: {name} is off by {error:.1e}; allowed {tolerance}")
        worst = max(worst, error)
    return worst
