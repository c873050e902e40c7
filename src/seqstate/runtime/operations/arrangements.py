"""The operations that give the same numbers in another arrangement."""

from __future__ import annotations

from typing import Any

import numpy as np

from seqstate.runtime.arranging import joined, permuted, reshaped
from seqstate.runtime.operations.operation import Entry, Operation, sized
from seqstate.runtime.plan.maker import Maker
from seqstate.runtime.plan.value import flat


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


def _side_by_side(self: Operation, maker: Maker, args: list[Any], kwargs: dict[str, Any]) -> Any:
    return joined(maker, self.config.where, flat(args[0]), 1)


def _append(self: Operation, maker: Maker, args: list[Any], kwargs: dict[str, Any]) -> Any:
    values = [*args, *kwargs.values()]
    axis = self.axis(values[0], self.argument("axis", {}))
    return joined(maker, self.config.where, values, axis)


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


def _diff(self: Operation, maker: Maker, args: list[Any], kwargs: dict[str, Any]) -> Any:
    n = self.whole(self.argument("n", kwargs, 1), "n")
    axis = self.axis_alone(maker, args[0], kwargs)
    size = args[0].shape[axis]
    shape = sized(args[0].shape, axis, None if size is None else max(0, size - n))
    return maker.emit(lambda a: np.diff(a, n, axis), args[0], shape=shape)


def _flip(self: Operation, maker: Maker, args: list[Any], kwargs: dict[str, Any]) -> Any:
    axes = self.argument("axis", kwargs)
    axes = list(range(args[0].rank)) if axes is None else axes
    found = [self.axis(args[0], one) for one in ([axes] if isinstance(axes, int) else axes)]
    if args[0].time and 1 in found:
        maker.no_step(f"{self.config.where} moves the time axis")
    return maker.emit(lambda a: np.flip(a, tuple(found)), args[0], shape=args[0].shape)


def _pad(self: Operation, maker: Maker, args: list[Any], kwargs: dict[str, Any]) -> Any:
    x = args[0]
    mode: Any = self.config.text("mode", "constant", _PADDINGS)
    given = self.argument("pad_width", kwargs)
    given = [[given, given]] if isinstance(given, int) else given
    given = [given] if isinstance(given, list | tuple) and isinstance(given[0], int) else given
    pairs = [[self.whole(one, "pad_width", 0) for one in pair] for pair in given]
    pairs = pairs * x.rank if len(pairs) == 1 else pairs
    if len(pairs) != x.rank or any(len(pair) != 2 for pair in pairs):
        raise self.config.wrong(f"it pads {len(pairs)} axes of {x.rank}.")
    if any(pairs[0]):
        raise self.config.wrong("it adds rows to a batch.", "Leave the batch axis.")
    if x.time and any(pairs[1]):
        maker.no_step(f"{self.config.where} adds time steps")
    shape = tuple(
        None if size is None else size + sum(pair)
        for size, pair in zip(x.shape, pairs, strict=True)
    )
    self.check_size([None, *(sum(pair) for pair in pairs)])
    self.check_size(shape)
    value = args[1] if len(args) > 1 else kwargs.get("constant_values")
    if not isinstance(value, int | float | None):
        raise self.config.wrong("it pads with an array.", "Pad with one number.")
    how: dict[str, Any] = {} if value is None else {"constant_values": value}
    return maker.emit(lambda a: np.pad(a, pairs, mode, **how), x, shape=shape)


def _repeat(self: Operation, maker: Maker, args: list[Any], kwargs: dict[str, Any]) -> Any:
    x, times = args[0], self.whole(self.argument("repeats", kwargs), "repeats")
    axis = self.axis_alone(maker, x, kwargs, None)
    size = x.shape[axis]
    shape = sized(x.shape, axis, None if size is None else size * times)
    self.check_size((None, times))
    self.check_size(shape)
    return maker.emit(lambda a: np.repeat(a, times, axis), x, shape=shape)


def _roll(self: Operation, maker: Maker, args: list[Any], kwargs: dict[str, Any]) -> Any:
    shift = self.argument("shift", kwargs)
    if isinstance(shift, bool) or not isinstance(shift, int):
        raise self.config.wrong(f"its shift is {str(shift)[:60]}; expected a whole number.")
    axis = self.axis_alone(maker, args[0], kwargs, None)
    return maker.emit(lambda a: np.roll(a, shift, axis), args[0], shape=args[0].shape)


def _tile(self: Operation, maker: Maker, args: list[Any], kwargs: dict[str, Any]) -> Any:
    x, given = args[0], self.argument("repeats", kwargs)
    given = [given] if isinstance(given, int) else list(given)
    times = [self.whole(one, "repeats") for one in given]
    times = [1] * (x.rank - len(times)) + times
    if len(times) != x.rank or times[0] != 1:
        raise self.config.wrong("it repeats the batch.", "Repeat what is in a row.")
    if x.time and times[1] != 1:
        maker.no_step(f"{self.config.where} adds time steps")
    pairs = zip(x.shape, times, strict=True)
    shape = tuple(None if size is None else size * count for size, count in pairs)
    self.check_size((None, *times))
    self.check_size(shape)
    return maker.emit(lambda a: np.tile(a, times), x, shape=shape)


def _triangle(upper: bool) -> Entry:
    def entry(self: Operation, maker: Maker, args: list[Any], kwargs: dict[str, Any]) -> Any:
        x, k = args[0], self.argument("k", kwargs, 0)
        if x.rank < 3 or isinstance(k, bool) or not isinstance(k, int):
            raise self.config.wrong("it needs a batch of matrices, and a whole number k.")
        if x.time and x.rank == 3:
            maker.no_step(f"{self.config.where} needs all time steps at once")
        part = np.triu if upper else np.tril
        return maker.emit(lambda a: part(a, k), x, shape=x.shape)

    return entry


def _swapped(self: Operation, maker: Maker, args: list[Any], kwargs: dict[str, Any]) -> Any:
    first, second = (self.axis(args[0], self.config.get(name)) for name in ("axis1", "axis2"))
    axes = list(range(args[0].rank))
    axes[first], axes[second] = second, first
    return permuted(maker, self.config.where, args[0], tuple(axes))


def _moved(self: Operation, maker: Maker, args: list[Any], kwargs: dict[str, Any]) -> Any:
    ends = [self.config.numbers(name) for name in ("source", "destination")]
    source, target = ([self.axis(args[0], one) for one in axes] for axes in ends)
    if not len({*source}) == len(source) == len(target) == len({*target}):
        raise self.config.wrong(f"it moves the axes {source} to {target}.")
    axes = [axis for axis in range(args[0].rank) if axis not in source]
    for to, axis in sorted(zip(target, source, strict=True)):
        axes.insert(to, axis)
    return permuted(maker, self.config.where, args[0], tuple(axes))


_PADDINGS = ("constant", "edge", "reflect", "symmetric")
ARRANGEMENTS: dict[str, Entry] = {
    "Append": _append,
    "Concatenate": _concatenate,
    "Diff": _diff,
    "ExpandDims": _expand,
    "Flip": _flip,
    "Hstack": _side_by_side,
    "Moveaxis": _moved,
    "Pad": _pad,
    "Repeat": _repeat,
    "Reshape": _reshape,
    "Roll": _roll,
    "Squeeze": _squeeze,
    "Stack": _stack,
    "Swapaxes": _swapped,
    "Tile": _tile,
    "Transpose": _transpose,
    "Tril": _triangle(upper=False),
    "Triu": _triangle(upper=True),
}
