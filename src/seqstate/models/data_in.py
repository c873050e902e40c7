"""The data that a model is run on: checked against the model before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from seqstate.errors import ArgumentError, InputError, message
from seqstate.models.state import carried_variables

_BATCH = 32


def check_data(model: Any, x: Any, where: str, allow_nan: bool) -> Any:
    """Give the data as NumPy arrays, in the structure in which they came.

    Args:
        model: what is going to read them.
        x: an array, or a list or a dict of arrays, each with a sample axis.
        where: who asks, for messages.
        allow_nan: let NaN and infinite values pass.

    Raises:
        InputError: a rank, a width, a number of inputs or samples that does not fit; NaN.
    """
    names = _names(x)
    arrays = [_as_array(leaf, name, where) for leaf, name in names]
    if not arrays:
        raise InputError(
            message(where, "x is empty.", "Pass an array, or a list or a dict of arrays.")
        )
    arrays = _fitted(model, x, arrays, names, where)
    for array, (_, name) in zip(arrays, names, strict=True):
        if array.ndim == 0 or not array.size:
            raise InputError(
                message(
                    where,
                    f"{name} has shape {array.shape}; expected at least one sample and one time "
                    "step.",
                    "Pass [sample, time, features].",
                )
            )
        if len(array) != len(arrays[0]):
            raise InputError(
                message(
                    where,
                    f"{name} has {len(array)} samples; {names[0][1]} has {len(arrays[0])}.",
                    "Give all inputs the same number of samples, in the same order.",
                )
            )
        if not allow_nan:
            _refuse_nan(array, name, where)
    alone = len(names) == 1 and names[0][1] == "x"
    return arrays[0] if alone else keras.tree.pack_sequence_as(x, arrays)


def rows_of(data: Any) -> int:
    """Give the number of samples of checked data."""
    return len(keras.tree.flatten(data)[0])


def batch_size_for(
    model: Any, layers: Mapping[str, Any], data: Any, asked: int | None, where: str
) -> int:
    """Give the number of samples to run at once.

    Raises:
        ArgumentError: `asked` is no positive number, or not the one that the model is made for.
        InputError: a model made for one batch size, and samples that it does not divide.
    """
    if asked is not None and (not isinstance(asked, int) or isinstance(asked, bool) or asked < 1):
        raise ArgumentError(
            message(
                where, f"batch_size={asked!r}.", "Pass a positive whole number, or leave it out."
            )
        )
    fixed = _fixed_batch(model, layers)
    if fixed is None:
        return asked or _BATCH
    if asked not in (None, fixed):
        raise ArgumentError(
            message(
                where,
                f"batch_size={asked}; the model is made for batches of {fixed}.",
                "Leave batch_size out.",
            )
        )
    rows = rows_of(data)
    if rows % fixed:
        raise InputError(
            message(
                where,
                f"x has {rows} samples; the model is made for batches of {fixed}.",
                f"Pass a number of samples that {fixed} divides: row 0 of one batch goes on in "
                "row 0 of the next.",
            )
        )
    return fixed


def _fixed_batch(model: Any, layers: Mapping[str, Any]) -> int | None:
    for tensor in _inputs(model):
        if tensor.shape[0] is not None:
            return int(tensor.shape[0])
    for layer in layers.values():
        for variable in carried_variables(layer).values():
            return int(variable.shape[0])
    return None


def _inputs(model: Any) -> list[Any]:
    """Give the symbolic inputs of a model; none if it is a subclassed one, or not built."""
    return list(getattr(model, "inputs", None) or [])


def _inputs_by_name(model: Any, inputs: list[Any]) -> dict[str, Any]:
    """Give the inputs by the names that the model takes in a dict: its own, or theirs."""
    made_of = getattr(model, "_inputs_struct", None)
    if isinstance(made_of, Mapping):
        return {str(name): tensor for name, tensor in made_of.items()}
    return {tensor.name: tensor for tensor in inputs}


def _names(x: Any) -> list[tuple[Any, str]]:
    """Give each leaf and what messages call it."""
    if isinstance(x, Mapping | list | tuple) and not _is_list_of_numbers(x):
        found = keras.tree.flatten_with_path(x)
        return [(leaf, "x" + "".join(f"[{key!r}]" for key in path)) for path, leaf in found]
    return [(x, "x")]


def _is_list_of_numbers(x: Any) -> bool:
    while isinstance(x, list | tuple) and x:
        x = x[0]
    return isinstance(x, int | float)


def _as_array(leaf: Any, name: str, where: str) -> np.ndarray:
    if isinstance(leaf, str):
        raise InputError(
            message(where, f"{name} is the text {leaf!r}.", "Load the file first: numpy.load(...).")
        )
    if hasattr(leaf, "to_numpy"):
        leaf = leaf.to_numpy()
    try:
        array = np.asarray(keras.ops.convert_to_numpy(leaf) if keras.ops.is_tensor(leaf) else leaf)
    except ValueError as error:
        raise InputError(
            message(
                where,
                f"{name} can't be made an array: {error}.",
                "Series of several lengths are padded to one, and masked: "
                "keras.utils.pad_sequences(x, padding='post', dtype='float32').",
            )
        ) from error
    if array.dtype.kind == "f":
        return array.astype(keras.config.floatx(), copy=False)
    if array.dtype.kind not in "iub":
        raise InputError(
            message(
                where,
                f"{name} is a {type(leaf).__name__} of dtype {array.dtype}; expected numbers.",
                "Pass NumPy arrays, tensors, or a list or a dict of them.",
            )
        )
    return array


def _fitted(
    model: Any, x: Any, arrays: list[np.ndarray], names: list[tuple[Any, str]], where: str
) -> list[np.ndarray]:
    """Hold arrays against the inputs of a model, where it says what they are."""
    inputs = _inputs(model)
    if not inputs:
        return arrays
    if isinstance(x, Mapping):
        by_name = _inputs_by_name(model, inputs)
        missing = [name for name in by_name if name not in x]
        if missing:
            raise InputError(
                message(
                    where,
                    f"x has {', '.join(map(str, x))}; the model's inputs are {', '.join(by_name)}.",
                    f"Add {', '.join(missing)}.",
                )
            )
        keys = [path[0] for path, _ in keras.tree.flatten_with_path(x)]
        pairs = [by_name.get(str(key)) for key in keys]
    elif len(arrays) != len(inputs):
        raise InputError(
            message(
                where,
                f"x has {len(arrays)} arrays; the model has {len(inputs)} inputs: "
                f"{', '.join(tensor.name for tensor in inputs)}.",
                "Pass one array for each, in this order, or a dict by these names. Samples in a "
                "list are put together first: numpy.stack(x).",
            )
        )
    else:
        pairs = list(inputs)
    return [
        array if tensor is None else _fit(array, tuple(tensor.shape), name, where)
        for array, tensor, (_, name) in zip(arrays, pairs, names, strict=True)
    ]


def _fit(array: np.ndarray, shape: tuple[int | None, ...], name: str, where: str) -> np.ndarray:
    """Refuse an array of another shape; add the axis of a single feature where that is safe."""
    one_feature = array.ndim == len(shape) - 1 and shape[-1] == 1 and array.ndim > 1
    if one_feature and array.shape[1:] == shape[1:-1]:
        return array[..., None]
    if array.ndim == len(shape) and _same(array.shape[1:], shape[1:]):
        return array
    raise InputError(
        message(
            where,
            f"{name} has shape {array.shape}; the model takes {shape}.",
            _advice(array.shape, shape, name),
        )
    )


def _advice(got: tuple[int, ...], shape: tuple[int | None, ...], name: str) -> str:
    if len(got) == len(shape) - 1:
        ways = []
        if _same(got, shape[1:]):
            ways.append(f"one sample is {name}[None], shape {(1, *got)}")
        if shape[-1] == 1:
            ways.append(f"samples of one feature are {name}[..., None], shape {(*got, 1)}")
        if ways:
            text = "; ".join(ways)
            return f"{text[0].upper()}{text[1:]}."
    if len(got) == 1 and len(shape) == 3 and shape[-1] == 1:
        return f"One series of one feature: {name}.reshape(1, -1, 1)."
    if len(got) == len(shape) == 3 and got[-1] != shape[-1] and shape[-1] is not None:
        return f"Pass [sample, time, {shape[-1]}]: the model reads {shape[-1]} features a step."
    if len(got) == len(shape) == 3 and got[-1] == shape[-1]:
        return (
            f"The model was made with keras.Input(({shape[1]}, {shape[2]})), which fixes the "
            f"number of time steps. Pass {shape[1]} steps, or make it with "
            f"keras.Input((None, {shape[2]})) and give it the same weights: any length fits then."
        )
    axes = "sample, time, features" if len(shape) == 3 else "sample, ..."
    return f"Pass [{axes}] of this shape; None is any number."


def _same(got: tuple[int, ...], shape: tuple[int | None, ...]) -> bool:
    return len(got) == len(shape) and all(b in (None, a) for a, b in zip(got, shape, strict=True))


def _refuse_nan(array: np.ndarray, name: str, where: str) -> None:
    if array.dtype.kind != "f":
        return
    wrong = ~np.isfinite(array)
    count = int(wrong.sum())
    if not count:
        return
    first = tuple(int(i) for i in np.argwhere(wrong)[0])
    axes = ("sample", "time", "feature") if array.ndim == 3 else [f"axis {i}" for i in range(9)]
    at = ", ".join(f"{axis} {i}" for axis, i in zip(axes, first, strict=False))
    raise InputError(
        message(
            where,
            f"{name} has {count} values that are NaN or infinite, the first at {at}.",
            "Every state after such a step would be NaN. Fill them in (numpy.nan_to_num), or mask "
            "those steps in the model and pass allow_nan=True.",
        )
    )
