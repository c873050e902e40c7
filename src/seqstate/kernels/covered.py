"""Which runs the native kernels cover, and for the others the reason why not.

Three things are asked, from what never changes to what each call brings: whether the kernels are
there (`here`), whether they know the cell (`cell`), whether they can take its input (`tensor`).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import keras

from seqstate.cells import KINDS
from seqstate.kernels import frameworks
from seqstate.kernels.problem import Problem

ACTIVATIONS = {
    "tanh": keras.activations.tanh,
    "sigmoid": keras.activations.sigmoid,
    "relu": keras.activations.relu,
    "hard_sigmoid": keras.activations.hard_sigmoid,
    "linear": keras.activations.linear,
}


@dataclass(frozen=True)
class Reason:
    """Why the native kernels don't cover a run.

    Attributes:
        why: half a sentence.
        todo: what to do to have it covered.
    """

    why: str
    todo: str


def why_not(problem: Problem) -> Reason | None:
    """Tell why the native kernels don't cover a run; None if they do."""
    return why_not_here() or why_not_cell(problem.steps) or why_not_tensor(problem.sequences)


def why_not_here() -> Reason | None:
    """Tell why there are no native kernels in this process; None if there are."""
    found = frameworks.why_not()
    return None if found is None else Reason(*found)


def why_not_cell(steps: Any) -> Reason | None:
    """Tell why the native kernels don't know a cell; None if they do.

    Args:
        steps: the cell, as `seqstate.layers.steps.Steps` describes it.
    """
    if hasattr(steps, "inner"):
        for name, inner in steps.inner.items():
            reason = why_not_cell(inner)
            if reason is not None:
                return Reason(f"{name}: {reason.why}", reason.todo)
        return None
    cell = steps.cell
    if not hasattr(steps, "rewritten") or cell.kind not in KINDS.values():
        name = type(cell).__name__
        ours = ", ".join(f"seqstate.layers.{kind}Cell" for kind in KINDS)
        if type(cell).__module__.startswith("seqstate.layers."):
            return Reason(f"there is no native kernel for {name}", f"Those that have one: {ours}.")
        return Reason(f"{name} is not one of seqstate's cells", f"Use {ours}.")
    rewritten = steps.rewritten()
    if rewritten is not None:
        return Reason(
            f"{type(cell).__name__} has {rewritten} of its own",
            "Leave the methods of the cell as they are.",
        )
    if steps.dtype != "float32":
        return Reason(
            f"it computes in {steps.dtype}", 'Make the layer with dtype="float32"; weights too.'
        )
    for argument in ("activation", "recurrent_activation"):
        function = getattr(cell, argument, None)
        if function is not None and activation_name(function) is None:
            return Reason(
                f"{argument} is {_shown(function)}",
                f"Those of keras.activations that are covered: {', '.join(ACTIVATIONS)}.",
            )
    return None


def activation_name(function: Any) -> str | None:
    """Give the name of one of Keras's activations; None for any other function."""
    return next((name for name, known in ACTIVATIONS.items() if known is function), None)


def _shown(function: Any) -> str:
    name = getattr(function, "__name__", type(function).__name__)
    # Somebody's own function may be called tanh, too.
    return f"{function.__module__}.{name}" if name in ACTIVATIONS else name


def why_not_tensor(sequences: Any) -> Reason | None:
    """Tell why the native kernels can't take an input `[batch, time, features]`, here and now."""
    if not all(size is None or (isinstance(size, int) and size > 0) for size in sequences.shape):
        return Reason(
            f"the input has shape {tuple(sequences.shape)}", "Pass sizes that are known and not 0."
        )
    backend = keras.backend.backend()
    if backend == "torch":
        return _why_not_torch(sequences)
    if backend == "tensorflow":
        return _why_not_tensorflow(sequences)
    return _why_not_jax(sequences)


def _why_not_torch(sequences: Any) -> Reason | None:
    import torch

    # Keras finds out shapes on the device "meta".
    if sequences.device.type not in ("cpu", "meta"):
        return _elsewhere(sequences.device.type)
    jit: Any = torch.jit
    if jit.is_tracing() or torch.compiler.is_exporting():
        return _EXPORTED
    if torch.autograd.forward_ad._current_level >= 0:
        return Reason("torch runs in forward mode", "Use gradients in reverse mode.")
    if not torch.compiler.is_compiling() and torch._C._are_functorch_transforms_active():
        return Reason("it runs inside a transform of torch.func", "Use torch.autograd.")
    return None


def _why_not_tensorflow(sequences: Any) -> Reason | None:
    import tensorflow as tf
    from tensorflow.python.eager import forwardprop_util
    from tensorflow.python.ops import control_flow_util

    if tf.executing_eagerly():
        if forwardprop_util.pack_tangents([sequences]).tangents:
            return Reason("TensorFlow runs in forward mode", "Use a tf.GradientTape.")
        return None
    if control_flow_util.GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph()):
        return Reason(
            "XLA compiles the TensorFlow function around it",
            'Compile the model with jit_compile=False (or "auto").',
        )
    return _EXPORTED if _called_from(_EXPORTS) else None


def _why_not_jax(sequences: Any) -> Reason | None:
    import jax

    if isinstance(sequences, jax.core.Tracer):
        return _EXPORTED if _called_from(_EXPORTS) else None
    platforms = {device.platform for device in sequences.devices()}
    return None if platforms == {"cpu"} else _elsewhere(*platforms)


def _elsewhere(*devices: str) -> Reason:
    return Reason(
        f"the input is on the device {', '.join(sorted(devices))}",
        "The native kernels run on a CPU.",
    )


_EXPORTED = Reason(
    "the run is traced for an export, and the file must open without seqstate",
    "The portable path is what belongs into the file.",
)
# No framework tells a function that it is traced for an export.
_EXPORTS = (
    "keras.src.export",
    "keras.src.backend.jax.export",
    "keras.src.backend.tensorflow.export",
    "jax._src.export",
    "jax.experimental.jax2tf",
    "tensorflow.python.saved_model",
)


def _called_from(modules: tuple[str, ...]) -> bool:
    """Tell whether a function of one of these modules, or of one inside them, is being run."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name.startswith(modules) and any(name == m or name.startswith(f"{m}.") for m in modules):
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False
