"""A state: a plain nested dict of arrays by name, and the same as paths such as `forward/c`.

A *spec* has the shape of a state, with each leaf a tuple: the sizes of one row, without the
batch axis. `{"h": (8,), "c": (8,)}` is the spec of an LSTM of eight units. The order of the
names in the spec is the order of the states wherever a list is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from seqstate.errors import StateMismatchError, message

State = dict[str, Any]
Spec = Mapping[str, Any]


def leaves(state: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Walk a state in its own order and yield each path with its leaf.

    >>> list(leaves({"forward": {"h": 1, "c": 2}, "backward": {"h": 3}}))
    [('forward/h', 1), ('forward/c', 2), ('backward/h', 3)]
    """
    for name, value in state.items():
        path = f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from leaves(value, f"{path}/")
        else:
            yield path, value


def flatten(state: Mapping[str, Any]) -> dict[str, Any]:
    """Give a nested state as one dict from path to leaf."""
    return dict(leaves(state))


def unflatten(flat: Mapping[str, Any]) -> State:
    """Give a dict from path to leaf as a nested state.

    >>> unflatten({"forward/h": 1, "forward/c": 2})
    {'forward': {'h': 1, 'c': 2}}
    """
    state: State = {}
    for path, leaf in flat.items():
        *folders, name = path.split("/")
        inner = state
        for folder in folders:
            inner = inner.setdefault(folder, {})
        inner[name] = leaf
    return state


def map_leaves(
    fn: Callable[..., Any], state: Mapping[str, Any], *others: Mapping[str, Any]
) -> State:
    """Call `fn` on the leaves at the same place of one or several states.

    The order of the names is that of the first state.

    >>> map_leaves(lambda a, b: a + b, {"h": 1, "c": 2}, {"c": 20, "h": 10})
    {'h': 11, 'c': 22}
    """
    return {
        name: map_leaves(fn, value, *(other[name] for other in others))
        if isinstance(value, Mapping)
        else fn(value, *(other[name] for other in others))
        for name, value in state.items()
    }


def nest(spec: Spec, flat: Mapping[str, Any], prefix: str = "") -> State:
    """Give a dict from path to leaf the nesting and the order of a spec.

    >>> nest({"h": (1,), "c": (1,)}, {"c": 2, "h": 1})
    {'h': 1, 'c': 2}
    """
    return {
        name: nest(inner, flat, f"{prefix}{name}/")
        if isinstance(inner, Mapping)
        else flat[f"{prefix}{name}"]
        for name, inner in spec.items()
    }


def name_leaves(
    spec: Spec, given: Any, where: str, argument: str = "initial_state"
) -> dict[str, Any]:
    """Give what a user passed as a state the names of the spec, as a flat dict.

    A mapping may be partial at any depth; a list has every leaf, in order; a single value is
    the state of a layer that has one. Leaves that are `None` are left out.

    Args:
        spec: the spec of the layer that the state is for.
        given: a mapping, a (nested) list or tuple, or one value.
        where: the layer, for the message.
        argument: the argument, for the message.

    Raises:
        StateMismatchError: an unknown name, or a list of the wrong length.
    """
    if isinstance(given, Mapping):
        named = _named(spec, given, where, argument, "")
    else:
        values = _flat_list(given)
        paths = list(flatten(spec))
        if len(values) != len(paths):
            what = f"has {_count(values, 'value')}"
            if not isinstance(given, list | tuple):
                what = f"is one {type(given).__name__}"
            raise StateMismatchError(
                message(
                    where,
                    f"{argument} {what}; expected {len(paths)}, in this order: {', '.join(paths)}.",
                    f"Pass all {len(paths)}, or name the ones that you have and leave the rest "
                    f"to start from zeros: {argument}={_example(paths)}."
                    if len(paths) > 1
                    else f"Pass {argument}={_example(paths)}.",
                )
            )
        named = dict(zip(paths, values, strict=True))
    return {path: value for path, value in named.items() if value is not None}


def check_leaf(
    value: Any, sizes: tuple[int, ...], batch: int | None, where: str, path: str, argument: str
) -> None:
    """Refuse a leaf that can't become `[batch, *sizes]` by giving each row the same value.

    Accepted shapes: `[]`, `sizes`, `[1, *sizes]`, `[batch, *sizes]`.

    Raises:
        StateMismatchError: another shape, another number of rows, or a type that is no float.
    """
    place = argument + "".join(f'["{name}"]' for name in path.split("/"))
    shape, dtype = describe_array(value)
    if not any(kind in dtype for kind in ("float", "python number")):
        raise StateMismatchError(
            message(
                where,
                f"{place} has dtype {dtype}; expected floating point.",
                f'Convert it first: numpy.asarray({place}, dtype="float32").',
            )
        )
    full = (batch, *sizes)
    fits = shape in ((), sizes) or (
        len(shape) == len(full)
        and shape[1:] == sizes
        and (shape[0] is None or batch is None or shape[0] in (1, batch))
    )
    if fits:
        return
    axes = "[batch, units]" if len(sizes) == 1 else f"[batch, {', '.join(map(str, sizes))}]"
    if len(shape) == len(full) and shape[1:] == sizes:
        what = f"{place} has {shape[0]} rows; expected {batch}."
        todo = "Pass one row for each row of the batch, or a single one that all of them take."
    else:
        what = f"{place} has shape {shape}; expected {full}, {axes}."
        todo = (
            f"Pass a state made with units={sizes[0]}, or put a Dense({sizes[0]}) "
            "between the two layers."
            if len(sizes) == 1 and len(shape) == 2
            else f"Pass an array of shape {full}, or {sizes} to start every row from one value."
        )
    raise StateMismatchError(message(where, what, todo))


def describe_array(value: Any) -> tuple[tuple[int | None, ...], str]:
    """Give the shape and the dtype name of an array, a tensor or a number."""
    if isinstance(value, float | int) and not isinstance(value, bool):
        return (), "python number"
    if not hasattr(value, "shape"):
        try:
            value = np.asarray(value)
        except ValueError:
            return (), type(value).__name__
    dtype = str(getattr(value, "dtype", type(value).__name__))
    name = getattr(getattr(value, "dtype", None), "name", dtype)
    return tuple(value.shape), str(name).removeprefix("torch.")


def _named(
    spec: Spec, given: Mapping[str, Any], where: str, argument: str, prefix: str
) -> dict[str, Any]:
    unknown = [name for name in given if name not in spec]
    if unknown:
        place = argument + "".join(f'["{name}"]' for name in prefix.split("/") if name)
        raise StateMismatchError(
            message(
                where,
                f"{place} has the unknown {'name' if len(unknown) == 1 else 'names'} "
                f"{', '.join(map(repr, unknown))}; expected {', '.join(map(repr, spec))}.",
                'From the results of a layer, pass the part: results["state"].'
                if "state" in unknown
                else "Use the names that the layer carries, for example "
                f"{_example([*flatten(spec)])}.",
            )
        )
    named: dict[str, Any] = {}
    for name, inner in spec.items():
        value = given.get(name)
        path = f"{prefix}{name}"
        if value is None:
            continue
        if not isinstance(inner, Mapping):
            named[path] = value
        elif isinstance(value, Mapping):
            named.update(_named(inner, value, where, argument, f"{path}/"))
        else:
            below = name_leaves(inner, value, where, f'{argument}["{name}"]')
            named.update({f"{path}/{key}": leaf for key, leaf in below.items()})
    return named


def _flat_list(given: Any) -> list[Any]:
    if isinstance(given, Mapping):
        return [leaf for value in given.values() for leaf in _flat_list(value)]
    if isinstance(given, list | tuple):
        return [leaf for value in given for leaf in _flat_list(value)]
    return [given]


def _count(values: Sequence[Any], noun: str) -> str:
    return f"{len(values)} {noun}" + ("" if len(values) == 1 else "s")


def _example(paths: Sequence[str]) -> str:
    """Write a state as a user would: `{"forward": {"h": ..., "c": ...}}`."""

    def write(state: Mapping[str, Any]) -> str:
        inner = (
            f'"{k}": {write(v) if isinstance(v, Mapping) else "..."}' for k, v in state.items()
        )
        return "{" + ", ".join(inner) + "}"

    return write(unflatten(dict.fromkeys(paths)))
