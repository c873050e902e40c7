"""The functions of `keras.ops` that a functional model may hold as layers of their own.

Masks come as such: Keras writes down how it made them, operation by operation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from seqstate.runtime.activations import NAMES, activation_of
from seqstate.runtime.archive.config import Config
from seqstate.runtime.arranging import along, joined, permuted, reshaped
from seqstate.runtime.plan.maker import Maker
from seqstate.runtime.plan.value import Shape, Value, flat, values_in

Array = Any
Entry = Callable[["Operation", Maker, list[Any], dict[str, Any]], Any]


class Operation:
    """An operation in the graph of a model.

    Args:
        config: what the file says of it.
        entry: of `OPERATIONS`.
    """

    def __init__(self, config: Config, entry: Entry) -> None:
        self.config, self.entry = config, entry

    def call(self, maker: Maker, *args: Any, **kwargs: Any) -> Any:
        """Leave the calls in a plan; see `Layer.call`."""
        return self.entry(self, maker, list(args), kwargs)

    def argument(self, name: str, kwargs: Mapping[str, Any], default: Any = None) -> Any:
        """Give an argument that is no tensor: from the call, or from the config."""
        return kwargs.get(name, self.config.get(name, default))

    def check_options(self, *known: str) -> None:
        """Refuse an operation with an option that is not known here.

        Raises:
            DataError: it has one.
        """
        for name, value in self.config.given.items():
            if name not in (*known, "name", "trainable") and value is not None:
                raise self.config.wrong(
                    f"its {name}={str(value)[:60]} is not known.", "Leave the option out."
                )

    def check_made(self, compute: Callable[..., Array], values: Sequence[Value]) -> None:
        """Refuse an operation whose other arguments are none that it could work with.

        Raises:
            DataError: it makes no numbers of arrays of this rank.
        """
        try:
            with np.errstate(all="ignore"):
                made = compute(*[np.zeros((1,) * one.rank, np.float32) for one in values])
        except (TypeError, ValueError) as error:
            raise self.config.wrong(f"its arguments don't fit: {str(error)[:100]}.") from error
        if made.dtype.kind not in "fiub":
            raise self.config.wrong("it makes no numbers.")


def spread(maker: Maker, where: str, values: list[Value]) -> tuple[Shape, bool]:
    """Give what comes of values that are put together element by element: shape, and time.

    The plan can't be stepped where a value without the time axis is laid along it.
    """
    rank = max(value.rank for value in values)
    time = any(value.time and value.rank == rank for value in values)
    shape: list[int | None] = []
    for i in range(rank):
        sizes = {
            value.shape[i - rank + value.rank] for value in values if i - rank + value.rank >= 0
        }
        sizes -= {1} if len(sizes) > 1 else set()
        shape.append(None if None in sizes else max(size for size in sizes if size is not None))
    if any(value.time for value in values):
        for value in values:
            along = value.shape[1] if value.rank == rank and rank > 1 else 1
            low = value.rank < rank and (value.rank >= 2 or value.time)
            if low or (not value.time and along != 1):
                maker.no_step(
                    f"{where} puts an array with the time axis together with one whose axis 1 is "
                    "something else"
                )
            elif maker.settled(value):
                maker.no_step(f"{where} puts what is known at the end together with each time step")
    return tuple(shape), time


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
            return narrow(function(*found, **chosen))

        self.check_made(compute, values)
        return maker.emit(compute, *values, shape=shape, time=time)

    return entry


def narrow(x: Array) -> Array:
    """Give float32 for float64, which NumPy makes of whole numbers and a fraction."""
    return x.astype(np.float32) if x.dtype == np.float64 else x


def _reduction(function: Callable[..., Array]) -> Entry:
    def entry(self: Operation, maker: Maker, args: list[Any], kwargs: dict[str, Any]) -> Any:
        self.check_options("axis", "keepdims")
        x = args[0]
        axis = self.argument("axis", kwargs)
        keep = bool(self.argument("keepdims", kwargs, False))
        axes = range(x.rank) if axis is None else [axis] if isinstance(axis, int) else axis
        axes = tuple(sorted(one % x.rank for one in axes))
        if 0 in axes:
            raise self.config.wrong("it works across the rows of a batch.", "Leave the batch axis.")
        if x.time and 1 in axes:
            maker.no_step(f"{self.config.where} needs all time steps at once")
        shape = tuple(
            1 if i in axes else size for i, size in enumerate(x.shape) if keep or i not in axes
        )

        def compute(array: Array) -> Array:
            return narrow(function(along(array, axes), keep, axes))

        return maker.emit(compute, x, shape=shape, time=x.time and (1 not in axes))

    return entry


def _reduced(function: Callable[..., Array]) -> Entry:
    def compute(array: Array, keep: bool, axes: tuple[int, ...]) -> Array:
        made = function(array, axis=-1)
        return np.expand_dims(made, axes) if keep else made

    return _reduction(compute)


def _expand(self: Operation, maker: Maker, args: list[Any], kwargs: dict[str, Any]) -> Any:
    x = args[0]
    axis = self.argument("axis", kwargs, -1)
    axes = sorted(one % (x.rank + 1) for one in ([axis] if isinstance(axis, int) else axis))
    if x.time and axes[0] <= 1:
        maker.no_step(f"{self.config.where} moves the time axis")
    shape = list(x.shape)
    for one in axes:
        shape.insert(one, 1)
    return maker.emit(lambda a: np.expand_dims(a, tuple(axes)), x, shape=tuple(shape))


def _squeeze(self: Operation, maker: Maker, args: list[Any], kwargs: dict[str, Any]) -> Any:
    x = args[0]
    axis = self.argument("axis", kwargs)
    axes = [i for i, size in enumerate(x.shape) if size == 1] if axis is None else axis
    axes = [one % x.rank for one in ([axes] if isinstance(axes, int) else axes)]
    if x.time and min(axes, default=2) <= 1:
        maker.no_step(f"{self.config.where} moves the time axis")
    shape = tuple(size for i, size in enumerate(x.shape) if i not in axes)
    return maker.emit(lambda a: np.squeeze(a, tuple(axes)), x, shape=shape)


def _concatenate(self: Operation, maker: Maker, args: list[Any], kwargs: dict[str, Any]) -> Any:
    return joined(maker, self.config.where, args[0], int(self.argument("axis", kwargs, -1)))


def _get_item(self: Operation, maker: Maker, args: list[Any], kwargs: dict[str, Any]) -> Any:
    x, key = args[0], args[1] if len(args) > 1 else kwargs.get("key")
    key = tuple(key) if isinstance(key, list | tuple) else (key,)
    plain = all(one is None or one is ... or isinstance(one, int | slice) for one in key)
    if not plain:
        raise self.config.wrong("it takes elements by other arrays.", "Take them by numbers.")
    if ... in key:
        at = key.index(...)
        wanted = x.rank - sum(one is not None for one in key) + 1
        key = (*key[:at], *[slice(None)] * wanted, *key[at + 1 :])
    whole = [slice(None)] * 2
    time = x.time
    if x.time and list(key[:2]) != whole[: len(key)]:
        time = False
        # The last step so far is known at every step.
        if not (len(key) > 1 and key[0] == slice(None) and key[1] == -1):
            maker.no_step(f"{self.config.where} picks time steps")
    # Of any size it takes one byte.
    made = np.broadcast_to(np.zeros((), bool), [2 if size is None else size for size in x.shape])
    made = made[key]
    unknown = time and 1
    shape = tuple(
        None if i == 0 or (unknown and i == 1) else size for i, size in enumerate(made.shape)
    )
    return maker.emit(lambda a: a[key], x, shape=shape, time=time)


def _reshape(self: Operation, maker: Maker, args: list[Any], kwargs: dict[str, Any]) -> Any:
    target = args[1] if len(args) > 1 else self.argument("newshape", kwargs)
    x = args[0]
    if not isinstance(target, list | tuple) or not target:
        raise self.config.wrong("its new shape is not known.")
    inner = tuple(-1 if size is None else int(size) for size in target[1:])
    return reshaped(maker, self.config.where, x, inner)


def _transpose(self: Operation, maker: Maker, args: list[Any], kwargs: dict[str, Any]) -> Any:
    x = args[0]
    axes = self.argument("axes", kwargs)
    axes = list(range(x.rank))[::-1] if axes is None else [int(one) for one in axes]
    return permuted(maker, self.config.where, x, tuple(axes))


def _along_one(name: str) -> Entry:
    """Make the entry of an activation that looks at all values along an axis."""
    function = activation_of(name)

    def entry(self: Operation, maker: Maker, args: list[Any], kwargs: dict[str, Any]) -> Any:
        self.check_options("axis")
        x, axis = args[0], self.argument("axis", kwargs, -1)
        if axis not in (-1, x.rank - 1):
            raise self.config.wrong(
                "it works along another axis than the last one.", "Use the last one."
            )
        return maker.emit(function, x, shape=x.shape)

    return entry


def _cast(self: Operation, maker: Maker, args: list[Any], kwargs: dict[str, Any]) -> Any:
    dtype = np.dtype(str(self.argument("dtype", kwargs, "float32")))
    if dtype.kind not in "fiub":
        raise self.config.wrong(f"it casts to {dtype}.", "Cast to numbers.")
    dtype = np.dtype("float32") if dtype.kind == "f" else dtype
    return maker.emit(lambda a: a.astype(dtype), args[0], shape=args[0].shape)


def _stack(self: Operation, maker: Maker, args: list[Any], kwargs: dict[str, Any]) -> Any:
    values = flat(args[0])
    axis = int(self.argument("axis", kwargs, 0)) % (values[0].rank + 1)
    timed = [value.time for value in values]
    if any(timed) and (axis <= 1 or not all(timed)):
        maker.no_step(f"{self.config.where} moves the time axis")
    shape = list(values[0].shape)
    shape.insert(axis, len(values))
    return maker.emit(
        lambda *arrays: np.stack(arrays, axis), *values, shape=tuple(shape), time=any(timed)
    )


def _same(self: Operation, maker: Maker, args: list[Any], kwargs: dict[str, Any]) -> Any:
    return args[0]


def _true_divide(a: Array, b: Array) -> Array:
    return np.true_divide(a, b)


def _of_numbers(name: str) -> Callable[..., Array]:
    """Give an activation that takes whole numbers, too."""
    function: Any = activation_of(name)
    return lambda x, **options: function(np.asarray(x, np.float32), **options)


_ELEMENTWISE: dict[str, Callable[..., Array]] = {
    "Absolute": np.abs,
    "Abs": np.abs,
    "Add": np.add,
    "Divide": _true_divide,
    "Equal": np.equal,
    "Exp": lambda x: np.exp(np.ascontiguousarray(x)),
    "Greater": np.greater,
    "GreaterEqual": np.greater_equal,
    "Less": np.less,
    "LessEqual": np.less_equal,
    "Log": lambda x: np.log(np.ascontiguousarray(x)),
    "LogicalAnd": np.logical_and,
    "LogicalNot": np.logical_not,
    "LogicalOr": np.logical_or,
    "Maximum": np.maximum,
    "Minimum": np.minimum,
    "Multiply": np.multiply,
    "Negative": np.negative,
    "NotEqual": np.not_equal,
    "OnesLike": np.ones_like,
    "Power": lambda a, b: np.power(np.ascontiguousarray(a), b),
    "Sign": np.sign,
    "Sqrt": np.sqrt,
    "Square": np.square,
    "Subtract": np.subtract,
    "TrueDivide": _true_divide,
    "Where": np.where,
    "ZerosLike": np.zeros_like,
}
# By the names of the classes, which are not always those of the functions.
_ACTIVATIONS = {
    "".join(part.capitalize() for part in name.split("_")): name
    for name in NAMES
    if name not in ("softmax", "log_softmax", "linear")
}


OPERATIONS: dict[str, Entry] = {
    **{name: elementwise(function) for name, function in _ELEMENTWISE.items()},
    **{name: elementwise(_of_numbers(known)) for name, known in _ACTIVATIONS.items()},
    "Celu": elementwise(_of_numbers("celu"), "alpha"),
    "Clip": elementwise(lambda x, x_min, x_max: np.clip(x, x_min, x_max), "x_min", "x_max"),
    "Elu": elementwise(_of_numbers("elu"), "alpha"),
    "Gelu": elementwise(_of_numbers("gelu"), "approximate"),
    "LeakyRelu": elementwise(_of_numbers("leaky_relu"), "negative_slope"),
    "LogSoftmax": _along_one("log_softmax"),
    "All": _reduced(np.all),
    "Any": _reduced(np.any),
    "Cast": _cast,
    "Concatenate": _concatenate,
    "ConvertToTensor": _same,
    "Copy": _same,
    "ExpandDims": _expand,
    "GetItem": _get_item,
    "Max": _reduced(np.max),
    "Mean": _reduced(np.mean),
    "Min": _reduced(np.min),
    "Reshape": _reshape,
    "Softmax": _along_one("softmax"),
    "Squeeze": _squeeze,
    "Stack": _stack,
    "StopGradient": _same,
    "Sum": _reduced(np.sum),
    "Transpose": _transpose,
}
