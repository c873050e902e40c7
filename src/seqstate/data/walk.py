"""`Walk`: what Keras is heard to do with chunks, so that no epoch goes wrong unseen.

In `fit`, `evaluate` and `predict` Keras tells a dataset when an epoch begins and ends, and asks
for the batches. A callback is told of each batch before the model runs it. On TensorFlow the
batches are asked for ahead of time, on another thread. To build a model, Keras begins an epoch,
asks for a batch or two, and ends it; there the callbacks are not told.
"""

from __future__ import annotations

import keras

from seqstate.errors import ArgumentError, message

# More than Keras asks for to build a model.
_PEEKED = 2


class Walk:
    """The epoch that Keras is in, if any.

    Args:
        where: whose batches these are, for messages.
        length: the number of batches.
        needs_callback: whether a callback has to hear of each batch.
    """

    def __init__(self, where: str, length: int, needs_callback: bool) -> None:
        self.where = where
        self.length = length
        self.needs_callback = needs_callback
        self.on = False
        self._last = -1
        self._heard = False
        self._unheard_epochs = 0

    def begin(self) -> None:
        """An epoch begins."""
        self.on, self._last, self._heard = True, -1, False

    def stop(self) -> None:
        """Whatever epoch there was is over."""
        self.on = False

    def ask(self, index: int) -> None:
        """A batch is asked for; outside an epoch any may be.

        Raises:
            ArgumentError: it is neither the first nor the next; the callback hears nothing.
        """
        if not self.on:
            return
        if index not in (0, self._last + 1):
            raise ArgumentError(
                message(
                    self.where,
                    f"batch {index} was asked for after batch {self._last}; the state can be "
                    "carried only in the order of time."
                    if self._last >= 0
                    else f"batch {index} was asked for first; an epoch starts at batch 0.",
                    "Pass shuffle=False to fit (it shuffles by default), and no steps_per_epoch. "
                    f"To look at a batch after a run was interrupted: data.batch({index}).",
                )
            )
        self._last = index
        ahead = keras.backend.backend() == "tensorflow"
        if index >= _PEEKED and not ahead:
            self._check_heard()

    def hear(self) -> None:
        """The callback hears of a batch."""
        self._heard = True
        self._unheard_epochs = 0

    def expect_callback(self) -> None:
        """A new callback was made; what came before does not count."""
        self._unheard_epochs = 0

    def end(self) -> None:
        """An epoch ends.

        Raises:
            ArgumentError: the callback heard nothing of it.
        """
        whole = self.on and self._last == self.length - 1
        self.on = False
        if not whole or self._heard:
            return
        self._unheard_epochs += 1
        # So few batches may have been asked for to build the model; but not twice in a row.
        if self.length > _PEEKED or self._unheard_epochs > 1:
            self._check_heard()

    def _check_heard(self) -> None:
        if self.needs_callback and not self._heard:
            raise no_callback(self.where)


def no_callback(where: str) -> ArgumentError:
    """Make the error for a run in which nothing resets the state."""
    return ArgumentError(
        message(
            where,
            "nothing resets the state where a sequence starts: the callback is missing.",
            "Pass callbacks=[data.resets()] to fit, evaluate or predict, where data is what "
            "chunks gave; chunks as validation_data need theirs in the same list.",
        )
    )
