"""What is refused of the arguments that `RNN` is made with, some of it once the input is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seqstate import state as states
from seqstate.errors import ArgumentError, message
from seqstate.layers.steps import Steps


def check_start(where: str, stateful: bool, learn_initial_state: bool) -> None:
    """Refuse a carried state that would start from a learned one.

    Raises:
        ArgumentError: both are asked for.
    """
    if stateful and learn_initial_state:
        raise ArgumentError(
            message(
                where,
                "stateful=True and learn_initial_state=True exclude each other: a carried "
                "state would start from the learned one only once, without a gradient.",
                "Train with learn_initial_state=True and hand the state on yourself, with "
                "returns and initial_state; or carry the state and start from zeros.",
            )
        )


def check_has_gates(where: str, steps: Steps, cell: Any) -> None:
    """Refuse to return gates by name where there are none.

    Raises:
        ArgumentError: the cell has no gates.
    """
    if not states.flatten(steps.gates):
        raise ArgumentError(
            message(
                where,
                f'returns asks for "gates"; {type(cell).__name__} has none.',
                "Leave it out. A cell of your own says its gates with `gate_sizes`; see RNN.",
            )
        )


def static_batch(where: str, shape: Sequence[int | None]) -> int:
    """Give the number of rows whose state is carried, or refuse one that is not known.

    Raises:
        ArgumentError: the batch size is not static.
    """
    batch = shape[0]
    if batch is None:
        raise ArgumentError(
            message(
                where,
                f"stateful=True needs a static batch size; the input has shape {tuple(shape)}.",
                "Start the model with keras.Input(batch_shape=(32, "
                f"{', '.join(map(str, shape[1:]))})), and use the same batch size "
                "in fit, evaluate and predict.",
            )
        )
    return batch


def check_static_time(where: str, shape: tuple[int | None, ...]) -> None:
    """Refuse to write a loop out whose number of steps is not known.

    Raises:
        ArgumentError: the number of time steps is not static.
    """
    if shape[1] is None:
        raise ArgumentError(
            message(
                where,
                f"unroll=True needs a static number of time steps; the input has shape {shape}.",
                "Give it in keras.Input((time, features)), or leave unroll out.",
            )
        )
