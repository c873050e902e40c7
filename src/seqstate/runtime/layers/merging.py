"""Layers that make one array of several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from seqstate.runtime.archive.config import Config
from seqstate.runtime.archive.weights import Weights
from seqstate.runtime.arranging import joined
from seqstate.runtime.broadcasting import narrow, spread
from seqstate.runtime.layers.layer import Array, Layer
from seqstate.runtime.plan.maker import Maker
from seqstate.runtime.plan.value import Value, flat

if TYPE_CHECKING:
    from seqstate.runtime.layers.making import Making

MERGES: dict[str, Callable[[Sequence[Array]], Array]] = {
    "Add": lambda parts: reduce(np.add, parts),
    "Subtract": lambda parts: parts[0] - parts[1],
    "Multiply": lambda parts: reduce(np.multiply, parts),
    "Average": lambda parts: reduce(np.add, parts) / np.float32(len(parts)),
    "Maximum": lambda parts: reduce(np.maximum, parts),
    "Minimum": lambda parts: reduce(np.minimum, parts),
}


def _product(parts: Sequence[Array], masks: Sequence[Array]) -> Array:
    """Multiply as Keras does: what a mask leaves out is 1, and 0 where all leave it out."""
    ones = [
        part if mask is None else np.where(mask, part, np.float32(1))
        for part, mask in zip(parts, masks, strict=True)
    ]
    product = reduce(np.multiply, ones)
    if any(mask is None for mask in masks):
        return product
    return np.where(reduce(np.logical_or, masks), product, np.float32(0))


def _chosen(choose: Callable[[Array, Array], Array]) -> Callable[..., Array]:
    """Make the function of the largest or smallest, as Keras has it: what counts is compared."""

    def merge(parts: Sequence[Array], masks: Sequence[Array]) -> Array:
        best, so_far = parts[0], masks[0]
        for part, mask in zip(parts[1:], masks[1:], strict=True):
            own = part if mask is None else np.where(mask, part, best)
            if so_far is not None:
                best = np.where(so_far, best, own)
            so_far = None if mask is None or so_far is None else mask | so_far
            best = choose(best, own)
        return best

    return merge


MASKED: dict[str, Callable[[Sequence[Array], Sequence[Array]], Array]] = {
    "Multiply": _product,
    "Maximum": _chosen(np.maximum),
    "Minimum": _chosen(np.minimum),
}


class MergeLayer(Layer):
    """`Add`, `Subtract`, `Multiply`, `Average`, `Maximum`, `Minimum`."""

    def __init__(self, config: Config, weights: Weights, making: Making) -> None:
        super().__init__(config, weights, making)
        self.old = making.old

    def call(self, maker: Maker, x: Any, **given: Any) -> Any:
        """See `Layer`; an array of fewer axes is laid along axis 1 of the others."""
        values = several(self, x)
        rank = max(value.rank for value in values)
        masks = [value.mask for value in values]
        values = [self._raised(maker, value, rank) for value in values]
        shape, time = spread(maker, self.where, values)
        kind = self.config.class_name
        merge: Any = MERGES[kind]
        mask = None if None in masks else _any_of(maker, [m for m in masks if m is not None])
        if kind not in MASKED or self.old or all(one is None for one in masks):
            return maker.emit(
                lambda *arrays: narrow(merge(arrays)), *values, shape=shape, time=time, mask=mask
            )
        there, masked = [one is not None for one in masks], MASKED[kind]

        def compute(*arrays: Array) -> Array:
            counts = iter(arrays[len(there) :])
            found = [next(counts)[..., None] if own else None for own in there]
            return narrow(masked(arrays[: len(there)], found))

        counting = [one for one in masks if one is not None]
        return maker.emit(compute, *values, *counting, shape=shape, time=time, mask=mask)

    def _raised(self, maker: Maker, value: Value, rank: int) -> Value:
        for _ in range(rank - value.rank):
            if value.time:
                maker.no_step(f"{self.where} merges arrays of several numbers of axes")
            shape = (value.shape[0], 1, *value.shape[1:])
            value = maker.emit(lambda a: a[:, None], value, shape=shape, time=False)
        return value


class ConcatenateLayer(Layer):
    """`Concatenate`."""

    def call(self, maker: Maker, x: Any, **given: Any) -> Any:
        """See `Layer`."""
        values = several(self, x)
        axis = self.config.get("axis", -1)
        if not isinstance(axis, int) or len({value.rank for value in values}) > 1:
            raise self.config.wrong(
                f"it joins {[value.shape for value in values]} along axis {axis}."
            )
        made = joined(maker, self.where, values, axis)
        return made.with_mask(self._mask(maker, values, axis % values[0].rank))

    def _mask(self, maker: Maker, values: list[Value], axis: int) -> Value | None:
        if all(value.mask is None for value in values) or values[0].rank < 3:
            return None
        masks = [
            value.mask
            or maker.emit(lambda a: np.ones(a.shape[:2], bool), value, shape=value.shape[:2])
            for value in values
        ]
        if axis == 1:
            shape = (values[0].shape[0], None)
            return maker.emit(lambda *found: np.concatenate(found, 1), *masks, shape=shape)
        return _any_of(maker, masks)


class DotLayer(Layer):
    """`Dot`: the sum of products along one axis of each."""

    def call(self, maker: Maker, x: Any, **given: Any) -> Any:
        """See `Layer`."""
        values = several(self, x)
        if len(values) != 2:
            raise self.config.wrong(f"it is called with {len(values)} tensors; expected 2.")
        given_axes = self.config.numbers("axes", -1)
        pair = given_axes * 2 if len(given_axes) == 1 else given_axes
        first, second = (axis % value.rank for axis, value in zip(pair, values, strict=True))
        normalize = self.config.flag("normalize")
        if 0 in (first, second):
            raise self.config.wrong("it sums up along the batch.")
        if any(value.time for value in values):
            maker.no_step(f"{self.where} needs all time steps at once")

        def compute(a: Array, b: Array) -> Array:
            a, b = np.moveaxis(a, first, -1), np.moveaxis(b, second, -1)
            if normalize:
                a, b = _normalized(a), _normalized(b)
            flat_a, flat_b = (c.reshape(len(c), prod(c.shape[1:-1]), c.shape[-1]) for c in (a, b))
            made = contracted(flat_a, flat_b).reshape(len(a), *a.shape[1:-1], *b.shape[1:-1])
            return made if made.ndim > 1 else made[:, None]

        rest = [
            size
            for value, axis in zip(values, (first, second), strict=True)
            for i, size in enumerate(value.shape)
            if i not in (0, axis)
        ]
        shape = (values[0].shape[0], *(rest or [1]))
        return maker.emit(compute, *values, shape=shape, time=False)


def contracted(a: Array, b: Array) -> Array:
    """Give the sums of products of `[batch, i, k]` and `[batch, j, k]`, `[batch, i, j]`.

    They are added up in the order of `k`, so that the bits don't depend on the sizes.
    """
    made = np.zeros((len(a), a.shape[1], b.shape[1]), np.float32)
    for k in range(a.shape[2]):
        made += a[:, :, None, k] * b[:, None, :, k]
    return made


def _normalized(x: Array) -> Array:
    x = np.ascontiguousarray(x)
    return x * inverse_length(np.square(x).sum(axis=-1, keepdims=True), 1e-7)


def inverse_length(total: Array, least: float) -> Array:
    """Give what makes the length 1 where the squares add up to `total`; 1 / `least` at most."""
    with np.errstate(divide="ignore"):
        return np.minimum(1 / np.sqrt(total), np.float32(1 / least))


def several(layer: Layer, x: Any) -> list[Value]:
    """Give the values that came in.

    Raises:
        DataError: there are none.
    """
    values = flat(x)
    if not values or not all(isinstance(value, Value) for value in values):
        raise layer.config.wrong("it is called without tensors.")
    return values


def _any_of(maker: Maker, masks: list[Value]) -> Value:
    if len(masks) == 1 or all(mask is masks[0] for mask in masks):
        return masks[0]
    timed = any(mask.time for mask in masks)
    return maker.emit(
        lambda *found: reduce(np.logical_or, found), *masks, shape=masks[0].shape, time=timed
    )
