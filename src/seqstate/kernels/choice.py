"""The one place where a kernel is chosen for a run of a cell over a sequence."""

from __future__ import annotations

from collections.abc import Callable

from seqstate.kernels import ops
from seqstate.kernels.problem import Problem, Results

Kernel = Callable[[Problem], Results]

KERNELS: dict[str, Kernel] = {"portable": ops.portable}


def run(problem: Problem) -> Results:
    """Run a cell over a sequence with the kernel that fits."""
    return KERNELS["portable"](problem)
