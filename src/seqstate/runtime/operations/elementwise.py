"""The operations that work element by element."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from seqstate.runtime.activations import NAMES, activation_of, erf
from seqstate.runtime.broadcasting import narrow, spread
from seqstate.runtime.operations.operation import Array, Entry, Operation
from seqstate.runtime.plan.maker import Maker
from seqstate.runtime.plan.value import Value, values_in


def elementwise(function: Callable[..., Array], *options: str) -> Entry:
    """Make the entry of a function that works element by element, on tensors and numbers.

    Args:
        function: of arrays.
        *options: what it takes behind them by name, which may stand in the config.
    """

    def entry(self: Operation, maker: Maker, args: list[Any], kwargs: dict[str, Any]) -> Any:
        self.check_options(*options, "dtype")
        chosen = {name: self.argument(name, kwargs) for name in options}
        chosen = {name: value for name, value in chosen.items() if value is not None}
        # By name they come in the order of the function: x1 stands before x2.
        rest = sorted((name, one) for name, one in kwargs.items() if name not in options)
        args = [*args, *(one for _, one in rest)]
        args = [maker.constant(one) if isinstance(one, np.ndarray) else one for one in args]
        values = values_in(args)
        shape, time = spread(maker, self.config.where, values)

        def compute(*arrays: Array) -> Array:
            given = iter(arrays)
            found = [next(given) if isinstance(a, Value) else a for a in args]
            with np.errstate(all="ignore"):  # as in Keras: 1 / 0 is infinite
                return narrow(function(*found, **chosen))

        self.check_made(compute, values)
        return maker.emit(compute, *values, shape=shape, time=time)

    return entry


def _cast(self: Operation, maker: Maker, args: list[Any], kwargs: dict[str, Any]) -> Any:
    dtype = np.dtype(str(self.argument("dtype", kwargs, "float32")))
    if dtype.kind not in "fiub":
        raise self.config.wrong(f"it casts to {dtype}.", "Cast to numbers.")
    dtype = np.dtype("float32") if dtype.kind == "f" else dtype
    return maker.emit(lambda a: a.astype(dtype), args[0], shape=args[0].shape)


def _same(self: Operation, maker: Maker, args: list[Any], kwargs: dict[str, Any]) -> Any:
    return args[0]


def _of_numbers(name: str) -> Callable[..., Array]:
    """Give an activation that takes whole numbers, too."""
    return _real(activation_of(name))


def _real(function: Any) -> Callable[..., Array]:
    """Give a function of float32, in one block: vector math may differ where there are gaps."""
    return lambda x, **options: function(np.asarray(x, np.float32, order="C"), **options)


def _of_two(function: Any) -> Callable[..., Array]:
    """Give a function of two arrays, each in one block."""
    return lambda a, b: function(*(np.asarray(x, order="C") for x in np.broadcast_arrays(a, b)))


def _bits(function: np.ufunc) -> Callable[..., Array]:
    """Give a function of the bits of whole numbers."""

    def of_whole(*arrays: Array) -> Array:
        kinds = {np.asarray(array).dtype.kind for array in arrays}
        if "f" in kinds:
            raise ValueError(f"{function.__name__} takes whole numbers, and float32 came")
        return function(*arrays)

    return of_whole


def _divide_no_nan(a: Array, b: Array) -> Array:
    return np.where(np.equal(b, 0), np.float32(0), np.true_divide(a, b))


def _hard_shrink(x: Array, threshold: float = 0.5) -> Array:
    return np.where(np.abs(x) > threshold, x, np.float32(0))


def _soft_shrink(x: Array, threshold: float = 0.5) -> Array:
    by = np.float32(threshold)
    return np.where(x > by, x - by, np.where(x < -by, x + by, np.float32(0)))


def _sparse_plus(x: Array) -> Array:
    curve = np.float32(0.25) * np.square(x + np.float32(1))
    return np.where(x <= -1, np.float32(0), np.where(x < 1, curve, x))


def _sparse_sigmoid(x: Array) -> Array:
    return np.clip(np.float32(0.5) * (x + np.float32(1)), np.float32(0), np.float32(1))


def _squareplus(x: Array, b: float = 4) -> Array:
    return (x + np.sqrt(np.square(x) + np.float32(b))) / np.float32(2)


def _threshold(x: Array, threshold: float, default_value: float) -> Array:
    return np.where(x > threshold, x, np.float32(default_value))


# Of one array of real numbers, by NumPy's names.
_REAL = {
    "Arccos": np.arccos,
    "Arccosh": np.arccosh,
    "Arcsin": np.arcsin,
    "Arcsinh": np.arcsinh,
    "Arctan": np.arctan,
    "Arctanh": np.arctanh,
    "Cbrt": np.cbrt,
    "Ceil": np.ceil,
    "Cos": np.cos,
    "Cosh": np.cosh,
    "Deg2rad": np.deg2rad,
    "Erf": erf,
    "Exp": np.exp,
    "Exp2": np.exp2,
    "Expm1": np.expm1,
    "Fabs": np.fabs,
    "Floor": np.floor,
    "Log": np.log,
    "Log10": np.log10,
    "Log1p": np.log1p,
    "Log2": np.log2,
    "Rad2deg": np.rad2deg,
    "Reciprocal": np.reciprocal,
    "Rsqrt": lambda x: np.float32(1) / np.sqrt(x),
    "Sin": np.sin,
    "Sinc": np.sinc,
    "Sinh": np.sinh,
    "SparsePlus": _sparse_plus,
    "SparseSigmoid": _sparse_sigmoid,
    "Sqrt": np.sqrt,
    "Tan": np.tan,
    "Trunc": np.trunc,
}
_OF_ANY: dict[str, Callable[..., Array]] = {
    "Absolute": np.abs,
    "Abs": np.abs,
    "Add": np.add,
    "Arctan2": _of_two(np.arctan2),
    "BitwiseAnd": _bits(np.bitwise_and),
    "BitwiseInvert": _bits(np.invert),
    "BitwiseLeftShift": _bits(np.left_shift),
    "BitwiseNot": _bits(np.invert),
    "BitwiseOr": _bits(np.bitwise_or),
    "BitwiseRightShift": _bits(np.right_shift),
    "BitwiseXor": _bits(np.bitwise_xor),
    "Divide": np.true_divide,
    "DivideNoNan": _divide_no_nan,
    "Equal": np.equal,
    "FloorDivide": np.floor_divide,
    "Fmax": np.fmax,
    "Fmin": np.fmin,
    "Fmod": np.fmod,
    "Greater": np.greater,
    "GreaterEqual": np.greater_equal,
    "Heaviside": np.heaviside,
    "Hypot": _of_two(np.hypot),
    "Isfinite": np.isfinite,
    "Isinf": np.isinf,
    "Isnan": np.isnan,
    "Isneginf": np.isneginf,
    "Isposinf": np.isposinf,
    "LeftShift": _bits(np.left_shift),
    "Less": np.less,
    "LessEqual": np.less_equal,
    "Logaddexp": _of_two(np.logaddexp),
    "Logaddexp2": _of_two(np.logaddexp2),
    "LogicalAnd": np.logical_and,
    "LogicalNot": np.logical_not,
    "LogicalOr": np.logical_or,
    "LogicalXor": np.logical_xor,
    "Maximum": np.maximum,
    "Minimum": np.minimum,
    "Mod": np.mod,
    "Multiply": np.multiply,
    "Negative": np.negative,
    "NotEqual": np.not_equal,
    "OnesLike": np.ones_like,
    "Power": _of_two(np.power),
    "RightShift": _bits(np.right_shift),
    "Sign": np.sign,
    "Signbit": np.signbit,
    "Square": np.square,
    "Subtract": np.subtract,
    "TrueDivide": np.true_divide,
    "Where": np.where,
    "ZerosLike": np.zeros_like,
}
# What Keras writes as several functions, or by the name of another one.
_NO_CLASSES = ("exponential", "hard_swish", "linear", "mish", "swish")
# By the names of the classes, which are not always those of the functions.
_ACTIVATIONS = {
    "".join(part.capitalize() for part in name.split("_")): name
    for name in NAMES
    if name not in (*_NO_CLASSES, "softmax", "log_softmax")
}
ELEMENTWISE: dict[str, Entry] = {
    **{name: elementwise(function) for name, function in _OF_ANY.items()},
    **{name: elementwise(_real(function)) for name, function in _REAL.items()},
    **{name: elementwise(_of_numbers(known)) for name, known in _ACTIVATIONS.items()},
    "Cast": _cast,
    "Celu": elementwise(_of_numbers("celu"), "alpha"),
    "Clip": elementwise(lambda x, x_min, x_max: np.clip(x, x_min, x_max), "x_min", "x_max"),
    "ConvertToTensor": _same,
    "Copy": _same,
    "Elu": elementwise(_of_numbers("elu"), "alpha"),
    "FullLike": elementwise(np.full_like),
    "Gelu": elementwise(_of_numbers("gelu"), "approximate"),
    "HardShrink": elementwise(_real(_hard_shrink), "threshold"),
    "Isclose": elementwise(np.isclose, "equal_nan"),
    "LeakyRelu": elementwise(_of_numbers("leaky_relu"), "negative_slope"),
    "NanToNum": elementwise(_real(np.nan_to_num), "nan", "posinf", "neginf"),
    "Round": elementwise(np.round, "decimals"),
    "SoftShrink": elementwise(_real(_soft_shrink), "threshold"),
    "Squareplus": elementwise(_real(_squareplus), "b"),
    "StopGradient": _same,
    "Threshold": elementwise(_real(_threshold), "threshold", "default_value"),
}
