"""Running a model beside itself: what the run would change in it is kept apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from seqstate import state as states
from seqstate.layers.carried import check_at_hand
from seqstate.models.compiled import compiled
from seqstate.models.recurrent_layers import time_distributed
from seqstate.models.state import carried_variables
from seqstate.models.watching import cells_of, watching

Key = tuple[str, int | None, int, str]
Found = dict[Key, np.ndarray]
"""What was seen in one batch: by layer, number of the `TimeDistributed` call that the run was a
part of (or None), number of the run, and path such as `states/h`."""


class RunApart:
    """Runs a model batch by batch in inference, watching some of its layers.

    What the model would change in itself (carried states, seeds, counters) goes on from batch to
    batch and is dropped in the end.

    Args:
        model: a built Keras model.
        every: all of its recurrent layers.
        watched: those to watch, by name.
        what: what to take of each run.
        where: who runs it, for messages.
    """

    def __init__(
        self,
        model: Any,
        every: Mapping[str, Any],
        watched: Mapping[str, Any],
        what: tuple[str, ...],
        where: str,
    ) -> None:
        carried = [v for layer in every.values() for v in carried_variables(layer).values()]
        self._variables = list({id(v): v for v in (*model.variables, *carried)}.values())
        self._moving = [i for i, v in enumerate(self._variables) if not v.trainable]
        self._values: list[Any] = []
        self._where = where
        self._model, self._watched, self._what = model, watched, what
        self._cells = cells_of(watched.values())
        self._repeaters = time_distributed(model)
        self._keys: list[Key] = []
        self._outputs: Any = None
        self._run = compiled(self._traced)

    def begin(self) -> None:
        """Start from what the model holds now.

        Raises:
            NoStateError: in an epoch on JAX, where Keras keeps the values to itself.
        """
        check_at_hand(self._variables, self._where, "run the model")
        self._values = [v.value for v in self._variables]

    def __call__(self, batch: Any) -> tuple[Any, Found]:
        """Run one batch, going on from the batch before it.

        Args:
            batch: NumPy arrays, as the model takes them.

        Returns:
            The outputs as the model gives them, and what was seen, as NumPy arrays.
        """
        tensors = keras.tree.map_structure(ops.convert_to_tensor, batch)
        outputs, seen, moved = self._run(self._values, tensors)
        for i, value in zip(self._moving, moved, strict=True):
            self._values[i] = value
        flat = [np.asarray(ops.convert_to_numpy(value)) for value in outputs]
        found = zip(self._keys, map(ops.convert_to_numpy, seen), strict=True)
        return keras.tree.pack_sequence_as(self._outputs, flat), dict(found)

    def _traced(self, values: list[Any], batch: Any) -> tuple[list[Any], list[Any], list[Any]]:
        """Run the model on tensors; flat lists, because JAX sorts the names of a dict."""
        mapping = list(zip(self._variables, values, strict=True))
        with (
            keras.StatelessScope(state_mapping=mapping) as scope,
            watching(self._watched, self._what, self._cells, self._repeaters) as seen,
        ):
            outputs = self._model(batch, training=False)
            flat = {
                (name, call, number, path): _full(value)
                for name, runs in seen.runs.items()
                for number, (call, run) in enumerate(runs)
                for path, value in states.leaves(run)
            }
        moved = [scope.get_current_value(self._variables[i]) for i in self._moving]
        self._keys = list(flat)
        self._outputs = keras.tree.map_structure(lambda _: None, outputs)
        return [_full(value) for value in keras.tree.flatten(outputs)], list(flat.values()), moved


def _full(value: Any) -> Any:
    """Give half precision as float32, which NumPy's files know."""
    half = keras.backend.standardize_dtype(value.dtype) in ("bfloat16", "float16")
    return ops.cast(value, "float32") if half else value
