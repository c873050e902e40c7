"""`Resets`: the callback that resets the carried state where a sequence starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from seqstate.data.walk import other_length
from seqstate.errors import ArgumentError, message
from seqstate.layers import RNN
from seqstate.models.recurrent_layers import is_bidirectional, recurrent_layers
from seqstate.models.state import carried_variables, reset_state

if TYPE_CHECKING:
    from seqstate.data.chunks import Chunks

WHERE = "Resets"


class Resets(keras.callbacks.Callback):
    """Starts the rows of a stateful model anew where their sequence starts.

    Also checks that the model can be trained on chunks. Made by `Chunks.resets`.

    Args:
        data: the chunks that it acts on, while Keras walks them.

    Raises:
        ArgumentError: in `fit`, `evaluate` or `predict`: the model carries nothing, carries
            backwards in time, or the state of another number of rows; `steps_per_execution`
            above 1; `steps_per_epoch`; another run on the same chunks in the middle of an epoch;
            on JAX, a stateful layer of Keras's own.
    """

    def __init__(self, data: Chunks) -> None:
        super().__init__()
        self.data = data
        self._walked = False
        data.callbacks.add(self)
        data.walk.expect_callback()

    def on_train_begin(self, logs: Any = None) -> None:
        """Check the model."""
        self._start()

    def on_test_begin(self, logs: Any = None) -> None:
        """Check the model."""
        self._start()

    def on_predict_begin(self, logs: Any = None) -> None:
        """Check the model."""
        self._start()

    def on_train_end(self, logs: Any = None) -> None:
        """Leave the epoch, which may have been stopped halfway; Keras tells the chunks nothing."""
        self.data.walk.stop()

    def on_test_end(self, logs: Any = None) -> None:
        """Leave the epoch."""
        self.data.walk.stop()

    def on_predict_end(self, logs: Any = None) -> None:
        """Leave the epoch."""
        self.data.walk.stop()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Reset the rows that start anew."""
        on = self.data.walk.on
        if batch == 0:
            self._walked = on
            if on:
                self._check_steps()
        elif self._walked and not on:
            raise ArgumentError(
                message(
                    WHERE,
                    f"before batch {batch} of fit another run on the same chunks ended the epoch.",
                    "Evaluate and predict after an epoch, not after a batch.",
                )
            )
        self._reset(batch)

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Reset the rows that start anew."""
        self._reset(batch)

    def on_predict_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Reset the rows that start anew."""
        self._reset(batch)

    def _start(self) -> None:
        # An epoch may be left over from a run that ended in an error.
        self.data.walk.stop()
        check_model(self.model, self.data.rows)
        if self.data.has_targets:
            _check_outputs(self.model)

    def _reset(self, batch: int) -> None:
        if not self.data.walk.on:
            return
        self.data.walk.hear()
        rows = self.data.resets_before(batch)
        if not rows.any():
            return
        # On JAX, to ask for the model brings the values back into it: not for every batch.
        model = self.model
        if all(carried_variables(layer) for layer in stateful_layers(model)):
            reset_state(model, rows=rows)
        # Else the layers are built by this very batch, and start anew by themselves.

    def _check_steps(self) -> None:
        steps = (self.params or {}).get("steps")
        if steps != len(self.data):
            raise other_length(WHERE, f"an epoch has {steps} batches", len(self.data))


def stateful_layers(model: Any) -> list[Any]:
    """Give the layers of a model that carry a state."""
    return [layer for layer in recurrent_layers(model, WHERE).values() if layer.stateful]


def check_model(model: Any, rows: int) -> None:
    """Refuse a model that would not learn from chunks what it seems to."""
    if model.steps_per_execution != 1:
        raise ArgumentError(
            message(
                WHERE,
                f"steps_per_execution={model.steps_per_execution}; the state can be reset only "
                "between executions.",
                "Compile with steps_per_execution=1, or give the model the resets as an input: "
                "chunks(..., reset_input=True).",
            )
        )
    carrying = stateful_layers(model)
    if not carrying:
        raise ArgumentError(
            message(
                WHERE,
                f'the model "{model.name}" carries no state: no layer has stateful=True.',
                "Make its recurrent layers with stateful=True, or train on whole sequences.",
            )
        )
    for layer in carrying:
        _check_layer(layer, rows)
    _refuse_others(model, carrying)


def _check_outputs(model: Any) -> None:
    """Refuse outputs without a time axis: a loss would stretch them over all steps."""
    for output in getattr(model, "outputs", None) or []:
        if len(output.shape) < 3:
            raise ArgumentError(
                message(
                    f'"{model.name}"',
                    f"its output has shape {tuple(output.shape)}; the chunks have a target for "
                    "each step, [rows, steps, ...].",
                    "Make the last recurrent layer with return_sequences=True.",
                )
            )


def _check_layer(layer: Any, rows: int) -> None:
    where = f'{type(layer).__name__} "{layer.name}"'
    if is_bidirectional(layer) or layer.go_backwards:
        raise ArgumentError(
            message(
                where,
                "stateful=True in a layer that reads backwards: it would start each chunk from "
                "where it ended in the chunk before, which is earlier in time.",
                "Make it with stateful=False, so that it reads each chunk by itself; or read "
                "forwards.",
            )
        )
    if not isinstance(layer, RNN) and keras.backend.backend() == "jax":
        raise ArgumentError(
            message(
                where,
                "on JAX, Keras's own layers carry nothing in fit, evaluate and predict.",
                "Use the layer of seqstate.layers: it takes the same arguments; or "
                "seqstate.accelerate(model), which keeps the weights.",
            )
        )
    variables = carried_variables(layer)
    carried = next(iter(variables.values())).shape[0] if variables else rows
    if carried != rows:
        raise ArgumentError(
            message(
                where,
                f"the layer carries the state of {carried} rows, the chunks have {rows}.",
                f"Pass chunks(..., rows={carried}), or make the model with batch_shape=({rows}, "
                "...).",
            )
        )


def _refuse_others(model: Any, carrying: list[Any]) -> None:
    """Refuse layers that carry a state which can't be reset row by row."""
    known = {id(inner) for layer in carrying for inner in layer._flatten_layers()}
    for layer in model._flatten_layers():
        if getattr(layer, "stateful", False) and id(layer) not in known:
            raise ArgumentError(
                message(
                    f'{type(layer).__name__} "{layer.name}"',
                    "stateful=True, and its state can't be reset row by row.",
                    "Make it with stateful=False.",
                )
            )
