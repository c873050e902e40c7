"""`seqstate stream`: lines of standard input are pushed, lines of standard output say what came.

A line of output is written after the push is written to the store: what a reader saw is kept.
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import TYPE_CHECKING, Any

import numpy as np

from seqstate import state as states
from seqstate.commands.stream_lines import Fields, Lines, Push
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
    loaded = load(model)
    stop = Stop()
    with loaded.streams(
        options.store, options.durability, options.max_live, options.keep
    ) as streams:
        Session(streams, Lines(loaded, options.fields, options.form), options, stop).run()


class Stop:
    """Whether SIGTERM or SIGINT has come; it wakes who waits, and lets a batch be finished."""

    def __init__(self) -> None:
        self.asked = False
        self._waiting = False
        for one in (signal.SIGTERM, signal.SIGINT):
            signal.signal(one, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        if self._waiting:
            raise _WokenError

    def read(self, file: int) -> bytes:
        """Give what waits to be read, b"" at the end, and when a signal has come."""
        try:
            self._waiting = True
            if self.asked:
                return b""
            return os.read(file, _BYTES)
        except _WokenError:
            return b""
        finally:
            self._waiting = False


class _WokenError(Exception):
    """A signal came while nothing was being done."""


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
            # Nobody reads on; what Python still holds for standard output goes nowhere.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        self._report(last=True)

    def _waiting_lines(self) -> Iterator[list[bytes]]:
        """Give the lines that wait, and never wait for more than one."""
        rest = b""
        while data := self._stop.read(0):
            *lines, rest = (rest + data).split(b"\n")
            if lines:
                yield lines
        if rest and not self._stop.asked:
            yield [rest]

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
        sys.stdout.buffer.write("".join(written).encode())
        sys.stdout.buffer.flush()

    def _refuse(self, error: SeqstateError) -> None:
        if self._options.on_error == "stop":
            self._report(last=True)
            raise error
        self._skipped += 1
        print(f"Skipped {str(error).partition(chr(10))[0]}", file=sys.stderr)

    def _report(self, last: bool = False) -> None:
        """Say on standard error how fast it goes."""
        every, now = self._options.every, monotonic()
        if not every or (not last and now - self._told < every):
            return
        since, pushes = (self._began, 0) if last else (self._told, self._told_pushes)
        rate = (self._pushes - pushes) / max(now - since, 1e-9)
        text = f"{self._pushes:,} pushes, {rate:,.0f} a second"
        if self._skipped:
            text += f", {self._skipped:,} lines skipped"
        print(text + ("." if last else " ..."), file=sys.stderr, flush=True)
        self._told, self._told_pushes = now, self._pushes


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
