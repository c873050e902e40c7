"""The time loop on TensorFlow.

Keras's `ops.scan` lets a step emit only what has the shape of the carry, fails for several
inputs where the number of steps is not known, and sets no bound that XLA could use to train.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Body = Callable[[list[Any], list[Any]], list[Any]]


def scan(
    body: Body, first: list[Any], xs: list[Any], *, reverse: bool, keep: bool
) -> tuple[list[Any], list[Any]]:
    """Run `body` over the leading axis of `xs`.

    Args:
        body: gives the carry after a step, from the carry before it and the slices of `xs`.
        first: the carry before the first step.
        xs: tensors `[time, ...]`.
        reverse: start at the last step.
        keep: whether the carry after each step is wanted.

    Returns:
        The last carry, and each carry stacked over time in the order of `xs` (empty without
        `keep`).
    """
    import tensorflow as tf

    static = xs[0].shape[0]
    steps = tf.shape(xs[0])[0] if static is None else static
    slices = [tf.TensorArray(x.dtype, steps, element_shape=x.shape[1:]).unstack(x) for x in xs]
    made = [tf.TensorArray(v.dtype, steps, element_shape=v.shape) for v in first if keep]

    def step(i: Any, carry: list[Any], made: list[Any]) -> tuple[Any, list[Any], list[Any]]:
        t = steps - 1 - i if reverse else i
        after = body(carry, [array.read(t) for array in slices])
        after = [tf.ensure_shape(v, f.shape) for v, f in zip(after, first, strict=True)]
        made = [array.write(t, v) for array, v in zip(made, after, strict=False)]
        return i + 1, after, made

    _, last, made = tf.while_loop(
        lambda i, *_: i < steps, step, (tf.constant(0), first, made), maximum_iterations=steps
    )
    stacked = [array.stack() for array in made]
    for value in stacked:
        value.set_shape([static, *value.shape[1:]])
    return last, stacked
