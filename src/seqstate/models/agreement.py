"""Whether a run that was repeated gave what the layer itself gave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from seqstate import state as states
from seqstate.errors import SeqstateError, message
from seqstate.kernels.problem import Results
from seqstate.layers.directions import MERGES

# How far a layer of Keras and its run repeated may lie apart, relative to values above one.
_AGREEMENT = {"float64": 1e-4, "float32": 1e-3, "bfloat16": 0.1, "float16": 0.02}


def check_agreement(layer: Any, name: str, difference: float, where: str) -> None:
    """Refuse to show states for a layer that does something else than its base class."""
    if difference <= _AGREEMENT.get(layer.compute_dtype, 1e-3):
        return
    raise SeqstateError(
        message(
            where,
            f'"{name}" ({type(layer).__name__}) gave something else than its cell does from the '
            f"same input with the same weights (by {difference:.2g}), so its states can't be told. "
            "It is a class of its own, or its cell is random or changes by itself.",
            "Leave it out with layers=[...], or write it with seqstate.layers, which show the run "
            "itself: RNN(cell).",
        )
    )


def disagreement(layer: Any, result: Any, results: Results, mask: Any) -> Any:
    """Give the largest difference between what the layer returned and the run repeated.

    Relative to one where the values are larger than that. Steps that the mask skips don't count:
    there the backends of Keras put different things.
    """
    given = result[0] if layer.return_state and isinstance(result, tuple) else result
    made = results.sequence if layer.return_sequences else results.output
    if tuple(getattr(given, "shape", ())) != tuple(made.shape):
        return ops.convert_to_tensor(float("inf"))
    given, made = ops.cast(given, "float32"), ops.cast(made, "float32")
    difference = ops.abs(given - made) / (1.0 + ops.abs(made))
    both_undefined = ops.logical_and(ops.isnan(given), ops.isnan(made))
    counts = ops.logical_not(both_undefined)
    if mask is not None:
        rows = ops.any(mask, axis=1)
        if layer.return_sequences:
            rows = ops.flip(mask, axis=1) if layer.go_backwards else mask
        elif layer.zero_output_for_mask:
            rows = mask[:, 0 if layer.go_backwards else -1]
        for _ in range(len(difference.shape) - len(rows.shape)):
            rows = ops.expand_dims(rows, -1)
        counts = ops.logical_and(counts, rows)
    return ops.max(ops.where(counts, difference, ops.zeros_like(difference)))


def disagreement_of_both(layer: Any, result: Any, run: Mapping[str, Any]) -> Any:
    """Give the largest difference between what a `Bidirectional` returned and what was merged."""
    if layer.return_sequences:
        made = run["sequence"]
    else:
        last = [next(leaf for _, leaf in states.leaves(run["state"][d])) for d in run["state"]]
        made = MERGES[layer.merge_mode](*last)
    wanted = [ops.cast(one, "float32") for one in keras.tree.flatten(made)]
    given = keras.tree.flatten(result)[: len(wanted)]
    if [tuple(one.shape) for one in given] != [tuple(one.shape) for one in wanted]:
        return ops.convert_to_tensor(float("inf"))
    apart = [
        ops.max(ops.abs(ops.cast(a, "float32") - b) / (1.0 + ops.abs(b)))
        for a, b in zip(given, wanted, strict=True)
    ]
    return ops.max(ops.stack(apart))
