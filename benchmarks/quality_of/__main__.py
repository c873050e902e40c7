"""Train one model with one seed, and print what it reached as a line of JSON.

python -m quality_of PROBLEM MODEL SEED PROCESSOR [--quick]
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time


def main() -> None:
    """Train on one processor; frameworks take all that they see when they are imported."""
    name, model, seed, processor = sys.argv[1:5]
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(processor)})
    problem = importlib.import_module("quality_of.problems").PROBLEMS[name]
    start, start_cpu = time.perf_counter(), time.process_time()
    figures = problem.train(model, int(seed), "--quick" in sys.argv[5:])
    seconds = {"wall": time.perf_counter() - start, "cpu": time.process_time() - start_cpu}
    print(json.dumps({"figures": figures, "seconds": seconds}))


if __name__ == "__main__":
    main()
