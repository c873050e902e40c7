"""The held-out days as streams: three stations, a store, and a process that is killed half-way."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import IO, Any

import numpy as np

import seqstate
from seqstate.errors import SeqstateError, message
from seqstate.tour.data import Temperatures, clean
from seqstate.tour.windows import features

OTHER = "San Francisco"
MIDWAY = "midway"
_MAIN = "from seqstate.cli import main; main()"


@dataclass(frozen=True)
class Streamed:
    """What came of the streams.

    Attributes:
        stations: their names.
        hours: of each station.
        answered: lines that were answered before the kill.
        again: of those that were sent after it, lines that had been applied before it: they
            were answered from what was kept.
        lines: what was sent, of all hours and stations.
    """

    stations: tuple[str, ...]
    hours: int
    answered: int
    again: int
    lines: list[str]


def stations(series: Temperatures, place: str) -> dict[str, np.ndarray]:
    """Give the temperatures `[time]` of three places: two stations, and the mean of both."""
    from vega_datasets import data

    frame: Any = data.sf_temps()
    other = clean(frame["date"].to_numpy(), frame["temp"].to_numpy()).celsius
    return {place: series.celsius, OTHER: other, MIDWAY: (series.celsius + other) / 2}


def stream_through_a_kill(model: Path, celsius: dict[str, np.ndarray], part: slice) -> Streamed:
    """Stream a part of each station through SQLite, with a kill, and compare with whole runs.

    Args:
        model: the file of the forecaster.
        celsius: by station, `[time]`.
        part: the hours that are streamed.

    Raises:
        SeqstateError: an answer is missing, or is not that of the uninterrupted run.
    """
    x = {name: features(one)[part] for name, one in celsius.items()}
    hours = part.stop - part.start
    order = [(name, hour) for hour in range(hours) for name in x]
    lines = [
        json.dumps({"station": name, "hour": hour, "sample": x[name][hour].tolist()})
        for name, hour in order
    ]
    half = len(lines) // 2
    loaded = seqstate.load(model)
    with TemporaryDirectory() as folder:
        store = f"sqlite:///{folder}/streams.db"
        answers = _answers(model, store, lines, stop_after=half)
        with loaded.streams(store) as streams:
            applied = sum((streams.sequence(name) or 0) + 1 for name in streams)
        again = applied - len(answers)
        answered = len(answers)
        answers += _answers(model, store, lines[answered:])
    whole, _ = loaded.run(np.stack(list(x.values())))
    _require_same(order, answers, dict(zip(x, whole, strict=True)))
    return Streamed(tuple(x), hours, answered, again, lines)


def _answers(
    model: Path, store: str, lines: Sequence[str], stop_after: int | None = None
) -> list[dict[str, Any]]:
    """Give what `seqstate stream` answers; it is killed when it has answered so many lines."""
    words = [sys.executable, "-c", _MAIN, "stream", str(model), "--store", store]
    words += ["--key", "station", "--sequence", "hour", "--every", "0"]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    # Both pipes are full before all is sent: one end alone would wait for the other.
    sender = Thread(target=_send, args=(process.stdin, lines))
    sender.start()
    found = []
    for line in process.stdout:
        if line.endswith("\n"):
            found.append(json.loads(line))
        if len(found) == stop_after:
            process.kill()
    sender.join()
    process.stdout.close()
    process.wait()
    return found


def _send(pipe: IO[str], lines: Sequence[str]) -> None:
    with suppress(BrokenPipeError), pipe:
        pipe.write("".join(f"{line}\n" for line in lines))


def _require_same(
    order: Sequence[tuple[str, int]],
    answers: Sequence[dict[str, Any]],
    whole: dict[str, np.ndarray],
) -> None:
    """Hold each answer against the uninterrupted run, bit for bit."""
    same = len(order) == len(answers) and all(
        (answer["key"], answer["sequence"]) == (name, hour)
        and np.array_equal(np.float32(answer["output"]), whole[name][hour])
        for (name, hour), answer in zip(order, answers, strict=True)
    )
    if not same:
        raise SeqstateError(
            message(
                "seqstate tour",
                f"{len(answers)} answers for {len(order)} lines differ from the uninterrupted run.",
                "The streams lost or repeated something on this machine: please report it.",
            )
        )
