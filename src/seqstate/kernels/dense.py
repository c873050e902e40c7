"""Dense layers and elementwise functions: the native kernels, or NumPy where there are none.

Either way each output is summed in one order, and no number depends on the others of its call.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import numpy as np

from seqstate.errors import ArgumentError, InputError, message
from seqstate.kernels import native
from seqstate.kernels.call import ACTIVATIONS
from seqstate.kernels.float_array import float_array

Array = np.ndarray

# What `activate` knows: the activations of the kernels, and e^x.
FUNCTIONS = (*ACTIVATIONS, "exp")


class _Layer(Protocol):
    features: int
    units: int

    def __call__(self, x: Any, out: Any = None) -> Array: ...
    def prepare(self, x: Any, out: Any) -> Callable[[], None]: ...


class Dense:
    """A dense layer that keeps its weights packed, for many calls.

        y[u] = activation(bias[u] + x[0] kernel[0, u] + x[1] kernel[1, u] + ...)

    The products are added in this order, with one rounding each (a fused multiply-add), so the
    bits of a row depend neither on the rows beside it, nor on the threads, nor on the instruction
    set. Without the native kernels each product is rounded before it is added.

    An instance never changes, so any number of threads may call it.

    Args:
        kernel: float32 array [features, units]; it is copied.
        bias: float32 array [units], or None.
        activation: "linear", "tanh", "sigmoid", "relu" or "hard_sigmoid".

    Raises:
        InputError: where a weight has another type or shape.
        ArgumentError: where the activation is not known.

    Example:
        >>> import numpy as np
        >>> dense = Dense(np.ones((3, 2), "float32"), np.float32([0, 10]))
        >>> dense(np.float32([[1, 2, 3]])).tolist()
        [[6.0, 16.0]]
    """

    __slots__ = ("_layer", "features", "prepare", "units")

    def __init__(self, kernel: Any, bias: Any = None, activation: str = "linear") -> None:
        kernel = np.ascontiguousarray(kernel)
        bias = None if bias is None else np.ascontiguousarray(bias)
        make = native.module().Dense if native.usable() else _Portable
        self._layer: _Layer = make(kernel, bias, activation)
        self.features = self._layer.features
        self.units = self._layer.units
        #: `prepare(x, out)` checks these arrays once and gives a function without arguments, which
        #: does `dense(x, out)` on whatever they hold by then: the cheapest way for a row alone. It
        #: is for one thread at a time.
        self.prepare = self._layer.prepare

    def __call__(self, x: Any, out: Array | None = None) -> Array:
        """Run the layer.

        Args:
            x: float32 array [rows, features], with any strides.
            out: float32 array [rows, units] that is written, its last axis contiguous; it shares
                no memory with `x`. By default a new one.

        Returns:
            `out`, [rows, units].

        Raises:
            InputError: where an array has another type or shape.
        """
        return self._layer(x, out)


def activate(function: str, x: Any, out: Array | None = None) -> Array:
    """Give function(x) for each number of an array, by the vector functions of the kernels.

    They are those that the cells use. The bits of a number depend neither on its place, nor on
    the shape, nor on the strides. NaN stays NaN. Errors against float64 are within 2e-7 of the
    value for tanh, sigmoid and exp; exp is 0 up to -87, where float32 ends.

    Args:
        function: "linear", "tanh", "sigmoid", "relu", "hard_sigmoid" or "exp".
        x: float32 array of any shape and strides.
        out: float32 array of that shape; it may be `x` itself. By default a new one.

    Returns:
        `out`.

    Raises:
        InputError: where an array has another type or shape.
        ArgumentError: where the function is not known.

    Example:
        >>> import numpy as np
        >>> activate("relu", np.float32([-1, 2])).tolist()
        [0.0, 2.0]
    """
    if function not in FUNCTIONS:
        raise ArgumentError(
            message(
                "activate",
                f"{function!r} is not known to the kernels",
                f"There are {', '.join(FUNCTIONS)}.",
            )
        )
    x = float_array("activate", "x", x)
    if out is None:
        out = np.empty(x.shape, np.float32)
    elif float_array("activate", "out", out).shape != x.shape:
        raise InputError(
            message("activate", f"out has shape {out.shape}, x {x.shape}", "Pass one shape.")
        )
    # One block of memory for each, and a copy where there is none.
    source = np.ascontiguousarray(x)
    straight = out.flags.c_contiguous and (out is x or not np.may_share_memory(out, x))
    target = out if straight else np.empty(x.shape, np.float32)
    if native.usable():
        native.module().activate(function, source.reshape(-1), target.reshape(-1))
    else:
        target[...] = _portable(function, source)
    if not straight:
        out[...] = target
    return out


def finite(x: Array) -> bool:
    """Tell whether no number of a float32 array is NaN or infinite.

    Raises:
        InputError: where the array has another type.

    Example:
        >>> import numpy as np
        >>> finite(np.float32([1, 2])), finite(np.float32([1, np.nan]))
        (True, False)
    """
    if native.usable():
        found: bool = native.module().finite(x if x.ndim == 1 else x.reshape(-1))
        return found
    return bool(np.isfinite(float_array("finite", "x", x)).all())


class _Portable:
    """`Dense` by NumPy: the same order of the sums, each product rounded."""

    def __init__(self, kernel: Array, bias: Array | None, activation: str) -> None:
        self._kernel = float_array("Dense", "kernel", kernel, None, None).copy()
        self.features, self.units = self._kernel.shape
        if not self._kernel.size:
            raise InputError(
                message("Dense", "the kernel has no features or no units", "Pass one at least.")
            )
        if activation not in ACTIVATIONS:
            raise ArgumentError(
                message(
                    "Dense",
                    f"the activation {activation!r} is not known to the kernels",
                    f"There are {', '.join(ACTIVATIONS)}.",
                )
            )
        self._activation = activation
        self._bias = np.zeros(self.units, np.float32)
        if bias is not None:
            self._bias[:] = float_array("Dense", "bias", bias, self.units)

    def __call__(self, x: Any, out: Array | None = None) -> Array:
        x = float_array("Dense", "x", x, None, self.features)
        if out is None:
            out = np.empty((len(x), self.units), np.float32)
        elif np.may_share_memory(float_array("Dense", "out", out, len(x), self.units), x):
            raise InputError(
                message("Dense", "out shares memory with x", "Pass an array of its own.")
            )
        sums = np.broadcast_to(self._bias, out.shape).copy()
        for k, weights in enumerate(self._kernel):
            sums += x[:, k, None] * weights
        out[...] = _portable(self._activation, sums)
        return out

    def prepare(self, x: Array, out: Array) -> Callable[[], None]:
        self(x, out)
        return partial(_call, self, x, out)


def _call(layer: _Portable, x: Array, out: Array) -> None:
    layer(x, out)


def _portable(function: str, x: Array) -> Array:
    """Give function(x) in float32 for an array that is one block of memory."""
    with np.errstate(over="ignore"):
        if function == "tanh":
            return np.tanh(x)
        if function == "sigmoid":
            return np.float32(1) / (np.float32(1) + np.exp(-x))
        if function == "relu":
            return np.maximum(x, np.float32(0))
        if function == "hard_sigmoid":
            return np.clip(x * np.float32(1 / 6) + np.float32(0.5), np.float32(0), np.float32(1))
        return np.exp(x) if function == "exp" else x
