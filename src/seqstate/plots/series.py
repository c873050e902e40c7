"""An input or output of a model that has a time axis."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

Runs = Collection[tuple[int | None, int]]
"""The (parts, time steps) that layers ran over; parts is None outside a `TimeDistributed`."""


@dataclass(frozen=True)
class Series:
    """An input or an output over time.

    Attributes:
        name: such as "input", or 'input "a"' where there are several.
        values: `[sample, part, time, feature]`; one part where there are none.
        features: the name of each feature.
        ids: whether the values are numbers of things, such as an embedding reads.
    """

    name: str
    values: np.ndarray
    features: Sequence[str]
    ids: bool

    @property
    def title(self) -> str:
        """What the series is called where its features are not named."""
        if self.ids:
            return f"{self.name}: ids"
        if len(self.features) == 1 and self.features[0] != self.name:
            return f"{self.name}: {self.features[0]}"
        return self.name


def over_time(array: np.ndarray, runs: Runs) -> np.ndarray | None:
    """Give an array as `[sample, part, time, feature]`; None where it has no time axis.

    Args:
        array: `[sample, time, ...]`, with parts `[sample, part, time, ...]`; of two axes only
            whole numbers have time, the ids that an embedding reads: other vectors may be anything.
        runs: what the layers of the model ran over.
    """
    if array.dtype.kind not in "iufb" or array.ndim < 2:
        return None
    in_parts = array.ndim > 2 and array.shape[1:3] in runs
    known = in_parts or array.shape[1] in {steps for _, steps in runs}
    if array.ndim == 2 and not (known and array.dtype.kind in "iu"):
        return None
    if array.ndim > 3 and not known:
        return None
    values = array if in_parts else array[:, None]
    return values.reshape(*values.shape[:3], -1)
