"""The operations that take some of the numbers, or look them up."""

from __future__ import annotations

from typing import Any

import numpy as np

from seqstate.runtime.operations.operation import Array, Entry, Operation, sized
from seqstate.runtime.plan.maker import Maker
from seqstate.runtime.plan.value import Value


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


def _take(self: Operation, maker: Maker, args: list[Any], kwargs: dict[str, Any]) -> Any:
    x, places = args[0], args[1] if len(args) > 1 else kwargs.get("indices")
    axis = self.argument("axis", kwargs)
    if isinstance(x, np.ndarray) and isinstance(places, Value):
        return _looked_up(self, maker, x, places, axis)
    if not isinstance(x, Value) or isinstance(places, Value):
        raise self.config.wrong("it takes elements by other arrays.", "Take them by numbers.")
    chosen, axis = np.asarray(places), self.axis(x, axis)
    if chosen.dtype.kind not in "iu":
        raise self.config.wrong(f"it takes elements by {chosen.dtype}.", "Take them by numbers.")
    if x.time and axis == 1:
        maker.no_step(f"{self.config.where} picks time steps")
    shape = (*x.shape[:axis], *chosen.shape, *x.shape[axis + 1 :])
    time = x.time and axis != 1
    return maker.emit(lambda a: np.take(a, chosen, axis), x, shape=shape, time=time)


def _take_along(self: Operation, maker: Maker, args: list[Any], kwargs: dict[str, Any]) -> Any:
    x, places = [*args, *(kwargs[name] for name in sorted(kwargs, reverse=True))]
    if not isinstance(x, Value) or not isinstance(places, Value) or places.rank != x.rank:
        raise self.config.wrong("it is called with something else than two arrays alike.")
    axis = self.axis_alone(maker, x, {}, None)
    if x.time != places.time:
        maker.no_step(f"{self.config.where} puts what has the time axis beside what has not")
    shape = sized(x.shape, axis, places.shape[axis])
    return maker.emit(
        lambda a, at: np.take_along_axis(a, at.astype(np.int64, copy=False), axis),
        x,
        places,
        shape=shape,
        time=x.time and axis != 1,
    )


def _looked_up(self: Operation, maker: Maker, table: Array, places: Value, axis: Any) -> Value:
    if axis != 0 or not table.ndim:
        raise self.config.wrong(
            f"it looks up along the axis {str(axis)[:60]} of a table.", "Look up along axis 0."
        )
    shape = (*places.shape, *table.shape[1:])
    return maker.emit(lambda a: table[a.astype(np.int64, copy=False)], places, shape=shape)


def _one_hot(self: Operation, maker: Maker, args: list[Any], kwargs: dict[str, Any]) -> Any:
    x = args[0]
    self.check_options("num_classes", "axis", "dtype", "sparse")
    count = self.whole(self.argument("num_classes", kwargs), "num_classes")
    dtype = str(self.argument("dtype", kwargs) or "float32")
    if np.dtype(dtype).kind not in "fiub" or self.config.flag("sparse"):
        raise self.config.wrong("it makes no plain numbers.", "Leave dtype and sparse out.")
    if self.argument("axis", kwargs, -1) not in (-1, x.rank):
        raise self.config.wrong("it puts the classes elsewhere than last.", "Leave axis out.")
    made = np.dtype("float32" if dtype.startswith(("float", "bfloat")) else dtype)
    shape = (*x.shape, count)
    self.check_size(shape)
    classes = np.arange(count)
    return maker.emit(
        lambda a: (a.astype(np.int64, copy=False)[..., None] == classes).astype(made),
        x,
        shape=shape,
    )


def _split(self: Operation, maker: Maker, args: list[Any], kwargs: dict[str, Any]) -> Any:
    x = args[0]
    axis = self.axis(x, self.argument("axis", kwargs, 0))
    where = self.argument("indices_or_sections", kwargs)
    size, even = x.shape[axis], self.config.class_name == "Split"
    if isinstance(where, list | tuple):
        cuts = [self.whole(one, "place to split at", 0) for one in where]
    elif size is None:
        raise self.config.wrong("it splits an axis whose size is not known.", "Fix the size.")
    else:
        parts = self.whole(where, "number of parts")
        if (even and size % parts) or parts > size:
            raise self.config.wrong(f"it splits {size} numbers into {parts} parts.")
        cuts = np.cumsum([len(one) for one in np.array_split(range(size), parts)])[:-1].tolist()
    return _parts(self, maker, x, axis, cuts, keep=True)


def _unstack(self: Operation, maker: Maker, args: list[Any], kwargs: dict[str, Any]) -> Any:
    x = args[0]
    axis = self.axis(x, self.argument("axis", kwargs, 0))
    size = x.shape[axis]
    if size is None:
        raise self.config.wrong("it takes an axis apart whose size is not known.", "Fix the size.")
    return _parts(self, maker, x, axis, list(range(1, size)), keep=False)


def _parts(
    self: Operation, maker: Maker, x: Value, axis: int, cuts: list[int], keep: bool
) -> list[Value]:
    """Leave a call that cuts an axis, and give the parts; with or without the axis."""
    if x.time and axis == 1:
        maker.no_step(f"{self.config.where} picks time steps")
    size = x.shape[axis]
    ends = [*cuts, size]
    found = []
    for first, end in zip([0, *cuts], ends, strict=True):
        own = None if size is None or end is None else max(0, min(end, size) - min(first, size))
        sizes = [own] if keep else []
        shape = (*x.shape[:axis], *sizes, *x.shape[axis + 1 :])
        found.append(maker.value(shape, x.time and axis != 1))

    def compute(array: Array) -> list[Array]:
        parts = np.split(array, cuts, axis)
        return parts if keep else [np.squeeze(one, axis) for one in parts]

    maker.emit_many(compute, [x], found)
    return found


TAKING: dict[str, Entry] = {
    "ArraySplit": _split,
    "GetItem": _get_item,
    "OneHot": _one_hot,
    "Split": _split,
    "Take": _take,
    "TakeAlongAxis": _take_along,
    "Unstack": _unstack,
}
