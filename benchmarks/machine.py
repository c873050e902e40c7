"""What the figures were measured on, and whether it was in a good phase."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

from quiet import Quiet
from rounds import NoisyError, Worker, Workers

Measured = TypeVar("Measured")

# Probes around a measurement may differ by this share of the larger, and fall this far below the
# best that this machine has shown.
MAY_DIFFER = 0.1
AT_LEAST = 0.85
# Seconds of one probe.
PROBE = 0.2
RESULTS = Path(__file__).parent / "results"
PEAKS = RESULTS / "peaks.json"
PACKAGES = ("seqstate", "numpy", "keras", "jax", "torch", "onnxruntime", "tensorflow-cpu")


def pin(threads: int) -> None:
    """Leave this process, and all that it starts, so many processors: XLA takes all it sees."""
    available = sorted(os.sched_getaffinity(0))
    if len(available) < threads:
        raise NoisyError(f"{threads} threads asked for, {len(available)} processors here")
    os.sched_setaffinity(0, available[:threads])


def cpu() -> str:
    """Give the processor's own name, family and model: a virtual machine's name says little."""
    text = Path("/proc/cpuinfo").read_text().partition("\n\n")[0]
    found = dict(re.findall(r"^(.+?)\s*: (.*)$", text, re.MULTILINE))
    return f"{found['model name']} (family {found['cpu family']}, model {found['model']})"


def describe(threads: int, native: dict[str, Any]) -> dict[str, Any]:
    """Describe the machine and the software."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    kib = int(re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())[1])  # type: ignore[index]
    return {
        "cpu": cpu(),
        "processors": os.cpu_count(),
        "memory GiB": round(kib / 2**20),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "compiler": _compiler(),
        "threads": threads,
        **native,
        "versions": versions,
    }


def _compiler() -> str:
    made = subprocess.run(["c++", "--version"], capture_output=True, text=True, check=False)
    return made.stdout.partition("\n")[0]


class Probe:
    """The peak of the processor, measured again and again beside the rest."""

    def __init__(self, workers: Workers, native: Worker, threads: int) -> None:
        self.workers, self.native, self.threads = workers, native, threads
        self.kept: list[tuple[float, float]] = []
        self.key = f"{cpu()}, {threads} threads"
        self.best = _peaks().get(self.key, 0.0)

    def __call__(self) -> float:
        """Measure the peak in GFLOP/s."""
        made = self.native.ask("peak", threads=self.threads, seconds=PROBE)
        gflops = float(made["gflops"])
        self.best = max(self.best, gflops)
        return gflops

    def around(self, measurement: Callable[[], Measured], attempts: int) -> Measured:
        """Measure between two probes, again if the phase was bad.

        Raises:
            NoisyError: every attempt was in a bad phase.
        """
        for attempt in range(1, attempts + 1):
            before = self()
            try:
                quiet = Quiet(worker.process.pid for worker in self.workers.all)
                made = measurement()
                quiet.check()
                after = self()
                self.check(before, after)
            except NoisyError as error:
                print(f"  thrown away ({attempt} of {attempts}): {error}", flush=True)
                last = error
            else:
                self.kept.append((before, after))
                return made
        raise last

    def check(self, before: float, after: float) -> None:
        """Refuse what was measured between two probes in a bad phase.

        Raises:
            NoisyError: the probes differ, or are far below the best one seen.
        """
        low, high = sorted((before, after))
        if low < (1 - MAY_DIFFER) * high:
            raise NoisyError(f"the peak went from {before:.0f} to {after:.0f} GFLOP/s")
        if low < AT_LEAST * self.best:
            raise NoisyError(f"the peak is {low:.0f} GFLOP/s; {self.best:.0f} were seen here")

    def good(self, records: list[dict[str, Any]], missing: list[str]) -> list[dict[str, Any]]:
        """Give the records, each with its `probe`, that are good now that the best peak is known.

        Args:
            records: what was measured.
            missing: takes a line for each of the others.
        """
        found = []
        for record in records:
            try:
                self.check(*record["probe"])
            except NoisyError as error:
                missing.append(f"{record['case']}: {error}")
            else:
                found.append(record)
        return found

    def finish(self) -> dict[str, str]:
        """Keep the best peak for the next run, and describe this one's."""
        PEAKS.parent.mkdir(exist_ok=True)
        PEAKS.write_text(json.dumps(_peaks() | {self.key: round(self.best, 1)}, indent=2) + "\n")
        probes = [gflops for pair in self.kept for gflops in pair] or [self.best]
        return {"peak": f"{min(probes):.0f} to {max(probes):.0f} GFLOP/s, best {self.best:.0f}"}


def _peaks() -> dict[str, float]:
    found: dict[str, float] = json.loads(PEAKS.read_text()) if PEAKS.exists() else {}
    return found
