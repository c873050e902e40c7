"""The functions of `keras.ops` that a functional model may hold as layers of their own.

Masks come as such: Keras writes down how it made them, operation by operation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from seqstate.runtime.activations import NAMES, activation_of
from seqstate.runtime.archive.config import Config
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
    return tuple(shape), time


def elementwise(function: Callable[..., Array]) -> Entry:
    """Make the entry of a function that works element by element, on tensors and numbers."""

    def entry(self: Operation, maker: Maker, args: list[Any], kwargs: dict[str, Any]) -> Any:
        args = [*args, *kwargs.values()]
        args = [maker.constant(one) if isinstance(one, np.ndarray) else one for one in args]
        values = values_in(args)
        shape, time = spread(maker, self.config.where, values)

        def compute(*arrays: Array) -> Array:
            given = iter(arrays)
            return narrow(function(*[next(given) if isinstance(a, Value) else a for a in args]))

        return maker.emit(compute, *values, shape=shape, time=time)

    return entry


def narrow(x: Array) -> Array:
    """Give float32 for float64, which NumPy makes of whole numbers and a fraction."""
    return x.astype(np.float32) if x.dtype == np.float64 else x


def _reduction(function: Callable[..., Array]) -> Entry:
    def entry(self: Operation, maker: Maker, args: list[Any], kwargs: dict[str, Any]) -> Any:
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
            # What is added up lies side by side, in the same order for each row.
            return narrow(function(_last(array, axes), keep, axes))

        return maker.emit(compute, x, shape=shape, time=x.time and (1 not in axes))

    return entry


def _last(array: Array, axes: tuple[int, ...]) -> Array:
    """Put axes together as the last one."""
    rest = [i for i in range(array.ndim) if i not in axes]
    moved = array.transpose(*rest, *axes)
    return np.ascontiguousarray(moved.reshape(*moved.shape[: len(rest)], -1))


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


def joined(maker: Maker, where: str, values: list[Value], axis: int) -> Value:
    """Put values side by side along an axis."""
    axis %= values[0].rank
    if axis == 0:
        maker.no_step(f"{where} joins along the batch")
    timed = [value.time for value in values]
    if any(timed) and (axis == 1 or not all(timed)):
        maker.no_step(f"{where} joins along time, or joins what has it with what has not")
    sizes = [value.shape[axis] for value in values]
    total = None if None in sizes else sum(size for size in sizes if size is not None)
    shape = tuple(total if i == axis else size for i, size in enumerate(values[0].shape))
    return maker.emit(
        lambda *arrays: np.concatenate(arrays, axis), *values, shape=shape, time=any(timed)
    )


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
    made = np.empty([2 if size is None else size for size in x.shape], bool)[key]
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


def reshaped(maker: Maker, where: str, x: Value, inner: tuple[int, ...]) -> Value:
    """Give a value another shape behind the batch; the time axis stays if it is the first."""
    rest = x.shape[2:]
    known = all(size is not None for size in rest)
    features = int(np.prod([size for size in rest if size is not None], dtype=np.int64))
    new = int(np.prod(inner[1:], dtype=np.int64)) if inner else 1
    first = inner[0] if inner else 0
    keeps = (
        x.time and known and -1 not in inner[1:] and new == features and first in (-1, x.shape[1])
    )
    if x.time and not keeps:
        maker.no_step(f"{where} mixes time with other axes")
    target = (-1, *inner[1:]) if keeps else inner
    sizes: list[int | None] = [None if size == -1 else size for size in target]
    if x.rank > 1 and None not in x.shape[1:] and not keeps and -1 in target:
        total = int(np.prod([size for size in x.shape[1:] if size is not None], dtype=np.int64))
        given = int(np.prod([size for size in target if size != -1], dtype=np.int64))
        sizes = [size if size is not None else total // max(1, given) for size in sizes]
    if keeps:
        sizes[0] = x.shape[1]

    def compute(array: Array) -> Array:
        return array.reshape(len(array), *(array.shape[1:2] if keeps else target[:1]), *target[1:])

    return maker.emit(compute, x, shape=(x.shape[0], *sizes), time=keeps)


def _transpose(self: Operation, maker: Maker, args: list[Any], kwargs: dict[str, Any]) -> Any:
    x = args[0]
    axes = self.argument("axes", kwargs)
    axes = list(range(x.rank))[::-1] if axes is None else [int(one) for one in axes]
    return permuted(maker, self.config.where, x, tuple(axes))


def permuted(maker: Maker, where: str, x: Value, axes: tuple[int, ...]) -> Value:
    """Exchange the axes of a value."""
    if x.time and axes[:2] != (0, 1):
        maker.no_step(f"{where} moves the time axis")
    return maker.emit(
        lambda a: a.transpose(axes),
        x,
        shape=tuple(x.shape[i] for i in axes),
        time=axes[1] == 1 and x.time,
    )


def _softmax(self: Operation, maker: Maker, args: list[Any], kwargs: dict[str, Any]) -> Any:
    x, axis = args[0], self.argument("axis", kwargs, -1)
    if x.time and axis not in (-1, x.rank - 1):
        maker.no_step(f"{self.config.where} needs all time steps at once")
    return (
        maker.emit(lambda a: activation_of("softmax")(np.moveaxis(a, axis, -1)), x, shape=x.shape)
        if axis in (-1, x.rank - 1)
        else _refused_axis(self)
    )


def _refused_axis(self: Operation) -> Any:
    raise self.config.wrong("it works along another axis than the last one.", "Use the last one.")


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


_ELEMENTWISE: dict[str, Callable[..., Array]] = {
    "Absolute": np.abs,
    "Abs": np.abs,
    "Add": np.add,
    "Clip": np.clip,
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
    if name not in ("softmax", "linear")
}

OPERATIONS: dict[str, Entry] = {
    **{name: elementwise(function) for name, function in _ELEMENTWISE.items()},
    **{name: elementwise(activation_of(known)) for name, known in _ACTIVATIONS.items()},
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
    "Softmax": _softmax,
    "Squeeze": _squeeze,
    "Stack": _stack,
    "StopGradient": _same,
    "Sum": _reduced(np.sum),
    "Transpose": _transpose,
}
