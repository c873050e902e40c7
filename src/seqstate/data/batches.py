"""`batches`: windows in batches, each copied only when its turn comes."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

from seqstate.arguments import whole_number
from seqstate.data.series import batch_type
from seqstate.data.windows import Windows
from seqstate.errors import ArgumentError, message

WHERE = "batches"


def batches(
    windows: Windows | Sequence[Windows],
    batch_size: int = 32,
    *,
    shuffle: bool = False,
    seed: int | None = None,
) -> Batches:
    """Make a dataset for `fit` that copies the windows of one batch at a time.

    `fit` on the views themselves copies all windows at once: on TensorFlow always, on the other
    backends where the series is not in the float type of Keras.

    Args:
        windows: what `windows` gave, for one series or for several.
        batch_size: windows in a batch; the last one may have fewer.
        shuffle: draw the windows of a batch from everywhere, anew in each epoch. `fit` itself
            shuffles only the order of the batches. Leave it out for `predict`: the predictions
            would come in the drawn order.
        seed: for the same order in each run.

    Returns:
        A `keras.utils.PyDataset` of batches `(x, y)`.

    Raises:
        ArgumentError: no windows; a batch size that is no whole number above zero.

    Example:
        >>> import numpy as np
        >>> from seqstate.data import windows
        >>> data = batches(windows(np.arange(50.0), length=8), batch_size=16)
        >>> len(data), data[0][0].shape, data[2][0].shape
        (3, (16, 8, 1), (10, 8, 1))
    """
    size = whole_number(batch_size, WHERE, "batch_size")
    given = [windows] if isinstance(windows, Windows) else list(windows)
    if not given or not all(isinstance(one, Windows) for one in given):
        raise ArgumentError(
            message(
                WHERE,
                f"got {type(windows).__name__}; expected what windows(...) gave.",
                "Pass batches(windows(series, length=24, horizon=6)).",
            )
        )
    return Batches(given, size, np.random.default_rng(seed) if shuffle else None)


class Batches(keras.utils.PyDataset):
    """What `batches` gives: a `keras.utils.PyDataset` of `(x, y)`."""

    def __init__(
        self, windows: Sequence[Windows], batch_size: int, drawn: np.random.Generator | None
    ) -> None:
        super().__init__()
        self.windows = windows
        self.batch_size = batch_size
        self._drawn = drawn
        # Where the windows of each series end among all windows.
        self._ends = np.cumsum([len(one.x) for one in windows])
        self._order = np.arange(self._ends[-1])
        self.on_epoch_begin()

    def __len__(self) -> int:
        return -(-len(self._order) // self.batch_size)

    def on_epoch_begin(self) -> None:
        """Draw a new order, if there is one to draw."""
        if self._drawn is not None:
            self._order = self._drawn.permutation(self._ends[-1])

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        chosen = self._order[index * self.batch_size : (index + 1) * self.batch_size]
        owner = np.searchsorted(self._ends, chosen, side="right")
        x, y = (self._made(part, chosen, owner) for part in ("x", "y"))
        return x, y

    def _made(self, part: str, chosen: np.ndarray, owner: np.ndarray) -> np.ndarray:
        views = [getattr(one, part) for one in self.windows]
        shape = (len(chosen), *views[0].shape[1:])
        made = np.empty(shape, dtype=batch_type(views, keras.config.floatx()))
        for number in np.unique(owner):
            mine = owner == number
            first = self._ends[number] - len(views[number])
            made[mine] = views[number][chosen[mine] - first]
        return made
