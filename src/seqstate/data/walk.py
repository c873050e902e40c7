"""`Walk`: where Keras is in chunks, and whether the callback hears of it.

In `fit`, `evaluate` and `predict` Keras tells a dataset when an epoch begins and ends, and in
between asks once for each batch: one after the other, but `fit` in a drawn order. So what counts
is how often it asked, not for which. On TensorFlow it asks ahead of time, on another thread. To
build a model, Keras begins an epoch, asks for a batch or two, and ends it; there the callbacks
are not told.
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
        needs_callback: whether a callback has to hear of the batches.
    """

    def __init__(self, where: str, length: int, needs_callback: bool) -> None:
        self.where = where
        self.length = length
        self.needs_callback = needs_callback
        self.on = False
        self._left: set[int] = set()
        self._counted = False
        self._heard = False
        self._unheard_epochs = 0

    def count(self) -> None:
        """The number of batches is asked for: a run may begin, and whatever was on be broken off.

        A run of Keras does this before all else, and in the middle of an epoch does not.
        """
        self._counted = True

    def begin(self) -> None:
        """An epoch begins.

        Raises:
            ArgumentError: it goes on in the middle, where the one before was cut short.
        """
        if 0 < len(self._left) < self.length and not self._counted:
            raise other_length(self.where, "an epoch ended early", self.length)
        self.on, self._heard = True, False
        self._left = set(range(self.length))

    def stop(self) -> None:
        """Whatever epoch there was is over."""
        self.on = False

    def ask(self, index: int) -> int:
        """A batch is asked for.

        Returns:
            The one to give: in an epoch the next in the order of time, else the one asked for.

        Raises:
            ArgumentError: this epoch had it already, or has none of that number; the callback
                hears nothing.
        """
        known = index in self._left
        # On TensorFlow a new run looks at two batches before it ends what was broken off.
        if not self.on or (self._counted and not known):
            return index
        if not known:
            raise ArgumentError(
                message(
                    self.where,
                    f"batch {index} was asked for, but an epoch asks once for each of its "
                    f"{self.length} batches.",
                    f"To look at a batch: data.batch({index}). For fit leave steps_per_epoch out.",
                )
            )
        place = self.length - len(self._left)
        self._left.remove(index)
        if place == 0:
            self._counted = False
        ahead = keras.backend.backend() == "tensorflow"
        if place >= _PEEKED and not ahead:
            self._check_heard()
        return place

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
        whole = self.on and not self._left
        self.on = False
        if not whole or self._heard:
            return
        self._unheard_epochs += 1
        # So few batches may have been asked for to build the model; but not twice in a row.
        if self.length > _PEEKED or self._unheard_epochs > 1:
            self._check_heard()

    def _check_heard(self) -> None:
        if self.needs_callback and not self._heard:
            # The run ends here; what Keras tidies up afterwards is no epoch.
            self.on = False
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


def other_length(where: str, what: str, length: int) -> ArgumentError:
    """Make the error for an epoch that does not go through all batches."""
    return ArgumentError(
        message(
            where,
            f"{what}; expected all {length} chunks, or the next epoch would go on in the middle.",
            "Leave steps_per_epoch out; for a shorter epoch make chunks of fewer series.",
        )
    )
