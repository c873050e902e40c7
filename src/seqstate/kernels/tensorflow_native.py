"""The native kernels within TensorFlow: a call out of the graph, with a gradient.

A graph can call Python (`tf.numpy_function`) only in the process that made it, and XLA can't at
all: a model that is exported, or compiled by XLA, needs the portable path.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tensorflow.python.eager import forwardprop_util
from tensorflow.python.eager import record as tapes

from seqstate.errors import ArgumentError, message
from seqstate.kernels import native
from seqstate.kernels.call import DIFFERENTIABLE, Spec

Array = npt.NDArray[Any]
Names = tuple[str, ...]
Shape = tuple[int | None, ...]

# Arrays that begin at a multiple of this become tensors as they are; others are copied.
ALIGNMENT = 64


def run(spec: Spec, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Run a cell over a sequence; `seqstate.kernels.call` has the contract.

    Raises:
        ArgumentError: when it is computed, the gradient of a gradient.
        InputError: a tensor has another shape or dtype than the contract says.

    Within a graph TensorFlow makes a `tf.errors.InvalidArgumentError` of both.
    """
    recorded = replace(spec, every_step=True, keep=True)
    # What the gradient reads is kept only if a tape watches. Where one asks for the gradient that
    # was not to be seen here, outside of a `tf.function` for instance, the run is done again.
    watched = tapes.could_possibly_record()
    names, tensors = tuple(inputs), [tf.convert_to_tensor(value) for value in inputs.values()]
    if tf.executing_eagerly() and forwardprop_util.pack_tangents(tensors).tangents:
        raise _refused(spec, "the native kernels have no forward mode (tf.autodiff)")
    by_x = not watched or tapes.should_record_backprop([tensors[names.index("x")]])

    def forward(*tensors: Any) -> tuple[list[Any], Callable[..., list[Any]]]:
        given = dict(zip(names, tensors, strict=True))
        made = _forward(recorded if watched else spec, given)

        def gradient(*cotangents: Any) -> list[Any]:
            kept = made if watched else _forward(recorded, given)
            by_name = dict(zip(spec.results(), cotangents, strict=True))
            wanted = [name for name in names if name in DIFFERENTIABLE]
            parts = [wanted]
            if not by_x:
                # A call of its own, which a graph leaves out if the gradient by x is not used.
                others = [name for name in wanted if name != "x"]
                parts = [others] if tf.executing_eagerly() else [others, ["x"]]
            found = {}
            for part in parts:
                found.update(_gradient(recorded, given, kept, by_name, part))
            return [found.get(name) for name in names]

        return [made[name] for name in spec.results()], gradient

    return dict(zip(spec.results(), tf.custom_gradient(forward)(*tensors), strict=True))


def _forward(spec: Spec, inputs: Mapping[str, Any]) -> dict[str, Any]:
    def call(given: dict[str, Array]) -> dict[str, Array]:
        batch, time, _ = given["x"].shape
        shapes = _shapes(spec, batch, time, given["recurrent_kernel"].shape[0])
        made = {name: _empty(shapes[name]) for name in spec.results()}
        if time == 0:
            # Nothing is done: the state before the first step is the last one.
            for name in spec.names.states:
                made[f"last_{name}"][:] = given.get(f"initial_{name}", 0.0)
            return made
        native.module().forward(*spec.static(), given, made)
        return made

    batch, time, _ = inputs["x"].shape
    shapes = _shapes(spec, batch, time, inputs["recurrent_kernel"].shape[0])
    return _out_of_the_graph(call, inputs, {name: shapes[name] for name in spec.results()})


def _gradient(
    spec: Spec,
    inputs: Mapping[str, Any],
    results: Mapping[str, Any],
    cotangents: Mapping[str, Any],
    wanted: Sequence[str],
) -> dict[str, Any]:
    record = tuple(name for name in results if not name.startswith("last_"))
    given = {
        **{f"input {name}": value for name, value in inputs.items()},
        **{f"record {name}": results[name] for name in record},
        **{f"cotangent {name}": v for name, v in cotangents.items() if not _is_zeros(v)},
    }

    def call(arrays: dict[str, Array]) -> dict[str, Array]:
        parts: dict[str, dict[str, Array]] = {"input": {}, "record": {}, "cotangent": {}}
        for path, array in arrays.items():
            part, name = path.split(" ")
            parts[part][name] = array
        made = {name: _empty(parts["input"][name].shape) for name in wanted}
        if parts["input"]["x"].shape[1] == 0:
            for name, gradient in made.items():
                last = name.replace("initial_", "last_")
                gradient[:] = parts["cotangent"].get(last, 0.0)
            return made
        native.module().gradient(*spec.static(), *parts.values(), made)
        return made

    def once(*tensors: Any) -> tuple[list[Any], Callable[..., list[Any]]]:
        named = dict(zip(given, tensors, strict=True))
        shapes = {name: tuple(inputs[name].shape) for name in wanted}
        made = list(_out_of_the_graph(call, named, shapes).values())
        return made, lambda *seconds: _no_second(spec, tensors, seconds)

    found = tf.custom_gradient(once)(*given.values())
    return dict(zip(wanted, found, strict=True))


def _no_second(spec: Spec, tensors: Sequence[Any], cotangents: Sequence[Any]) -> list[Any]:
    """Give the gradient of a gradient where that is zero, and else refuse it.

    A tape around a whole training step asks for it, and brings zeros.
    """

    def call(arrays: dict[str, Array]) -> dict[str, Array]:
        if any(array.any() for array in arrays.values()):
            raise _refused(spec, "the native kernels have no gradient of their gradient")
        return {"zero": np.zeros((), np.float32)}

    given = {str(i): cotangent for i, cotangent in enumerate(cotangents)}
    zero = _out_of_the_graph(call, given, {"zero": ()})["zero"]
    return [tf.zeros_like(t) + zero if t.dtype.is_floating else None for t in tensors]


def _refused(spec: Spec, what: str) -> ArgumentError:
    where = f"seqstate.kernels.tensorflow_native, {spec.kind}"
    return ArgumentError(message(where, what, 'Make the layer with kernel="portable" for that.'))


def _is_zeros(tensor: Any) -> bool:
    """Tell whether a graph has a tensor only because nothing depends on the result."""
    if tf.executing_eagerly():
        return False
    op = tensor.op
    if op.type == "ZerosLike":
        return True
    # Where the shape is known, TensorFlow makes a constant of it, or fills in a constant.
    value = op.inputs[1] if op.type == "Fill" else tensor
    return value.op.type == "Const" and not np.any(tf.get_static_value(value))


def _out_of_the_graph(
    call: Callable[[dict[str, Array]], dict[str, Array]],
    given: Mapping[str, Any],
    shapes: Mapping[str, Shape],
) -> dict[str, Any]:
    """Call a function of NumPy arrays by name with tensors.

    Args:
        call: gives arrays with the names in `shapes`.
        given: tensors by name.
        shapes: of the results, as far as they are known.
    """
    names = tuple(given)

    def on_arrays(*arrays: Array) -> list[Array]:
        made = call(dict(zip(names, arrays, strict=True)))
        return [made[name] for name in shapes]

    types = [tf.float32] * len(shapes)
    found = tf.numpy_function(on_arrays, list(given.values()), types, stateful=False)
    if tf.is_tensor(found):
        found = [found]  # as TensorFlow gives a single one
    for tensor, shape in zip(found, shapes.values(), strict=True):
        tensor.set_shape(shape)
    return dict(zip(shapes, found, strict=True))


def _shapes(spec: Spec, batch: int | None, time: int | None, units: int | None) -> dict[str, Shape]:
    shapes: dict[str, Shape] = {"kept": (time, batch, spec.kept, units)}
    for name in spec.names.states:
        shapes[f"last_{name}"] = (batch, units)
        shapes[f"states_{name}"] = (batch, time, units)
    return shapes


def _empty(shape: tuple[Any, ...]) -> Array:
    count = int(np.prod(shape))
    memory = np.empty(4 * count + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + 4 * count].view(np.float32).reshape(shape)
