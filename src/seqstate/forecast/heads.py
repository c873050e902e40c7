"""What a model says of a value to come: a point, quantiles, or a mean and a deviation.

The raw numbers of the last layer become, in `shaped`, what is said; in `loss_of`, what is lost
against what came; in `drawn`, one value to go on from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

HEADS = ("point", "quantile", "gaussian")
_LEAST = 1e-3  # A deviation of zero would make the likelihood endless.


def size_of(head: str, levels: Sequence[float]) -> int:
    """Give how many numbers the head says of a value."""
    return {"point": 1, "quantile": len(levels), "gaussian": 2}[head]


def shaped(raw: Any, head: str, levels: Sequence[float]) -> Any:
    """Make what the head says of the raw numbers `[..., size]`.

    - "point": as it is.
    - "quantile": the median as it is; each other level lies `softplus(raw)` beyond its
      neighbour on the way to the median. So quantiles never cross.
    - "gaussian": the mean as it is, the deviation `softplus(raw)`.
    """
    if head == "point":
        return raw
    if head == "gaussian":
        return ops.concatenate([raw[..., :1], ops.softplus(raw[..., 1:]) + _LEAST], axis=-1)
    middle = middle_of(levels)
    centre = raw[..., middle : middle + 1]
    above = centre + ops.cumsum(ops.softplus(raw[..., middle + 1 :]), axis=-1)
    gaps = ops.cumsum(ops.softplus(ops.flip(raw[..., :middle], axis=-1)), axis=-1)
    return ops.concatenate([centre - ops.flip(gaps, axis=-1), centre, above], axis=-1)


def middle_of(levels: Sequence[float]) -> int:
    """Give the place of the median among the levels."""
    return int(np.argmin(np.abs(np.asarray(levels) - 0.5)))


def raw_of(values: np.ndarray, head: str, levels: Sequence[float]) -> np.ndarray:
    """Give the raw numbers, `[..., size]`, that say how values `[samples, ...]` are spread.

    Example:
        >>> raw = raw_of(np.linspace(0.0, 2.0, 101)[:, None], "point", ())
        >>> print(np.round(raw, 3))
        [[1.]]
    """
    if head == "point":
        return values.mean(axis=0)[..., None]
    if head == "gaussian":
        deviation = values.std(axis=0) - _LEAST
        return np.stack([values.mean(axis=0), _inverse_softplus(deviation)], axis=-1)
    said = np.moveaxis(np.quantile(values, levels, axis=0), 0, -1)
    middle = middle_of(levels)
    gaps = _inverse_softplus(np.diff(said, axis=-1))
    return np.concatenate(
        [gaps[..., :middle], said[..., middle : middle + 1], gaps[..., middle:]], axis=-1
    )


def _inverse_softplus(value: np.ndarray) -> np.ndarray:
    return np.log(np.expm1(np.maximum(value, _LEAST)))


def moved(said: Any, by: Any, head: str) -> Any:
    """Move what is said, `[..., size]`, by `[...]`."""
    by = by[..., None]
    if head == "gaussian":
        return ops.concatenate([said[..., :1] + by, said[..., 1:]], axis=-1)
    return said + by


def drawn(said: Any, draw: Any, head: str, levels: Sequence[float]) -> Any:
    """Draw a value from what is said.

    Args:
        said: `[..., size]`.
        draw: `[...]`: for "gaussian" from the standard normal distribution, 0 for the mean; for
            "quantile" evenly from 0 to 1, 0.5 for the median. Between two quantiles the value
            lies on the line through them; below the first and above the last on the line
            through the nearest two.
        head: its name.
        levels: of the quantiles.
    """
    if head == "point":
        return said[..., 0]
    if head == "gaussian":
        return said[..., 0] + draw * said[..., 1]
    value = said[..., 0]
    for place in range(len(levels) - 1):
        low, high = levels[place], levels[place + 1]
        first, last = place == 0, place == len(levels) - 2
        part = ops.clip(draw - low, -1.0 if first else 0.0, 1.0 if last else high - low)
        value = value + part * (said[..., place + 1] - said[..., place]) / (high - low)
    return value


@keras.saving.register_keras_serializable(package="seqstate")
class HeadLoss(keras.losses.Loss):
    """What is lost: squared error, pinball loss, or negative log-likelihood.

    The pinball loss of the quantile q at the level p is `max(p (y - q), (p - 1) (y - q))`, with
    the mean over the levels (Koenker and Bassett, Regression Quantiles, Econometrica 46, 1978).

    Args:
        head: one of `HEADS`.
        levels: of the quantiles.
    """

    def __init__(self, head: str, levels: Sequence[float], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.head, self.levels = head, tuple(levels)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Give `[batch, steps]` of `[batch, steps, values]` and `[batch, steps, values * size]`."""
        size = size_of(self.head, self.levels)
        said = ops.reshape(y_pred, (*ops.shape(y_true), size))
        if self.head == "point":
            lost = ops.square(y_true - said[..., 0])
        elif self.head == "gaussian":
            mean, deviation = said[..., 0], said[..., 1]
            lost = ops.log(deviation) + 0.5 * ops.square((y_true - mean) / deviation)
        else:
            levels = ops.convert_to_tensor(np.asarray(self.levels, "float32"))
            over = y_true[..., None] - said
            lost = ops.mean(ops.maximum(levels * over, (levels - 1.0) * over), axis=-1)
        return ops.mean(lost, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Give what `from_config` needs."""
        return {**super().get_config(), "head": self.head, "levels": list(self.levels)}
