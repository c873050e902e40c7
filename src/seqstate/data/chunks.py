"""`chunks`: long sequences in contiguous pieces, for truncated back-propagation through time."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from seqstate.arguments import whole_number
from seqstate.data.layout import IDLE, Layout, pack
from seqstate.data.series import batch_type, several_series
from seqstate.data.walk import Walk, no_callback
from seqstate.errors import ArgumentError, DataError, InputError, message

if TYPE_CHECKING:
    from seqstate.data.resets import Resets

WHERE = "chunks"


def chunks(
    series: Any,
    targets: Any = None,
    *,
    steps: int,
    rows: int | None = None,
    horizon: int | None = None,
    pad_value: float = 0.0,
    reset_input: bool = False,
) -> Chunks:
    """Walk long sequences in chunks of `steps`, for a stateful model in `fit`.

    The model learns from `steps` steps at a time (truncated back-propagation through time), and
    its state goes on from chunk to chunk. Each row of the batch holds one sequence until its
    end; then the next sequence takes the row, and the state of that row starts anew.

    Pass the callback that resets the state:

        model.fit(data, epochs=3, callbacks=[data.resets()])

    Whether `fit` shuffles makes no difference: it is given the chunks in the order of time.
    Nothing of the series is copied but the batch at hand.

    Args:
        series: one series, `[time, features]` or `[time]`; a list of them, which may differ in
            length; or an array `[series, time, features]`. `[time]` of floats is one feature;
            `[time]` of whole numbers are ids, for an `Embedding`, and come as `[rows, steps]`.
        targets: what the model has to say at each step, in the same form. None: see `horizon`.
        steps: time steps of a chunk.
        rows: sequences that are walked at the same time: the batch size of the model. By default
            as many as there are series.
        horizon: take as target what stands this many steps later: in `targets` if they are
            given, else in the series itself. The last `horizon` steps then have no target and
            are left out.
        pad_value: what stands where a sequence ends within a chunk, and in rows that have run
            out of sequences. The weight of these steps is 0.
        reset_input: give the model the resets as a second input, `[rows, steps]` bool, to be
            passed on as `reset_mask` of the layers: `keras.Model([series, resets], y)`. Then no
            callback is needed.

    Returns:
        A `keras.utils.PyDataset` of batches `(x, y, weight)`: `[rows, steps, features]`,
        `[rows, steps, targets]` and `[rows, steps]`; `(x,)` without targets and horizon.

    Raises:
        ArgumentError: `steps`, `rows` or `horizon` is not a whole number above zero.
        DataError: series that can't be read, hold NaN, differ in their features or are too
            short; targets that don't fit the series.

    Example:
        >>> import numpy as np
        >>> data = chunks([np.arange(5.0), 10 + np.arange(3.0)], steps=2, horizon=1)
        >>> len(data), data.lengths
        (2, [4, 2])
        >>> x, y, weight = data[1]
        >>> x[..., 0], y[..., 0], weight
        (array([[2., 3.],
               [0., 0.]], dtype=float32), array([[3., 4.],
               [0., 0.]], dtype=float32), array([[1., 1.],
               [0., 0.]], dtype=float32))

    References:
        Williams and Peng, An efficient gradient-based algorithm for on-line training of recurrent
        network trajectories, Neural Computation 2 (1990).
    """
    steps = whole_number(steps, WHERE, "steps")
    ahead = 0 if horizon is None else whole_number(horizon, WHERE, "horizon")
    read = several_series(series, WHERE)
    aims = read if horizon is not None else None
    if targets is not None:
        aims = several_series(targets, WHERE, "targets")
        _check_pairs(read, aims)
    lengths = [len(one) - ahead for one in read]
    for number, length in enumerate(lengths):
        if length < 1:
            raise DataError(
                message(
                    WHERE,
                    f"series {number} has {len(read[number])} steps; expected at least "
                    f"{ahead + 1}" + (f" for horizon={ahead}." if ahead else "."),
                    "Leave it out.",
                )
            )
    rows = len(read) if rows is None else whole_number(rows, WHERE, "rows")
    return Chunks(read, aims, ahead, pack(lengths, steps, rows), lengths, pad_value, reset_input)


class Chunks(keras.utils.PyDataset):
    """What `chunks` gives: a `keras.utils.PyDataset` of chunks in the order of time.

    To look at a chunk take `data.batch(i)`, or go through all: `for batch in data`. `data[i]` is
    for Keras: within an epoch it gives the next chunk, whatever `i`. An epoch that was broken off,
    by an error or Ctrl-C, may last until the next one begins.

    Attributes:
        rows: the batch size.
        steps: time steps of a chunk.
        lengths: the steps of each sequence that are walked.
        layout: which steps of which sequence stand where.
        reset_input: whether the resets are a second input.
        walk: what Keras does with the chunks.
        callbacks: those that were made for these chunks and are still there.
    """

    def __init__(
        self,
        series: Sequence[np.ndarray],
        targets: Sequence[np.ndarray] | None,
        ahead: int,
        layout: Layout,
        lengths: list[int],
        pad_value: float,
        reset_input: bool,
    ) -> None:
        super().__init__()
        self.layout = layout
        self.steps = layout.steps
        self.rows = layout.sequence.shape[1]
        self.lengths = lengths
        self.reset_input = reset_input
        self._series, self._targets, self._ahead = series, targets, ahead
        self._pad_value = pad_value
        self._resets = layout.resets
        self.callbacks: weakref.WeakSet[Resets] = weakref.WeakSet()
        self.walk = Walk(WHERE, len(layout.sequence), needs_callback=not reset_input)

    @property
    def has_targets(self) -> bool:
        """Whether the batches have targets."""
        return self._targets is not None

    def __len__(self) -> int:
        return len(self.layout.sequence)

    @property
    def num_batches(self) -> int:
        """The number of chunks, as Keras asks for it."""
        self.walk.count()
        return len(self)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        return self.batch(self.walk.ask(index))

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return map(self.batch, range(len(self)))

    def batch(self, index: int) -> tuple[Any, ...]:
        """Make one batch, whichever and at any time: to look at it, and for loops of your own."""
        x: Any = self._cut(index, self._series, 0)
        if self.reset_input:
            resets = np.zeros((self.rows, self.steps), dtype=bool)
            resets[:, 0] = self.resets_before(index)
            x = (x, resets)
        if self._targets is None:
            return (x,)
        weight = np.arange(self.steps) < self.layout.count[index][:, None]
        return x, self._cut(index, self._targets, self._ahead), weight.astype("float32")

    def resets_before(self, index: int) -> np.ndarray:
        """Give `[rows]` bool: which rows start anew before a batch; for loops of your own."""
        return self._resets[index]

    def resets(self) -> Resets:
        """Make the callback that resets the state where a sequence starts.

        It is for `fit`, `evaluate` and `predict`, and acts while these chunks are walked.
        Validation on other chunks needs theirs too: `callbacks=[train.resets(), val.resets()]`.
        """
        from seqstate.data.resets import Resets

        return Resets(self)

    def by_sequence(self, predicted: Any) -> list[np.ndarray]:
        """Put what `predict` gave for all chunks together again.

        Args:
            predicted: `[chunks * rows, steps, ...]`, as `model.predict(data)` gives it.

        Returns:
            For each sequence `[time, ...]`, without padding.

        Raises:
            InputError: another shape.
        """
        given = np.asarray(predicted)
        expected = (len(self) * self.rows, self.steps)
        if given.shape[:2] != expected:
            raise InputError(
                message(
                    "Chunks.by_sequence",
                    f"the predictions have shape {given.shape}; expected "
                    f"({expected[0]}, {expected[1]}, ...), [chunks * rows, steps, ...].",
                    "Pass what predict gave for these chunks, of a model whose last recurrent "
                    "layer has return_sequences=True.",
                )
            )
        given = given.reshape(len(self), self.rows, *given.shape[1:])
        layout = self.layout
        return [
            np.concatenate(
                [
                    given[chunk, row, : layout.count[chunk, row]]
                    for chunk, row in np.argwhere(layout.sequence == number)
                ]
            )
            for number in range(len(self.lengths))
        ]

    def _cut(self, index: int, source: Sequence[np.ndarray], ahead: int) -> np.ndarray:
        shape = (self.rows, self.steps, *source[0].shape[1:])
        cut = np.full(shape, self._pad_value, dtype=batch_type(source, keras.config.floatx()))
        layout = self.layout
        places = zip(layout.sequence[index], layout.start[index], layout.count[index], strict=True)
        for row, (number, start, count) in enumerate(places):
            if number != IDLE:
                cut[row, :count] = source[number][start + ahead : start + ahead + count]
        return cut

    def on_epoch_begin(self) -> None:
        """Check what Keras is about to do; it calls this before it asks for the first batch."""
        if self.workers > 1 or self.use_multiprocessing:
            raise ArgumentError(
                message(
                    WHERE,
                    f"workers={self.workers}, use_multiprocessing={self.use_multiprocessing}; "
                    "several workers would not keep the order of the chunks.",
                    "Leave both as they are: to cut a chunk costs next to nothing.",
                )
            )
        if self.walk.needs_callback and not self.callbacks:
            raise no_callback(WHERE)
        self.walk.begin()

    def on_epoch_end(self) -> None:
        """Check that the callback was there."""
        self.walk.end()


def _check_pairs(series: Sequence[np.ndarray], targets: Sequence[np.ndarray]) -> None:
    """Refuse targets that are not one for each step of each series."""
    if len(targets) != len(series):
        raise DataError(
            message(
                WHERE,
                f"there are {len(series)} series and {len(targets)} targets.",
                "Give targets the form of series: one array, or a list of as many.",
            )
        )
    for number, (one, aim) in enumerate(zip(series, targets, strict=True)):
        if len(aim) != len(one):
            raise DataError(
                message(
                    WHERE,
                    f"series {number} has {len(one)} steps, its targets {len(aim)}.",
                    "Give a target for each step. One label for a whole sequence: "
                    "numpy.repeat(label, len(series)).",
                )
            )
