"""The inputs and outputs that are drawn as lines: those with a time axis."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from seqstate.plots.series import named_arrays

MOST_LINES = 8
"""How many features of one input or output are drawn."""


@dataclass(frozen=True)
class Series:
    """An input or an output over time.

    Attributes:
        name: such as "input", or 'input "a"' where there are several.
        values: `[sample, part, time, feature]`; one part where there are none.
        features: how many there are; `values` has at most `MOST_LINES` of them.
    """

    name: str
    values: np.ndarray
    features: int


def find_series(
    given: Any, role: str, samples: list[int], shapes: Collection[tuple[int, int]]
) -> list[Series]:
    """Give what of the inputs or outputs shares a time axis with a layer.

    Args:
        given: an array, or a list or a dict of arrays.
        role: "input" or "output".
        samples: those to keep.
        shapes: the (parts, steps) of the layers.
    """
    steps = {length for _, length in shapes}
    found = []
    for name, array in named_arrays(role, given):
        if not (np.issubdtype(array.dtype, np.number) or array.dtype == bool):
            continue
        if np.iscomplexobj(array) or array.ndim < 2 or max(samples) >= len(array):
            continue
        in_parts = array.ndim > 2 and array.shape[1:3] in {s for s in shapes if s[0] > 1}
        if not in_parts and array.shape[1] not in steps:
            continue
        kept = array[samples]
        kept = kept if in_parts else kept[:, None]
        kept = kept.reshape(*kept.shape[:3], -1)
        lines = kept[..., :MOST_LINES].astype(np.float32)
        found.append(Series(name, lines, kept.shape[-1]))
    return found
