"""One process with one peer: does what `rounds.Worker` asks, a line of JSON each, and is quiet.

Arguments: the module of `peers`. Requests, by `do`:

    prepare   make the runs of a case, do each once, and compare with the expected numbers
    add       the same, beside those that are there
    drop      forget all runs
    save      write the numbers of the first run to a file, as the expected ones
    burst     call one run for some time; how long did one call take?
    peak      the floating-point operations a second that the processor reaches
    describe  the versions and settings that this process measures with
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import checks
from cases import Case
from peers import Run

# Pools spin after their last task: torch's for 10 ms, ONNX Runtime's for 50. That is waited out,
# not turned off: it makes them faster.
PAUSE = 0.08


class Server:
    """The runs of the case at hand."""

    def __init__(self, module: str) -> None:
        self.peer = importlib.import_module(f"peers.{module}")
        self.runs: dict[str, Run] = {}
        self.left = (time.perf_counter(), time.process_time())

    def prepare(self, case: dict[str, str], expected: str = "") -> dict[str, Any]:
        """Make the runs of a case, and compare each with the expected numbers."""
        self.drop()
        return self.add(case, expected)

    def drop(self) -> dict[str, Any]:
        """Forget all runs."""
        self.runs = {}
        gc.collect()
        return {}

    def add(self, case: dict[str, str], expected: str = "") -> dict[str, Any]:
        """Make the runs of one more case."""
        made = self.peer.runs(Case(**case))
        errors = {}
        if expected:
            with np.load(expected) as known:
                for label, run in made.items():
                    errors[label] = checks.compare(label, run.named(run.call()), known)
        self.runs |= made
        return {"labels": list(made), "errors": errors}

    def save(self, path: str) -> dict[str, Any]:
        """Write the numbers of the one run."""
        (run,) = self.runs.values()
        np.savez(path, **run.named(run.call()))
        return {}

    def burst(self, label: str, seconds: float) -> dict[str, Any]:
        """Call a run until the time is over, at least once; give the mean seconds of a call."""
        run = self.runs[label].call
        count = 1
        if seconds:
            start = time.perf_counter()
            run()  # wakes the pool and fills the caches
            count = max(1, int(seconds / 8 / (time.perf_counter() - start)))
        calls, taken = 0, 0.0
        while not calls or taken < seconds:
            start = time.perf_counter()
            for _ in range(count):
                run()
            taken += time.perf_counter() - start
            calls += count
        return {"seconds": taken / calls, "calls": calls}

    def peak(self, threads: int, seconds: float) -> dict[str, Any]:
        """Measure the peak of the processor."""
        from seqstate import _native

        return {"gflops": _native.peak(threads, seconds)}

    def describe(self) -> dict[str, Any]:
        """Give what the peer says of itself."""
        describe: Callable[[], dict[str, Any]] = getattr(self.peer, "describe", dict)
        return {"own": describe()}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what is asked; `idle` is the time, and the processor time, since the last answer."""
        wall, cpu = time.perf_counter() - self.left[0], time.process_time() - self.left[1]
        made: dict[str, Any] = getattr(self, request.pop("do"))(**request)
        time.sleep(PAUSE)
        self.left = time.perf_counter(), time.process_time()
        return made | {"idle": (wall, cpu)}


def main() -> None:
    """Serve until the input ends."""
    # Frameworks print; the answers go where nothing else is printed.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    server = Server(sys.argv[1])
    print(json.dumps({"ready": True}), file=answers)
    for line in sys.stdin:
        try:
            made = server.answer(json.loads(line))
        except Exception as error:
            made = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(made), file=answers)


if __name__ == "__main__":
    main()
