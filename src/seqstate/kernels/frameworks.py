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


# What to do where JAX can't call the kernels.
OTHER_JAXLIB = "Install jaxlib 0.6 or later, and where it was there, seqstate once more."


def run_all(calls: Sequence[tuple[Spec, Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Make several calls, none of which reads what another one makes.

    As one call of the kernels where that can be; see `seqstate.kernels.call` for what goes in and
    what comes out.
    """
    made: list[dict[str, Any]] = _module().run_all(calls)
    return made


def why_not() -> tuple[str, str] | None:
    """Tell why the backend has no native kernels here, and what to do; None if it has."""
    backend = keras.backend.backend()
    if backend not in _FOUND:
        _FOUND[backend] = _look(backend)
    return _FOUND[backend]


def is_compiling() -> bool:
    """Tell whether torch's compiler is tracing what runs; other backends are not asked."""
    if keras.backend.backend() != "torch":
        return False
    import torch

    return torch.compiler.is_compiling()


# By backend. Dicts, because a compiler that looks into this, as torch's does, sees through them.
_FOUND: dict[str, tuple[str, str] | None] = {}
_MODULES: dict[str, Any] = {}


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
        return None if problem is None else (problem, OTHER_JAXLIB)
    if backend == "tensorflow":
        import tensorflow as tf

        if tf.config.list_logical_devices("GPU"):
            hide = 'tf.config.set_visible_devices([], "GPU")'
            return "TensorFlow computes on a GPU", f"{_ON_CPU}: {hide}, before anything runs."
    return None


_ON_CPU = "The native kernels run on a CPU"


def _module() -> Any:
    backend = keras.backend.backend()
    if backend not in _MODULES:
        _MODULES[backend] = importlib.import_module(MODULES[backend])
    return _MODULES[backend]
