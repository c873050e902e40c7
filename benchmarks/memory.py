"""How much memory does a training step take, beside torch's?

A process of its own for each figure: how far its resident memory grows at most beyond what it
holds with the data and the weights in place, in three calls of forward and gradient. A small call
comes first, so that code, threads and the like are not counted.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from cases import GRADIENT, Case

SHAPES = ("seq", "big", "wide")
WARM = "b1"
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
# Module of peers, label of its run, environment.
MEASURED: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("torch_nn", "torch", {}),
    ("native", "ours", {}),
    ("layers", "ours on torch", {"KERAS_BACKEND": "torch"}),
)


def measure(cell: str, shape: str, threads: int) -> dict[str, int]:
    """Give the growth in bytes by label."""
    found = {}
    known = {
        "OMP_NUM_THREADS": str(threads),
        "SEQSTATE_NUM_THREADS": str(threads),
        "SEQSTATE_KERNEL": "native",
    }
    for module, label, environment in MEASURED:
        made = subprocess.run(
            [sys.executable, __file__, module, label, cell, shape],
            env=os.environ | known | environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        found[label] = int(made.stdout)
    return found


def growth(module: str, label: str, cell: str, shape: str) -> int:
    """Measure this process."""
    peer: Any = importlib.import_module(f"peers.{module}")
    _call(peer.runs(Case(cell, WARM, GRADIENT))[label])
    run = peer.runs(Case(cell, shape, GRADIENT))[label]
    gc.collect()
    # What making the data left free would hide what the run takes.
    ctypes.CDLL(None).malloc_trim(0)
    CLEAR.write_text("5")  # the peak starts anew from here
    before = _kib("VmRSS")
    _call(run)
    return 1024 * (_kib("VmHWM") - before)


def _call(run: Any) -> None:
    for _ in range(3):
        run.call()


def _kib(name: str) -> int:
    found = re.search(rf"{name}:\s*(\d+) kB", STATUS.read_text())
    assert found is not None
    return int(found[1])


if __name__ == "__main__":
    print(growth(*sys.argv[1:]))
