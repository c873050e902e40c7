"""`seqstate stream`: lines of standard input are pushed, lines of standard output say what came.

A line of output is written after the push is written to the store: what a reader saw is kept.
"""

from __future__ import annotations

import json
import math
import os
import select
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from seqstate import state as states
from seqstate.commands.stream_lines import LONGEST_LINE, Fields, Lines, Push
from seqstate.errors import ArgumentError, DataError, InputError, SeqstateError, message
from seqstate.runtime.loading import load

if TYPE_CHECKING:
    from seqstate.runtime.streams import Streams

ON_ERROR = ("stop", "skip")
# So much is read at once, and so many lines are pushed at once, at most.
_BYTES = 1 << 20
_LINES = 4096


@dataclass
class Options:
    """How to stream.

    Attributes:
        store: the URL of the store, or None.
        fields: where in a line things stand.
        form: of the lines: "auto", "ndjson" or "csv".
        durability: of the store.
        state: whether the states are written too.
        on_error: "stop" or "skip".
        max_live: how many keys are in memory at most.
        keep: of how many pushes of a key the outputs are kept.
        every: seconds between two reports; 0 for none.
    """

    store: str | None
    fields: Fields
    form: str = "auto"
    durability: str | None = None
    state: bool = False
    on_error: str = "stop"
    max_live: int | None = None
    keep: int = 16
    every: float = 10.0


def run_stream(model: Path, options: Options) -> None:
    """Stream standard input through a model, until it ends, SIGTERM comes or nobody reads.

    Raises:
        SeqstateError: a line that can't be pushed, with `on_error="stop"`; the store fails.
    """
    if options.on_error not in ON_ERROR:
        raise ArgumentError(
            message("seqstate stream", f"--on-error is {options.on_error!r}.", f"Pass {ON_ERROR}.")
        )
    if not options.every >= 0:
        raise ArgumentError(
            message("seqstate stream", f"--every is {options.every}.", "Pass seconds, 0 for none.")
        )
    for name, file in (("input", sys.stdin), ("output", sys.stdout)):
        if file is None:
            raise DataError(
                message(f"standard {name}", "it is closed.", "Give it a file or a pipe.")
            )
    loaded = load(model)
    with (
        Stop() as stop,
        loaded.streams(
            options.store, options.durability, options.max_live, options.keep
        ) as streams,
    ):
        Session(streams, Lines(loaded, options.fields, options.form), options, stop).run()


class Stop:
    """Whether SIGTERM or SIGINT has come; it wakes who waits, and lets a batch be finished.

    A second signal ends the program at once: what was answered is in the store.
    """

    def __init__(self) -> None:
        self.asked = False
        self._woken, self._wakes = os.pipe()
        os.set_blocking(self._wakes, False)
        self._before: dict[int, Any] = {}
        self._fd_before = -1

    def __enter__(self) -> Self:
        # A signal writes a byte there, also one that comes right before the wait begins.
        self._fd_before = signal.set_wakeup_fd(self._wakes, warn_on_full_buffer=False)
        for one in (signal.SIGTERM, signal.SIGINT):
            self._before[one] = signal.signal(one, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for one, handler in self._before.items():
            signal.signal(one, handler)
        signal.set_wakeup_fd(self._fd_before)
        os.close(self._woken)
        os.close(self._wakes)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        for one in self._before:
            signal.signal(one, signal.SIG_DFL)

    def read(self, file: int) -> bytes:
        """Give what waits to be read, b"" at the end, and when a signal has come."""
        while not self.asked:
            ready, _, _ = select.select([file, self._woken], [], [])
            if self._woken in ready:
                os.read(self._woken, _BYTES)
            else:
                return os.read(file, _BYTES)
        return b""


class Session:
    """One run of the command."""

    def __init__(self, streams: Streams, lines: Lines, options: Options, stop: Stop) -> None:
        self._streams, self._lines, self._options, self._stop = streams, lines, options, stop
        self._pushes = self._skipped = 0
        # So many unanswered pushes of a key that all can be answered again after a kill.
        self._most = options.keep if options.fields.sequence else _LINES
        if options.state:
            self._most = 1
        self._began = self._told = monotonic()
        self._told_pushes = 0

    def run(self) -> None:
        """Read, push, write, until there is no more."""
        try:
            for lines in self._waiting_lines():
                self._take(lines)
                self._report()
        except BrokenPipeError:
            _drop_output()  # nobody reads on
        self._report(last=True)

    def _waiting_lines(self) -> Iterator[list[bytes]]:
        """Give the lines that wait, and never wait for more than one."""
        parts: list[bytes] = []
        size = 0
        while data := self._read():
            *lines, rest = data.split(b"\n")
            if lines:
                lines[0] = b"".join((*parts, lines[0]))
                parts, size = [], 0
            if size <= LONGEST_LINE:  # of a longer line there is enough to see that
                parts.append(rest)
            size += len(rest)
            if lines:
                yield lines
        if size and not self._stop.asked:
            yield [b"".join(parts)]

    def _read(self) -> bytes:
        try:
            return self._stop.read(0)
        except OSError as error:
            raise DataError(
                message(
                    "standard input",
                    f"it can't be read: {error.strerror}.",
                    "Give lines with < FILE, or through a pipe.",
                )
            ) from error

    def _take(self, lines: Sequence[bytes]) -> None:
        """Push lines in batches."""
        batch: list[Push] = []
        counts: dict[str, int] = {}
        for line in lines:
            try:
                push = self._lines.read(line)
            except DataError as error:
                # What came before it is pushed first.
                self._send(batch)
                batch, counts = [], {}
                self._refuse(error)
                continue
            if push is None:
                continue
            if counts.get(push.key, 0) >= self._most or len(batch) >= _LINES:
                self._send(batch)
                batch, counts = [], {}
            batch.append(push)
            counts[push.key] = counts.get(push.key, 0) + 1
        self._send(batch)

    def _send(self, batch: Sequence[Push]) -> None:
        """Push a batch, and write what comes of it."""
        if not batch:
            return
        try:
            outputs = self._push(batch)
        except (InputError, ArgumentError) as error:
            if len(batch) == 1:
                self._refuse(_at_line(batch[0], error))
                return
            # One of them can't be pushed: the others can.
            for push in batch:
                self._send([push])
            return
        self._write(batch, outputs)
        self._pushes += len(batch)

    def _push(self, batch: Sequence[Push]) -> Any:
        samples: Any = [push.sample for push in batch]
        if isinstance(samples[0], dict):
            samples = {name: [one[name] for one in samples] for name in samples[0]}
        numbers = [push.sequence for push in batch] if self._options.fields.sequence else None
        return self._streams.push_many([push.key for push in batch], samples, numbers)

    def _write(self, batch: Sequence[Push], outputs: Any) -> None:
        texts = _texts(outputs, len(batch))
        name = "outputs" if isinstance(outputs, dict) else "output"
        written = []
        for push, text in zip(batch, texts, strict=True):
            parts = [f'"key":{json.dumps(push.key, ensure_ascii=False)}']
            if push.sequence is not None:
                parts.append(f'"sequence":{push.sequence}')
            parts.append(f'"{name}":{text}')
            if self._options.state:
                parts.append(f'"state":{_state_text(self._streams.state(push.key))}')
            written.append("{" + ",".join(parts) + "}\n")
        try:
            rest = memoryview("".join(written).encode())
            while rest:  # with PYTHONUNBUFFERED a signal cuts a write short
                rest = rest[sys.stdout.buffer.write(rest) or 0 :]
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            _drop_output()
            raise DataError(
                message(
                    "standard output",
                    f"it can't be written to: {error.strerror}. In the store and without an "
                    f"answer: {_count(len(batch), 'push', 'pushes')}.",
                    "Make room and send these lines again, with --sequence so that none is "
                    "applied twice.",
                )
            ) from error

    def _refuse(self, error: SeqstateError) -> None:
        if self._options.on_error == "stop":
            self._report(last=True)
            raise error
        self._skipped += 1
        _tell(f"Skipped {str(error).partition(chr(10))[0]}")

    def _report(self, last: bool = False) -> None:
        """Say on standard error how fast it goes."""
        every, now = self._options.every, monotonic()
        if not every or (not last and now - self._told < every):
            return
        since, pushes = (self._began, 0) if last else (self._told, self._told_pushes)
        rate = (self._pushes - pushes) / max(now - since, 1e-9)
        text = f"{_count(self._pushes, 'push', 'pushes')}, {rate:,.0f} a second"
        if self._skipped:
            text += f", {_count(self._skipped, 'line', 'lines')} skipped"
        _tell(text + ("." if last else " ..."))
        self._told, self._told_pushes = now, self._pushes


def _count(number: int, one: str, more: str) -> str:
    return f"{number:,} {one if number == 1 else more}"


def _drop_output() -> None:
    """Send what Python still holds for standard output nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _tell(text: str) -> None:
    """Say something on standard error, if there is one."""
    if sys.stderr is not None:
        with suppress(OSError):
            print(text, file=sys.stderr, flush=True)


def _at_line(push: Push, error: SeqstateError) -> SeqstateError:
    return type(error)(f"line {push.line}: {error}")


def _texts(outputs: Any, count: int) -> list[str]:
    """Give the outputs of each row as JSON."""
    if not isinstance(outputs, dict):
        return [_numbers(row) for row in outputs.tolist()]
    columns = {name: [_numbers(row) for row in one.tolist()] for name, one in outputs.items()}
    return [
        "{" + ",".join(f"{json.dumps(name)}:{column[i]}" for name, column in columns.items()) + "}"
        for i in range(count)
    ]


def _numbers(value: Any) -> str:
    """Write float32 numbers with the nine digits that tell them all apart."""
    if isinstance(value, list):
        return f"[{','.join(map(_numbers, value))}]"
    return f"{value:.9g}" if math.isfinite(value) else "null"


def _state_text(state: Any) -> str:
    row = states.map_leaves(lambda leaf: _Written(_numbers(np.asarray(leaf)[0].tolist())), state)
    return _written(row)


class _Written(str):
    """JSON that is written already."""


def _written(value: Any) -> str:
    if isinstance(value, _Written):
        return value
    return "{" + ",".join(f"{json.dumps(k)}:{_written(v)}" for k, v in value.items()) + "}"
