"""The activations of Keras, by the names that its files give them.

Each looks at one row at a time, so the bits of a row don't depend on its neighbours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from seqstate.kernels.call import ACTIVATIONS as NATIVE
from seqstate.kernels.dense import activate
from seqstate.runtime.archive.config import Config

Array = Any
Activation = Callable[[Array], Array]

_erf = np.frompyfunc(math.erf, 1, 1)


def erf(x: Array) -> Array:
    """Give the error function."""
    return np.asarray(_erf(x), np.float32)


def dense_array(x: Array) -> Array:
    """Give the values in one block: vector math may have other bits for other strides."""
    return np.ascontiguousarray(x, np.float32)


def sigmoid(x: Array) -> Array:
    """Give 1 / (1 + exp(-x))."""
    return activate("sigmoid", dense_array(x))


def softplus(x: Array) -> Array:
    """Give log(1 + exp(x))."""
    x = dense_array(x)
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def elu(x: Array, alpha: float = 1.0) -> Array:
    """Give x above 0, `alpha (exp(x) - 1)` below."""
    x = dense_array(x)
    return np.where(x > 0, x, np.float32(alpha) * np.expm1(np.minimum(x, 0)))


def leaky_relu(x: Array, negative_slope: float = 0.2) -> Array:
    """Give x above 0, `negative_slope x` below."""
    return np.where(x > 0, x, np.float32(negative_slope) * x)


def relu(
    x: Array, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> Array:
    """Give x from `threshold` on, up to `max_value`; below it a line."""
    below = np.float32(negative_slope) * (x - np.float32(threshold))
    found = np.where(x >= threshold if threshold else x > 0, x, below)
    return found if max_value is None else np.minimum(found, np.float32(max_value))


def softmax(x: Array, axis: int | tuple[int, ...] = -1) -> Array:
    """Give `exp(x) / sum(exp(x))` along an axis."""
    if axis not in (-1, x.ndim - 1):
        axes = (axis,) if isinstance(axis, int) else tuple(axis)
        behind = list(range(-len(axes), 0))
        moved = np.moveaxis(x, axes, behind)
        sizes = moved.shape
        flat = moved.reshape(*sizes[: -len(axes)], math.prod(sizes[-len(axes) :]))
        return np.moveaxis(softmax(flat).reshape(moved.shape), behind, axes)
    x = dense_array(x)
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def log_softmax(x: Array) -> Array:
    """Give the logarithm of `softmax`."""
    x = dense_array(x)
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def gelu(x: Array, approximate: bool = False) -> Array:
    """Give x times the chance that a normal number is below it; `approximate` with tanh."""
    x = dense_array(x)
    if approximate:
        cubic = np.float32(math.sqrt(2 / math.pi)) * (x + np.float32(0.044715) * x * x * x)
        return np.float32(0.5) * x * (1 + activate("tanh", cubic))
    return np.float32(0.5) * x * (1 + erf(x / np.float32(math.sqrt(2))))


def selu(x: Array) -> Array:
    """Give the scaled `elu`."""
    return np.float32(1.05070098) * elu(x, 1.67326324)


def _mish(x: Array) -> Array:
    return x * activate("tanh", softplus(x))


def _hard_tanh(x: Array) -> Array:
    return np.clip(x, np.float32(-1), np.float32(1))


def _silu(x: Array) -> Array:
    return x * sigmoid(x)


def _hard_silu(x: Array) -> Array:
    return x * activate("hard_sigmoid", x)


def _old_hard_sigmoid(x: Array) -> Array:
    return np.clip(np.float32(0.2) * x + np.float32(0.5), np.float32(0), np.float32(1))


OLD_HARD_SIGMOID = "hard_sigmoid of Keras 2"
"""Its line is steeper than that of Keras 3, so a model that was trained with it needs it."""


def celu(x: Array, alpha: float = 1.0) -> Array:
    """Give x above 0, `alpha (exp(x / alpha) - 1)` below."""
    x = dense_array(x)
    below = np.expm1(np.minimum(x, 0) / np.float32(alpha))
    return np.where(x > 0, x, np.float32(alpha) * below)


_OWN: dict[str, Activation] = {
    "celu": celu,
    "elu": elu,
    "exponential": lambda x: np.exp(dense_array(x)),
    "gelu": gelu,
    "hard_silu": _hard_silu,
    "hard_swish": _hard_silu,
    "hard_tanh": _hard_tanh,
    "leaky_relu": leaky_relu,
    "log_sigmoid": lambda x: -softplus(-x),
    "log_softmax": log_softmax,
    "mish": _mish,
    "relu6": lambda x: relu(x, max_value=6.0),
    "selu": selu,
    "silu": _silu,
    "softmax": softmax,
    "softplus": softplus,
    "softsign": lambda x: x / (1 + np.abs(x)),
    "swish": _silu,
    "tanh_shrink": lambda x: x - activate("tanh", dense_array(x)),
}
NAMES = (*NATIVE, *_OWN)


def activation_name(config: Config, argument: str, default: str) -> str:
    """Give the name of an activation; "" for one that is not known here."""
    written = config.get(argument, default)
    if written is None:
        return "linear"
    if isinstance(written, Mapping):
        # As Keras writes a function that it knows by name.
        own = written.get("module") == "builtins" or "keras" in str(written.get("module"))
        inner = written.get("config")
        written = inner if own and isinstance(inner, str) else ""
        registered = inner if isinstance(inner, str) else ""
        written = written if written in NAMES else registered
    return written if isinstance(written, str) and written in NAMES else ""


def activation_of(name: str) -> Activation:
    """Give the function of a name in `NAMES`."""
    if name == OLD_HARD_SIGMOID:
        return _old_hard_sigmoid
    return _OWN[name] if name in _OWN else partial(activate, name)
