"""How fast is a trained model without a framework, for one key, for many, and with a store?

A step of an LSTM from Python beside Keras's `predict_on_batch` on JAX and ONNX Runtime, both with
the states as inputs and outputs; batches of many keys from memory and through SQLite; what it costs
to load a model and to hold a million keys. Run on a quiet machine:

    python benchmarks/stream.py
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import machine
import report
import seqstate
from goals import STREAM_MILLIONS, STREAM_STEP, STREAM_STORED, Verdict
from peers import native
from seqstate import _native
from seqstate.stores import open_store
from stream_peers import keras_file, keras_step, onnx_step
from table import described, table

FEATURES = 8
NEEDED = """
import time, json
start = time.perf_counter()
import numpy, h5py
print(json.dumps({"seconds": time.perf_counter() - start}))
"""
LOAD = """
import os, sys, time, json
start = time.perf_counter()
import seqstate
model = seqstate.load(sys.argv[1])
taken = time.perf_counter() - start
pages = int(open("/proc/self/statm").read().split()[1])
resident = pages * os.sysconf("SC_PAGE_SIZE")
print(json.dumps({"seconds": taken, "bytes": resident}))
"""
MILLION = """
import os, sys, json
import numpy as np
import seqstate
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
model = seqstate.load(sys.argv[1])
with model.streams() as streams:
    streams.push("first", np.ones(8, "float32"))
    before = resident()
    for start in range(0, 1_000_000, 1_000):
        keys = [f"sensor-{i}" for i in range(start, start + 1_000)]
        streams.push_many(keys, np.ones((1_000, 8), "float32"))
    print(json.dumps({"bytes": resident() - before}))
"""

Runs = dict[str, Callable[[], Any]]
Found = dict[str, dict[str, float]]


def in_turn(runs: Runs, rounds: int, seconds: float) -> dict[str, list[float]]:
    """Give the seconds of a call in each round, by name: in every round each has its burst."""
    calls = {}
    for name, run in runs.items():
        run()
        start = perf_counter()
        run()
        calls[name] = max(1, round(seconds / max(perf_counter() - start, 1e-7)))
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            start = perf_counter()
            for _ in range(calls[name]):
                run()
            taken[name].append((perf_counter() - start) / calls[name])
    return taken


def steps(folder: Path) -> Runs:
    """Give a step of LSTM(32) for one key, by each peer."""
    file, weights = keras_file(folder, 32, FEATURES)
    model = seqstate.load(file)
    x = np.random.default_rng(0).standard_normal((1, FEATURES)).astype(np.float32)
    state = model.initial_state(1)
    streams = model.streams()
    keras_run, onnx_run = keras_step(weights, x), onnx_step(weights, x)
    expected = model.step(x, state)[0]
    for name, run in (("Keras", keras_run), ("ONNX Runtime", onnx_run)):
        gap = float(np.abs(run() - expected).max())
        if gap > 1e-5:
            sys.exit(f"{name} is off by {gap}")
    return {
        "ours, model.step": lambda: model.step(x, state),
        "ours, streams.push": lambda: streams.push("key", x[0]),
        "ONNX Runtime": onnx_run,
        "Keras on JAX, predict_on_batch": keras_run,
    }


def batches(folder: Path) -> tuple[Runs, Runs]:
    """Give a batch of many keys of LSTM(64): from memory, and through SQLite and by it alone."""
    file, _ = keras_file(folder, 64, FEATURES)
    model = seqstate.load(file)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1024, FEATURES)).astype(np.float32)
    keys = [f"sensor-{i}" for i in range(1024)]
    memory, sqlite = model.streams(), model.streams(f"sqlite:///{folder}/streams.db")
    some, samples = keys[:1000], x[:1000]
    sqlite.push_many(some, samples)
    store = open_store(f"sqlite:///{folder}/alone.db")
    with open_store(f"sqlite:///{folder}/streams.db") as opened:
        data = [entry.data for entry in opened.get_many(some) if entry]
    version = 0

    def alone() -> None:
        nonlocal version
        store.put_many([(key, one, version) for key, one in zip(some, data, strict=True)])
        version += 1

    return (
        {"push_many, 1,024 keys": lambda: memory.push_many(keys, x)},
        {"push_many, 1,000 keys": lambda: sqlite.push_many(some, samples), "store alone": alone},
    )


def installed(folder: Path) -> list[str]:
    """Lay the package out as an install does, and give the words that run Python with it.

    One that is installed to be edited looks at each start whether it must be built anew.
    """
    package = folder / "installed" / "seqstate"
    shutil.copytree(Path(seqstate.__file__).parent, package)
    shutil.copy(_native.__file__, package)
    compileall.compile_dir(package, quiet=1)
    path = os.pathsep.join([str(package.parent), sysconfig.get_path("purelib")])
    return ["env", f"PYTHONPATH={path}", sys.executable, "-S", "-c"]


def in_processes(codes: dict[str, str], words: list[str], file: Path, times: int) -> Found:
    """Give the medians of what new processes say of themselves, in turn; the first don't count."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in codes}
    for _ in range(times + 1):
        for name, code in codes.items():
            done = subprocess.run([*words, code, file], capture_output=True, text=True, check=True)
            found[name].append(json.loads(done.stdout))
    return {
        name: {key: statistics.median(one[key] for one in all_[1:]) for key in all_[0]}
        for name, all_ in found.items()
    }


def run(given: argparse.Namespace) -> dict[str, Any]:
    """Measure everything."""
    machine.pin(given.threads)
    seqstate.config.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        step = in_turn(steps(folder), given.rounds, given.seconds)
        from_memory, with_store = batches(folder)
        memory = in_turn(from_memory, given.rounds, given.seconds)
        stored = in_turn(with_store, given.rounds, given.seconds)
        file, _ = keras_file(folder, 32, FEATURES)
        words = installed(folder)
        codes = {"load": LOAD, "needed": NEEDED}
        loading = in_processes(codes, words, file, given.rounds)
        million = in_processes({"million": MILLION}, words, file, 1)["million"]
    described_machine = machine.describe(given.threads, native.describe())
    return {
        "machine": described_machine,
        "rounds": given.rounds,
        "step": step,
        "memory": memory,
        "stored": stored,
        "loading": loading,
        "million": million,
    }


def written(found: dict[str, Any]) -> str:
    """Write the results as Markdown."""
    step = {name: statistics.median(taken) for name, taken in found["step"].items()}
    ours, push = step["ours, model.step"], step["ours, streams.push"]
    rows = [
        [
            name,
            f"{1e6 * seconds:.2f}",
            "" if name.startswith("ours") else Verdict(seconds / ours, STREAM_STEP[name]),
            f"{seconds / push:.2f}x",
        ]
        for name, seconds in step.items()
    ]
    (many,) = (statistics.median(taken) for taken in found["memory"].values())
    stored = {name: statistics.median(taken) for name, taken in found["stored"].items()}
    both, alone = stored["push_many, 1,000 keys"], stored["store alone"]
    load, needed = found["loading"]["load"], found["loading"]["needed"]
    figures = [
        ["LSTM(64), 1,024 keys a call, memory: samples a second / 1 million",
         f"{1024 / many:,.0f}", Verdict(1024 / many / 1e6, STREAM_MILLIONS)],
        ["LSTM(64), 1,000 keys a call, SQLite: samples a second / the store alone",
         f"{1000 / both:,.0f} / {1000 / alone:,.0f}", Verdict(alone / both, STREAM_STORED)],
        ["import and load, ms / 150 (NumPy and h5py alone, ms)",
         f"{1e3 * load['seconds']:.0f} ({1e3 * needed['seconds']:.0f})",
         Verdict(load["seconds"] / 0.15, 1, at_most=True)],
        ["resident after it, MB / 60", f"{load['bytes'] / 1e6:.0f}",
         Verdict(load["bytes"] / 60e6, 1, at_most=True)],
        ["a million keys of LSTM(32), growth in MiB / 512",
         f"{found['million']['bytes'] / 2**20:.0f}",
         Verdict(found["million"]["bytes"] / 2**29, 1, at_most=True)],
    ]  # fmt: skip
    return (
        "# Streams without a framework\n\n"
        f"Medians of {found['rounds']} interleaved rounds.\n\n"
        "## A step of LSTM(32) on 8 features, one key, from Python\n\n"
        + table(["", "us", "that / model.step", "that / streams.push"], rows)
        + "\n## Many keys, loading, memory\n\n"
        + table(["", "measured", "ratio, goal"], figures)
        + f"\n## The machine\n\n{described(found['machine'])}"
    )


def main() -> None:
    """Measure, print and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.2, help="how long a burst takes")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="3 short rounds, to see that it works")
    parser.add_argument("--out", type=Path, help="where to write; a whole run knows")
    given = parser.parse_args()
    if given.quick:
        given.rounds, given.seconds = 3, 0.02
    found = run(given)
    text = written(found)
    print(text)
    report.save(given.out or (None if given.quick else machine.RESULTS), "stream", found, text)


if __name__ == "__main__":
    main()
