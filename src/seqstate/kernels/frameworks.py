"""The native kernels as the chosen backend of Keras calls them: one thin module a framework."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from seqstate.kernels import native
from seqstate.kernels.call import Spec

MODULES = {
    "jax": "seqstate.kernels.jax",
    "torch": "seqstate.kernels.torch",
    "tensorflow": "seqstate.kernels.tensorflow_native",
}


def run(spec: Spec, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Run a call; see `seqstate.kernels.call` for what goes in and what comes out."""
    made: dict[str, Any] = _module().run(spec, inputs)
    return made


def run_all(calls: Sequence[tuple[Spec, Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Make several calls, none of which reads what another one makes.

    As one call of the kernels where the backend has a way to make one.
    """
    together = getattr(_module(), "run_all", None)
    if together is None or len(calls) == 1:
        return [run(spec, inputs) for spec, inputs in calls]
    made: list[dict[str, Any]] = together(calls)
    return made


def why_not() -> tuple[str, str] | None:
    """Tell why the backend has no native kernels here, and what to do; None if it has."""
    backend = keras.backend.backend()
    if backend not in _FOUND:
        _FOUND[backend] = _look(backend)
    return _FOUND[backend]


# By backend. A dict, because a compiler that looks into this, as torch's does, sees through it.
_FOUND: dict[str, tuple[str, str] | None] = {}


def _look(backend: str) -> tuple[str, str] | None:
    if backend not in MODULES:
        return f"the backend of Keras is {backend}", f"Use one of {', '.join(MODULES)}."
    if not native.usable():
        return native.reason() or "", native.REPAIR
    module = _module()
    if backend == "jax":
        import jax

        device = jax.default_backend()
        if device != "cpu":
            return f"JAX computes on a {device}", f"{_ON_CPU}: set JAX_PLATFORMS=cpu."
        problem = module.why_not()
        return None if problem is None else (problem, "Install another jaxlib.")
    if backend == "tensorflow":
        import tensorflow as tf

        if tf.config.list_logical_devices("GPU"):
            hide = 'tf.config.set_visible_devices([], "GPU")'
            return "TensorFlow computes on a GPU", f"{_ON_CPU}: {hide}, before anything runs."
    return None


_ON_CPU = "The native kernels run on a CPU"


def _module() -> Any:
    return importlib.import_module(MODULES[keras.backend.backend()])
