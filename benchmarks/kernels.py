"""How fast are the kernels beside everybody else's?

Ours on NumPy, in JAX and in torch; torch, ONNX Runtime, Keras on JAX and on torch and a `lax.scan`
written by hand, in turn, each with the same numbers in and out. `cases.py` says what is measured,
`goals.py` what was promised. Run on a quiet machine:

    python benchmarks/kernels.py
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any

import machine
import memory
import report
from cases import CELLS, SHAPES, VARIANTS, Case, cases_of
from machine import Probe
from peers.names import KERNEL_PEERS
from rounds import NoisyError, Worker, WorkerError, Workers, measure

PARTS = ("peers", "variants", "memory")


class Session:
    """The workers, and what one run of this script asks of them."""

    def __init__(self, workers: Workers, given: argparse.Namespace, folder: Path) -> None:
        self.given, self.folder = given, folder
        self.oracle = workers.start("oracle", given.threads)
        self.peers = [workers.start(name, given.threads, **env) for name, env in KERNEL_PEERS]
        self.native = self.peers[0]
        self.probe = Probe(workers, self.native, given.threads)

    def expected(self, case: Case) -> str:
        """Have the expected numbers written, and give the path."""
        path = str(self.folder / "expected.npz")
        self.oracle.ask("prepare", case=case.as_json())
        self.oracle.ask("save", path=path)
        return path

    def beside_peers(self, case: Case) -> dict[str, Any]:
        """Measure a case with everybody who can do it."""
        expected = self.expected(case)
        runs: list[tuple[Worker, str]] = []
        errors: dict[str, float] = {}
        for worker in self.peers:
            made = worker.ask("prepare", case=case.as_json(), expected=expected)
            runs += [(worker, label) for label in made["labels"]]
            errors |= made["errors"]
        return case.as_json() | {"errors": errors} | self.measured(str(case), runs)

    def variants(self, case: Case) -> dict[str, Any]:
        """Measure what our own kernel takes for more than the plain work."""
        runs = []
        self.native.ask("drop")
        for variant in VARIANTS:
            varied = Case(case.cell, case.shape, case.task, variant)
            made = self.native.ask("add", case=varied.as_json(), expected=self.expected(varied))
            # The first label is of the run that `ours` stands for.
            runs.append((self.native, made["labels"][0]))
        return case.as_json() | self.measured(f"variants of {case}", runs)

    def measured(self, name: str, runs: list[tuple[Worker, str]]) -> dict[str, Any]:
        """Measure runs in turn, between two probes."""
        given = self.given
        taken = self.probe.around(
            lambda: measure(runs, given.rounds, given.seconds), given.attempts
        )
        for worker in self.peers:
            worker.ask("drop")
        probe = self.probe.kept[-1]
        return {"case": name, "seconds": taken, "probe": probe, "gflops": sum(probe) / 2}


def run(given: argparse.Namespace) -> dict[str, Any]:
    """Measure all that is asked for."""
    machine.pin(given.threads)
    cases = cases_of(given.cells, given.shapes)
    found: dict[str, Any] = {"rounds": given.rounds}
    found |= {part: [] for part in (*PARTS, "missing")}

    def add(part: str, name: str, measurement: Callable[[], dict[str, Any]]) -> None:
        print(name, flush=True)
        try:
            found[part].append(measurement())
        except (NoisyError, WorkerError, CalledProcessError) as error:
            print(f"  not measured: {error}", flush=True)
            found["missing"].append(f"{name}: {error}")

    with Workers() as workers, tempfile.TemporaryDirectory() as folder:
        session = Session(workers, given, Path(folder))
        for case in cases if "peers" in given.parts else []:
            add("peers", f"{case}: {case.sizes}", lambda c=case: session.beside_peers(c))
        for case in cases if "variants" in given.parts else []:
            if not case.carries:
                add("variants", f"variants of {case}", lambda c=case: session.variants(c))
        description = machine.describe(given.threads, session.native.ask("describe")["own"])
        description |= session.probe.finish()
        for part in ("peers", "variants"):
            found[part] = session.probe.good(found[part], found["missing"])
    for shape in memory.SHAPES if "memory" in given.parts else []:
        if shape in given.shapes:
            add("memory", f"memory at {shape}", lambda s=shape: memory_at(s, given.threads))
    return {"machine": description} | found


def memory_at(shape: str, threads: int) -> dict[str, Any]:
    """Measure by how much a training step of an LSTM makes a process grow."""
    return {"cell": "LSTM", "shape": shape, "bytes": memory.measure("LSTM", shape, threads)}


def main() -> None:
    """Measure, print and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=list(CELLS))
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.06, help="how long a burst takes")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--attempts", type=int, default=3, help="how often a case may be measured")
    parser.add_argument("--quick", action="store_true", help="3 short rounds, to see that it works")
    parser.add_argument("--out", type=Path, help="where to write; a whole run knows")
    given = parser.parse_args()
    if given.quick:
        given.rounds, given.seconds = 3, 0.02
    complete = (set(given.cells), set(given.shapes), set(given.parts)) == (
        set(CELLS),
        set(SHAPES),
        set(PARTS),
    )
    try:
        found = run(given)
    except (NoisyError, WorkerError) as error:
        sys.exit(f"The run can't go on: {error}")
    text = report.written(found)
    print(text)
    whole = complete and not given.quick
    report.save(given.out or (machine.RESULTS if whole else None), "kernels", found, text)
    if found["missing"]:
        sys.exit(f"{len(found['missing'])} of the cases could not be measured.")


if __name__ == "__main__":
    main()
