"""Peers in processes of their own, measured in turn: in every round each has its burst.

What they share is the time, not the process: Keras on JAX and on torch don't fit into one, and a
pool that still spins must not slow the next peer down. A worker that burns processor time while
others are measured spoils the run, so that is measured too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

# The share of one core that a process may use while it waits.
QUIET = 0.02


class NoisyError(Exception):
    """What was measured can't be trusted."""


class WorkerError(Exception):
    """A worker could not do what it was asked, or gave wrong numbers."""


class Worker:
    """A process with one peer."""

    def __init__(self, module: str, threads: int, **environment: str) -> None:
        self.name = module
        script = Path(__file__).parent / "worker.py"
        known = {
            "OMP_NUM_THREADS": str(threads),
            "SEQSTATE_NUM_THREADS": str(threads),
            # A run of ours that takes another path is an error, not a slow figure.
            "SEQSTATE_KERNEL": "native",
            "TF_CPP_MIN_LOG_LEVEL": "3",
            # Only Intel's OpenMP reads it, and would spin for 200 ms.
            "KMP_BLOCKTIME": "1",
        }
        self.process = subprocess.Popen(
            [sys.executable, str(script), module],
            env=os.environ | known | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answer()

    def ask(self, do: str, **what: Any) -> dict[str, Any]:
        """Send a request, and wait for the answer."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps({"do": do, **what}) + "\n")
            self.process.stdin.flush()
        except OSError as error:
            raise WorkerError(f"{self.name}: the process is gone ({error})") from error
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"error": "the process ended"}
        if "error" in answer:
            raise WorkerError(f"{self.name}: {answer['error']}")
        return answer

    def close(self) -> None:
        """End the process, and wait until it has."""
        assert self.process.stdin is not None
        with suppress(OSError):  # what a process that is gone did not read
            self.process.stdin.close()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@dataclass
class Workers:
    """Several workers that are closed together."""

    all: list[Worker] = field(default_factory=list)

    def start(self, module: str, threads: int, **environment: str) -> Worker:
        """Start one more."""
        self.all.append(Worker(module, threads, **environment))
        return self.all[-1]

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for worker in self.all:
            worker.close()


def measure(
    runs: Iterable[tuple[Worker, str]], rounds: int, seconds: float
) -> dict[str, list[float]]:
    """Give the seconds of a call in each round, by label.

    Raises:
        NoisyError: a worker was busy while others were measured.
    """
    taken: dict[str, list[float]] = {}
    runs = list(runs)
    idle: dict[Worker, list[tuple[float, float]]] = {}
    for turn in range(rounds):
        # Every second round the other way, so that nobody always follows the same one.
        for worker, label in runs if turn % 2 == 0 else reversed(runs):
            made = worker.ask("burst", label=label, seconds=seconds)
            taken.setdefault(label, []).append(made["seconds"])
            if turn:  # before the first round others were not measured but made ready
                idle.setdefault(worker, []).append(made["idle"])
    for worker, spans in idle.items() if len(idle) > 1 else ():
        wall, cpu = (sum(values) for values in zip(*spans, strict=True))
        if cpu > QUIET * wall:
            raise NoisyError(f"{worker.name} used {cpu / wall:.0%} of a core while others ran")
    return taken
