"""The native kernels within TensorFlow: a call out of the graph, with a gradient.

A graph can call Python (`tf.numpy_function`) only in the process that made it, and XLA can't at
all: a model that is exported, or compiled by XLA, needs the portable path.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import forwardprop_util
from tensorflow.python.eager import record as tapes

from seqstate.errors import ArgumentError, message
from seqstate.kernels import native
from seqstate.kernels.call import DIFFERENTIABLE, Spec

Array = np.ndarray
Arrays = Mapping[str, Any]
Names = tuple[str, ...]
Shape = tuple[int | None, ...]

# Arrays that begin at a multiple of this become tensors as they are; others are copied.
ALIGNMENT = 64


def run(spec: Spec, inputs: Arrays) -> dict[str, Any]:
    """Run a cell over a sequence; `seqstate.kernels.call` has the contract.

    Raises:
        ArgumentError: when it is computed, the gradient of a gradient.
        InputError: a tensor has another shape or dtype than the contract says.

    Within a graph TensorFlow makes a `tf.errors.InvalidArgumentError` of both.
    """
    return run_all([(spec, inputs)])[0]


def run_all(calls: Sequence[tuple[Spec, Arrays]]) -> list[dict[str, Any]]:
    """Make several calls of `run` at once, none of which reads what another one makes."""
    specs = [spec for spec, _ in calls]
    recorded = [spec._replace(every_step=True, keep=True) for spec in specs]
    # What the gradient reads is kept only if a tape watches. Where one asks for the gradient that
    # was not to be seen here, outside of a `tf.function` for instance, the run is done again.
    watched = tapes.could_possibly_record()
    names = [tuple(inputs) for _, inputs in calls]
    tensors = [tf.convert_to_tensor(value) for _, inputs in calls for value in inputs.values()]
    if tf.executing_eagerly() and forwardprop_util.pack_tangents(tensors).tangents:
        raise _refused(specs[0], "the native kernels have no forward mode (tf.autodiff)")
    by_x = [
        not watched or tapes.should_record_backprop([own["x"]]) for own in _dealt(names, tensors)
    ]
    results = [spec.results() for spec in specs]

    def forward(*tensors: Any) -> tuple[list[Any], Callable[..., list[Any]]]:
        given = _dealt(names, tensors)
        made = _forward(recorded if watched else specs, given)

        def gradient(*cotangents: Any) -> list[Any]:
            kept = made if watched else _forward(recorded, given)
            by_name = _dealt(results, cotangents)
            found: list[dict[str, Any]] = [{} for _ in names]
            for wanted in _wanted(names, by_x):
                made_now = _gradient(recorded, given, kept, by_name, wanted)
                for own, more in zip(found, made_now, strict=True):
                    own.update(more)
            return [own.get(name) for own, of in zip(found, names, strict=True) for name in of]

        return [own[name] for own, of in zip(made, results, strict=True) for name in of], gradient

    return _dealt(results, tf.custom_gradient(forward)(*tensors))


def _dealt(names: Sequence[Names], values: Sequence[Any]) -> list[dict[str, Any]]:
    """Give each of several runs its share of values, by name."""
    rest = iter(values)
    return [{name: next(rest) for name in own} for own in names]


def _wanted(names: Sequence[Names], by_x: Sequence[bool]) -> list[list[Names]]:
    """Give the gradients that each of several runs is asked for, in one call or in two."""
    known = [tuple(name for name in own if name in DIFFERENTIABLE) for own in names]
    if all(by_x):
        return [known]
    # A call of its own, which a graph leaves out if the gradient by x is not used.
    last: list[Names] = [() if watched else ("x",) for watched in by_x]
    first = [tuple(n for n in own if n not in x) for own, x in zip(known, last, strict=True)]
    return [first] if tf.executing_eagerly() else [first, last]


def _forward(specs: Sequence[Spec], inputs: Sequence[Arrays]) -> list[dict[str, Any]]:
    def call(arrays: list[dict[str, Array]]) -> list[dict[str, Array]]:
        every, handed = [], []
        for spec, given in zip(specs, arrays, strict=True):
            made = {name: _empty(shape) for name, shape in _shapes(spec, given).items()}
            every.append(made)
            if given["x"].shape[1] > 0:
                handed.append((*spec.static(), given, made))
                continue
            # Nothing is done: the state before the first step is the last one.
            for name in spec.names.states:
                made[f"last_{name}"][:] = given.get(f"initial_{name}", 0.0)
        native.compute("forward", handed)
        return every

    expected = [_shapes(spec, given) for spec, given in zip(specs, inputs, strict=True)]
    return _out_of_the_graph(call, inputs, expected)


def _gradient(
    specs: Sequence[Spec],
    inputs: Sequence[Arrays],
    results: Sequence[Arrays],
    cotangents: Sequence[Arrays],
    wanted: Sequence[Names],
) -> list[dict[str, Any]]:
    given = [
        {
            **{f"input {name}": value for name, value in arrays.items()},
            **{f"record {name}": v for name, v in made.items() if not name.startswith("last_")},
            **{f"cotangent {name}": v for name, v in arriving.items() if not _is_zeros(v)},
        }
        for arrays, made, arriving in zip(inputs, results, cotangents, strict=True)
    ]

    def call(every: list[dict[str, Array]]) -> list[dict[str, Array]]:
        found, handed = [], []
        for spec, arrays, names in zip(specs, every, wanted, strict=True):
            parts: dict[str, dict[str, Array]] = {"input": {}, "record": {}, "cotangent": {}}
            for path, array in arrays.items():
                part, name = path.split(" ")
                parts[part][name] = array
            made = {name: _empty(parts["input"][name].shape) for name in names}
            found.append(made)
            if parts["input"]["x"].shape[1] > 0 and parts["cotangent"] and names:
                handed.append((*spec.static(), *parts.values(), made))
                continue
            for name, gradient in made.items():
                last = name.replace("initial_", "last_")
                gradient[:] = parts["cotangent"].get(last, 0.0)
        native.compute("gradient", handed)
        return found

    def once(*tensors: Any) -> tuple[list[Any], Callable[..., list[Any]]]:
        named = _dealt([tuple(own) for own in given], tensors)
        shapes = [
            {name: tuple(arrays[name].shape) for name in names}
            for arrays, names in zip(inputs, wanted, strict=True)
        ]
        made = [v for own in _out_of_the_graph(call, named, shapes) for v in own.values()]
        return made, lambda *seconds: _no_second(specs[0], tensors, seconds)

    found = tf.custom_gradient(once)(*(value for own in given for value in own.values()))
    return _dealt(wanted, found)


def _no_second(spec: Spec, tensors: Sequence[Any], cotangents: Sequence[Any]) -> list[Any]:
    """Give the gradient of a gradient where that is zero, and else refuse it.

    A tape around a whole training step asks for it, and brings zeros.
    """

    def call(arrays: list[dict[str, Array]]) -> list[dict[str, Array]]:
        if any(array.any() for array in arrays[0].values()):
            raise _refused(spec, "the native kernels have no gradient of their gradient")
        return [{"zero": np.zeros((), np.float32)}]

    given = {str(i): cotangent for i, cotangent in enumerate(cotangents)}
    zero = _out_of_the_graph(call, [given], [{"zero": ()}])[0]["zero"]
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
    call: Callable[[list[dict[str, Array]]], list[dict[str, Array]]],
    given: Sequence[Arrays],
    shapes: Sequence[Mapping[str, Shape]],
) -> list[dict[str, Any]]:
    """Call a function of NumPy arrays by name, for each of several runs, with tensors.

    Args:
        call: gives arrays with the names in `shapes`.
        given: tensors by name.
        shapes: of the results, as far as they are known.
    """
    names = [tuple(own) for own in given]

    def on_arrays(*arrays: Array) -> list[Array]:
        made = call(_dealt(names, arrays))
        return [own[name] for own, of in zip(made, shapes, strict=True) for name in of]

    known = [shape for own in shapes for shape in own.values()]
    tensors = [value for own in given for value in own.values()]
    found = tf.numpy_function(on_arrays, tensors, [tf.float32] * len(known), stateful=False)
    if tf.is_tensor(found):
        found = [found]  # as TensorFlow gives a single one
    for tensor, shape in zip(found, known, strict=True):
        tensor.set_shape(shape)
    return _dealt([tuple(own) for own in shapes], found)


def _shapes(spec: Spec, given: Arrays) -> dict[str, Shape]:
    """Give the shape of each result of a run, as far as those of its inputs are known."""
    (batch, time, _), units = given["x"].shape, given["recurrent_kernel"].shape[0]
    shapes = {"last": (batch, units), "states": (batch, time, units)}
    shapes["kept"] = (time, batch, spec.kept, units)
    return {name: shapes[name.split("_")[0]] for name in spec.results()}


def _empty(shape: tuple[Any, ...]) -> Array:
    count = int(np.prod(shape))
    memory = np.empty(4 * count + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + 4 * count].view(np.float32).reshape(shape)
