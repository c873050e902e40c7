"""Callbacks for `fit`: what the states are while a model learns."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import uuid4

import keras
import numpy as np

from seqstate.errors import ArgumentError, MissingPackageError, message
from seqstate.models.trace import Tracing
from seqstate.traces import Trace

_PER = ("epoch", "batch")


class Traces(Mapping[int, Trace]):
    """Traces by number, in memory or in files; those in files are read when they are asked for."""

    def __init__(self, kept: Mapping[int, Trace | Path]) -> None:
        self._kept = kept

    def __getitem__(self, number: int) -> Trace:
        kept = self._kept[number]
        return Trace.from_npz(kept) if isinstance(kept, Path) else kept

    def __iter__(self) -> Iterator[int]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)

    def __repr__(self) -> str:
        return f"Traces({list(self._kept)})"


class StateHistory(keras.callbacks.Callback):
    """Records the states of some layers on some data while the model learns.

    The states are never outputs, targets, losses or metrics of the model, and what is recorded
    does not change what it learns.

    Attributes:
        traces: from the number of epochs done (of batches, with `per="batch"`) to the `Trace` of
            that moment. A new `fit` starts it anew.

    Args:
        data: what the model takes, as for `seqstate.trace`; a few samples are enough.
        layers: the layers to look at, by name; all by default.
        what: any of "sequence", "state", "states", "gates"; all by default.
        every: record after each so many epochs, or batches.
        per: "epoch" or "batch".
        initial: record before the first epoch too, as number 0.
        directory: keep the traces there as `.npz` files, not in memory.
        log_dir: write histograms for TensorBoard there, a tag for each state and gate.
        batch_size: how many samples run at once.
        allow_nan: take data with NaN or infinite values, for a model that masks them.

    Raises:
        ArgumentError: an argument that can't be used. Layers and data are checked when training
            begins, before the first batch, with the errors of `seqstate.trace`.
        MissingPackageError: `log_dir` without tensorboardX.

    Example:
        >>> import keras, numpy as np
        >>> from seqstate.callbacks import StateHistory
        >>> model = keras.Sequential([keras.Input((None, 1)), keras.layers.LSTM(3, name="lstm")])
        >>> model.compile("sgd", "mse")
        >>> x = np.random.rand(8, 5, 1).astype("float32")
        >>> history = StateHistory(x[:2], what="states")
        >>> _ = model.fit(x, np.zeros((8, 3)), epochs=2, verbose=0, callbacks=[history])
        >>> list(history.traces), history.traces[2]["lstm"].states["c"].shape
        ([1, 2], (2, 5, 3))
    """

    def __init__(
        self,
        data: Any,
        layers: str | Sequence[str] | None = None,
        what: str | Sequence[str] | None = None,
        every: int = 1,
        *,
        per: str = "epoch",
        initial: bool = False,
        directory: str | os.PathLike[str] | None = None,
        log_dir: str | os.PathLike[str] | None = None,
        batch_size: int | None = None,
        allow_nan: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(every, int) or isinstance(every, bool) or every < 1:
            raise _wrong(f"every={every!r}.", "Pass a positive whole number.")
        if per not in _PER:
            raise _wrong(f"per={per!r}; expected 'epoch' or 'batch'.", "Use one of these.")
        self.data, self.layers, self.what, self.every, self.per = data, layers, what, every, per
        self.initial, self.batch_size, self.allow_nan = initial, batch_size, allow_nan
        self.directory = None if directory is None else _made(Path(directory), "directory")
        self._log_dir = None if log_dir is None else _log_dir(Path(log_dir))
        self._writer: Any = None
        self._kept: dict[int, Trace | Path] = {}
        self.traces = Traces(self._kept)
        self._tracing: Tracing | None = None
        self._done = 0
        self._before = 0

    def on_train_begin(self, logs: Any = None) -> None:
        """Check layers and data against the model, before anything is learned."""
        self._kept.clear()
        self._done = self._before = 0
        self._tracing = Tracing(
            self.model, self.data, self.layers, self.what, self.batch_size, self.allow_nan
        )
        self.on_train_end()
        if self._log_dir is not None:
            self._writer = _writer(self._log_dir)
        if self.initial:
            self._record()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Record after a batch, if that was asked for."""
        if self.per == "batch":
            # Keras may run several batches at once, and tells of the last.
            self._reach(self._before + batch + 1)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Record after an epoch, if that was asked for."""
        if self.per == "epoch":
            self._reach(self._done + 1)
        self._before = self._done

    def on_train_end(self, logs: Any = None) -> None:
        """Close what was opened for TensorBoard."""
        if self._writer is not None:
            # Its flush leaves what is still in its queue.
            self._writer.close()
            self._writer = None

    def _reach(self, number: int) -> None:
        due = number // self.every > self._done // self.every
        self._done = number
        if due:
            self._record()

    def _record(self) -> None:
        if self._tracing is None:
            return
        if keras.backend.backend() == "jax":
            # In an epoch the values are with the trainer; it reads them anew after this.
            self.model.jax_state_sync()
        trace = self._tracing.run(progress=False)
        self._kept[self._done] = trace
        if self.directory is not None:
            path = self.directory / f"{self.per}-{self._done:06d}.npz"
            self._kept[self._done] = trace.to_npz(path)
        if self._writer is not None:
            for layer in trace.values():
                for quantity, values in layer.over_time().items():
                    counted = values if layer.mask is None else values[layer.mask]
                    finite = counted[np.isfinite(counted)]
                    # All masked, or all NaN: there is nothing to count.
                    if finite.size:
                        tag = f"{layer.name}/{quantity}"
                        self._writer.add_histogram(tag, finite, self._done)


def _made(directory: Path, argument: str) -> Path:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _wrong(
            f'{argument}="{directory}" can\'t be made: {error.strerror or error}.',
            "Pass a directory, new or existing, that you can write to.",
        ) from error
    return directory


def _log_dir(log_dir: Path) -> Path:
    if find_spec("tensorboardX") is None:
        raise MissingPackageError(
            message(
                "StateHistory",
                "log_dir needs tensorboardX, which is not installed.",
                'Run: pip install "seqstate[tensorboard]"',
            )
        )
    return _made(log_dir, "log_dir")


def _writer(log_dir: Path) -> Any:
    from tensorboardX import SummaryWriter

    # The name of its file has the time in seconds, and two trainings may begin in one second.
    return SummaryWriter(str(log_dir), filename_suffix=f".{uuid4().hex}")


def _wrong(what: str, todo: str) -> ArgumentError:
    return ArgumentError(message("StateHistory", what, todo))
