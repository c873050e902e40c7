"""How long does an epoch of `model.fit` take with our LSTM, and with Keras's own?

Keras's trainer, Adam, 100 batches, on every backend; ours and Keras's in turn, each backend in a
process of its own.

Run on a quiet machine:

    python benchmarks/fit.py
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path
from typing import Any

import goals
import machine
import report
from cases import FIT, SHAPES, Case
from machine import Probe
from peers.names import FIT_PEERS
from rounds import NoisyError, WorkerError, Workers, measure
from table import described, milliseconds, table


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=["seq", "small"])
    parser.add_argument("--backends", nargs="+", choices=FIT_PEERS, default=list(FIT_PEERS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--attempts", type=int, default=3, help="how often a case may be measured")
    parser.add_argument("--out", type=Path, help="where to write; a whole run knows")
    given = parser.parse_args()
    whole = set(given.backends) == set(FIT_PEERS) and set(given.shapes) == {"seq", "small"}
    try:
        found = run(given)
    except (NoisyError, WorkerError) as error:
        sys.exit(f"The run can't go on: {error}")
    text = written(found)
    print(text)
    report.save(given.out or (machine.RESULTS if whole else None), "fit", found, text)
    if found["missing"]:
        sys.exit(f"{len(found['missing'])} of the cases could not be measured.")


def run(given: argparse.Namespace) -> dict[str, Any]:
    """Measure every backend at every shape."""
    machine.pin(given.threads)
    records: list[dict[str, Any]] = []
    missing: list[str] = []
    with Workers() as workers:
        native = workers.start("native", given.threads)
        probe = Probe(workers, native, given.threads)
        processes = {
            backend: workers.start("fit_epoch", given.threads, **FIT_PEERS[backend])
            for backend in given.backends
        }
        for shape in given.shapes:
            case = Case("LSTM", shape, FIT)
            print(f"{case}: {case.sizes}", flush=True)
            for backend, worker in processes.items():
                record = {"case": f"{shape} on {backend}", "shape": shape, "backend": backend}
                try:
                    labels = worker.ask("prepare", case=case.as_json())["labels"]
                    pairs = [(worker, label) for label in labels]
                    record["seconds"] = probe.around(
                        lambda p=pairs: measure(p, given.rounds, 0.0), given.attempts
                    )
                    worker.ask("drop")
                except (NoisyError, WorkerError) as error:
                    missing.append(f"{record['case']}: {error}")
                else:
                    records.append(record | {"probe": probe.kept[-1]})
        description = machine.describe(given.threads, native.ask("describe")["own"])
        description |= probe.finish()
        epochs = probe.good(records, missing)
    return {
        "machine": description,
        "rounds": given.rounds,
        "epochs": epochs,
        "missing": missing,
    }


def written(found: dict[str, Any]) -> str:
    """Write the results as Markdown."""
    rows = []
    for record in found["epochs"]:
        medians = {k: statistics.median(v) for k, v in record["seconds"].items()}
        backend, shape = record["backend"], record["shape"]
        keras, ours = medians[f"Keras on {backend}"], medians[f"ours on {backend}"]
        verdict = goals.Verdict(keras / ours, goals.FIT.get((backend, shape)))
        sizes = f"{shape} {SHAPES[shape]}"
        rows.append([sizes, backend, milliseconds(keras), milliseconds(ours), verdict])
    return (
        "# An epoch of fit with LSTM\n\n"
        f"{__doc__.split(chr(10) * 2)[1]}\n"
        f"Medians of {found['rounds']} interleaved rounds, ms an epoch.\n\n"
        + table(["shape", "backend", "Keras's layer", "ours", "Keras's / ours"], rows)
        + report.not_measured(found["missing"])
        + f"\n## The machine\n\n{described(found['machine'])}"
    )


if __name__ == "__main__":
    main()
