"""Masks: the one that travels with a tensor, what masks and lengths come to, what they do."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from seqstate.errors import message


class _MaskReader(keras.layers.Layer):
    """Gives the mask that travels with a tensor: Keras hands it to any layer that asks."""

    def __init__(self) -> None:
        super().__init__(name="mask_reader")
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        return mask


class _MaskWriter(keras.layers.Layer):
    """Gives the first of two tensors; the second one travels with it as its mask."""

    def __init__(self) -> None:
        super().__init__(name="mask_writer", autocast=False)
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any) -> Any:
        return inputs[0]

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return inputs[1]


_read_mask = _MaskReader()
_write_mask = _MaskWriter()


def travels_with(sequences: Any, mask: Any) -> Any:
    """Give a tensor with a mask, which layers, losses and metrics of Keras find there."""
    return sequences if mask is None else _write_mask([sequences, mask])


def travelling(sequences: Any, initial_state: Any, others_given: bool, where: str) -> Any:
    """Give the mask that came with the input tensor, for a call without `mask=`.

    Keras fills `mask` in by itself for a call with one tensor. With an initial state it does
    not: its own layers then drop the mask silently. The same numbers come out here for the
    same call, with a warning; a call that Keras does not have (an initial state by name,
    `reset_mask`, `lengths`) uses the mask.
    """
    if initial_state is None and not others_given:
        return None
    mask = _read_mask(sequences)
    if mask is None or others_given or isinstance(initial_state, Mapping):
        return mask
    warnings.warn(
        message(
            where,
            "the input carries a mask that is not used, because initial_state was given as "
            "a list (Keras's own layers drop it silently).",
            "Give the initial state by name, as a dict, or pass mask=... as well: then the mask "
            "is used.",
        ),
        stacklevel=2,
    )
    return None


def steps_that_count(sequences: Any, mask: Any, lengths: Any) -> Any:
    """Bring `mask` and `lengths` together as one `[batch, time]` bool mask, or None."""
    if mask is not None:
        mask = ops.cast(keras.tree.flatten(mask)[0], "bool")
        if len(mask.shape) == 3:
            mask = ops.any(mask, axis=-1)
    if lengths is not None:
        lengths = ops.cast(ops.convert_to_tensor(lengths), "int32")
        inside = ops.arange(ops.shape(sequences)[1], dtype="int32") < lengths[:, None]
        mask = inside if mask is None else ops.logical_and(mask, inside)
    return mask


def zero_where_skipped(value: Any, mask: Any) -> Any:
    """Put zeros where `mask`, which has the leading axes of `value`, is False."""
    for _ in range(len(value.shape) - len(mask.shape)):
        mask = ops.expand_dims(mask, -1)
    return ops.where(mask, value, ops.zeros_like(value))


def zero_steps_skipped(sequence: Any, mask: Any, go_backwards: bool) -> Any:
    """Put zeros into a sequence, in the order of its run, at the steps that are skipped.

    Args:
        sequence: `[batch, time, ...]`, in the order of the run.
        mask: `[batch, time]`, in the order of the input.
        go_backwards: whether the run started at the last time step.
    """
    return zero_where_skipped(sequence, ops.flip(mask, axis=1) if go_backwards else mask)


def resets_in_running_order(reset_mask: Any, go_backwards: bool) -> Any:
    """Give, for each step, whether the state is dropped before it in the order of the run.

    `reset_mask` marks the first step of each sequence in the order of the input. Run forwards,
    the state is dropped before that step; run backwards, before the step that precedes it, so
    that the cut lies between the same two steps.
    """
    if reset_mask is None:
        return None
    reset_mask = ops.cast(reset_mask, "bool")
    if not go_backwards:
        return reset_mask
    return ops.concatenate([reset_mask[:, 1:], ops.zeros_like(reset_mask[:, :1])], axis=1)
