"""Functions of tensors, compiled where the backend needs that to be fast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function of tensors: XLA on JAX, a graph on TensorFlow; torch runs it as it is.

    On torch nothing is kept for gradients.
    """
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return jax.jit(function)
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.function(function, autograph=False)
    if backend == "torch":
        import torch

        return torch.no_grad()(function)
    return function
