"""The operations that make one number of those along some axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from seqstate.runtime.arranging import along
from seqstate.runtime.broadcasting import narrow
from seqstate.runtime.operations.operation import Array, Entry, Operation
from seqstate.runtime.plan.maker import Maker


def _reduction(function: Callable[..., Array], *options: str) -> Entry:
    def entry(self: Operation, maker: Maker, args: list[Any], kwargs: dict[str, Any]) -> Any:
        self.check_options("axis", "keepdims", *options)
        x = args[0]
        axis = self.argument("axis", kwargs)
        keep = bool(self.argument("keepdims", kwargs, False))
        axes = range(x.rank) if axis is None else [axis] if isinstance(axis, int) else axis
        axes = tuple(sorted(self.axis(x, one) for one in axes))
        if x.time and 1 in axes:
            maker.no_step(f"{self.config.where} needs all time steps at once")
        shape = tuple(
            1 if i in axes else size for i, size in enumerate(x.shape) if keep or i not in axes
        )

        def compute(array: Array) -> Array:
            return narrow(function(along(array, axes), keep, axes))

        return maker.emit(compute, x, shape=shape, time=x.time and (1 not in axes))

    return entry


def _reduced(function: Callable[..., Array], *options: str) -> Entry:
    def compute(array: Array, keep: bool, axes: tuple[int, ...]) -> Array:
        made = function(array, axis=-1)
        return np.expand_dims(made, axes) if keep else made

    return _reduction(compute, *options)


def _whole(function: Callable[..., Array]) -> Callable[..., Array]:
    """Give whole numbers as Keras does."""
    return lambda x, axis: function(x, axis=axis).astype(np.int32)


def _logsumexp(x: Array, axis: int) -> Array:
    x = np.asarray(x, np.float32)
    most = x.max(axis=axis, keepdims=True)
    most = np.where(np.isfinite(most), most, np.float32(0))
    with np.errstate(divide="ignore"):
        return np.log(np.exp(x - most).sum(axis=axis)) + most[..., 0]


def _norm(self: Operation, maker: Maker, args: list[Any], kwargs: dict[str, Any]) -> Any:
    order = self.config.get("ord")
    norm = _NORMS.get("2" if order in (None, "fro") else str(order))
    axes = self.argument("axis", kwargs)
    of_matrix = isinstance(axes, list | tuple) and len(axes) > 1 and order not in (None, "fro")
    if norm is None or of_matrix:
        raise self.config.wrong(f"its ord={str(order)[:60]} is not known.", "Use 1, 2 or inf.")
    return _reduced(norm, "ord")(self, maker, args, kwargs)


def _average(self: Operation, maker: Maker, args: list[Any], kwargs: dict[str, Any]) -> Any:
    if len(args) > 1 or kwargs.get("weights") is not None:
        raise self.config.wrong("it has weights.", "Use keras.ops.sum of products.")
    return _reduced(np.mean)(self, maker, args, kwargs)


_NORMS: dict[str, Callable[..., Array]] = {
    "1": lambda x, axis: np.abs(x).sum(axis=axis),
    "2": lambda x, axis: np.sqrt(np.square(x).sum(axis=axis)),
    "inf": lambda x, axis: np.abs(x).max(axis=axis),
}
REDUCTIONS: dict[str, Entry] = {
    "All": _reduced(np.all),
    "Amax": _reduced(np.max),
    "Amin": _reduced(np.min),
    "Any": _reduced(np.any),
    "Argmax": _reduced(_whole(np.argmax)),
    "Argmin": _reduced(_whole(np.argmin)),
    "Average": _average,
    "CountNonzero": _reduced(_whole(np.count_nonzero)),
    "Logsumexp": _reduced(_logsumexp),
    "Max": _reduced(np.max),
    "Mean": _reduced(np.mean),
    "Median": _reduced(np.median),
    "Min": _reduced(np.min),
    "Norm": _norm,
    "Prod": _reduced(np.prod),
    "Ptp": _reduced(np.ptp),
    "Std": _reduced(np.std),
    "Sum": _reduced(np.sum),
    "Var": _reduced(np.var),
}
