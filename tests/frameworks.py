"""What the tests need of each backend: arrays out, and gradients of any function of tensors."""

import keras
import numpy as np
from keras import ops

BACKEND = keras.backend.backend()


def array(tensor):
    """Give a tensor as a NumPy array."""
    return np.asarray(ops.convert_to_numpy(tensor))


def arrays(nested):
    """Give a nested result as a flat list of NumPy arrays."""
    return [array(tensor) for tensor in keras.tree.flatten(nested)]


def compiled(function):
    """Compile a function on JAX, which otherwise compiles its loop anew at each eager call."""
    if BACKEND == "jax":
        import jax

        return jax.jit(function)
    return function


def values_and_gradients(layer, function, tensors):
    """Give what a function of tensors gives, and the gradients of its `weighted_sum`.

    Args:
        layer: a built layer; the sum is differentiated by its trainable weights.
        function: takes the list of tensors, calls the layer, gives a nested result.
        tensors: NumPy arrays to differentiate by as well.

    Returns:
        The results, flat, and the gradients by the weights and then by the tensors.
    """
    values = [v.value for v in layer.trainable_variables]
    if BACKEND == "jax":
        found, results = _with_jax(layer, function, values, tensors)
    elif BACKEND == "torch":
        found, results = _with_torch(function, values, tensors)
    else:
        found, results = _with_tensorflow(function, values, tensors)
    return arrays(results), [array(g) for g in found]


def _with_jax(layer, function, values, tensors):
    import jax

    def scalar(numbers):
        own = layer.trainable_variables
        mapping = list(zip(own, numbers[: len(own)], strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            results = function(numbers[len(own) :])
            return weighted_sum(results), results

    inputs = [ops.convert_to_tensor(t) for t in tensors]
    return jax.jit(jax.grad(scalar, has_aux=True))([*values, *inputs])


def _with_torch(function, values, tensors):
    import torch

    inputs = [*values, *(torch.tensor(t, requires_grad=True) for t in tensors)]
    results = function(inputs[len(values) :])
    found = torch.autograd.grad(weighted_sum(results), inputs, allow_unused=True)
    zeros = [torch.zeros(tuple(v.shape)) for v in inputs]
    return [z if g is None else g for g, z in zip(found, zeros, strict=True)], results


def _with_tensorflow(function, values, tensors):
    import tensorflow as tf

    inputs = [tf.constant(t) for t in tensors]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        results = function(inputs)
        total = weighted_sum(results)
    found = tape.gradient(total, [*values, *inputs], unconnected_gradients="zero")
    return [tf.convert_to_tensor(g) for g in found], results


def weighted_sum(results):
    """Give one number that depends on every element of every result, each in its own way."""
    total = 0.0
    for i, tensor in enumerate(keras.tree.flatten(results)):
        weight = np.random.default_rng(i).normal(size=tuple(tensor.shape))
        total = total + ops.sum(
            ops.cast(tensor, "float32") * ops.convert_to_tensor(weight, "float32")
        )
    return total
