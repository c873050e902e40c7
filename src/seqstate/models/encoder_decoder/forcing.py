"""Teacher forcing: how often a step reads the truth while the model learns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from seqstate.errors import ArgumentError, message


class Forcing(keras.callbacks.Callback):
    """Sets the ratio of a model at the start of each epoch.

    Args:
        given: a ratio from 0 (each step reads what the step before said) to 1 (each reads the
            truth); `(first, last)`, from epoch to epoch in even steps; or a function of the
            epoch, from 0.
        epochs: how many there are.
        where: who asks, for messages.

    Attributes:
        always: whether every step reads the truth, in all epochs.

    Raises:
        ArgumentError: not one of these.

    References:
        Bengio et al., Scheduled sampling for sequence prediction with recurrent neural networks,
        arXiv 1506.03099.
    """

    def __init__(self, given: Any, epochs: int, where: str) -> None:
        super().__init__()
        self._where, self._given = where, given
        self._ratio = self._function(given, epochs)
        self.always = not callable(given) and self._ratio(0) == self._ratio(epochs - 1) == 1.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Set the ratio of the epoch."""
        self.model.teacher_forcing.assign(self._checked(self._ratio(epoch)))

    def _function(self, given: Any, epochs: int) -> Callable[[int], float]:
        if callable(given):
            return given
        ends = given if isinstance(given, tuple | list) else (given, given)
        if len(ends) != 2:
            raise self._wrong(given)
        first, last = (self._checked(one) for one in ends)
        return lambda epoch: first + (last - first) * (epoch / max(epochs - 1, 1))

    def _checked(self, ratio: Any) -> float:
        try:
            value = float(ratio)
        except (TypeError, ValueError):
            raise self._wrong(ratio) from None
        if not 0.0 <= value <= 1.0:
            raise self._wrong(ratio)
        return value

    def _wrong(self, ratio: Any) -> ArgumentError:
        what = "" if ratio is self._given else f" gave {ratio!r}"
        return ArgumentError(
            message(
                self._where,
                f"teacher_forcing={self._given!r}{what}; expected a ratio from 0 to 1.",
                "Pass a number, (first, last), or a function of the epoch.",
            )
        )
