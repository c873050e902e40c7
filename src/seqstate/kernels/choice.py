"""The one place where a kernel is chosen for a run of a cell over a sequence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras
import numpy as np
from keras import ops as keras_ops

from seqstate import config
from seqstate.errors import ArgumentError, message
from seqstate.kernels import covered, native_runs, ops
from seqstate.kernels.covered import Reason
from seqstate.kernels.pair import Pair
from seqstate.kernels.problem import Problem, Results


def run(
    problem: Problem, kernel: str = "auto", where: str = "seqstate", pair: Pair | None = None
) -> Results:
    """Run a cell over a sequence with the kernel that fits.

    Args:
        problem: the run.
        kernel: one of `seqstate.config.KERNELS`; with "auto" what `seqstate.config.kernel` says.
        where: who runs it, for messages.
        pair: the pair that the run belongs to, if it may be done with another one.

    Raises:
        ArgumentError: "native" is wanted, and the native kernels don't cover the run.
    """
    asked = _asked(kernel)
    if asked == "portable":
        return ops.portable(problem)
    if isinstance(problem.sequences, np.ndarray):
        # `call` of a layer, without `__call__`, which makes tensors of arrays.
        tensor = keras_ops.convert_to_tensor(problem.sequences)
        problem = replace(problem, sequences=tensor)
    reason = covered.why_not(problem)
    if reason is None:
        return native_runs.run_all([problem])[0] if pair is None else pair.run(problem)
    if asked == "native":
        raise ArgumentError(
            message(
                where,
                f'kernel="native": the native kernels don\'t cover this run: {reason.why}.',
                f'{reason.todo} Or leave kernel="auto": the portable path gives the same numbers.',
            )
        )
    return ops.portable(problem)


def path_of(steps: Any, kernel: str = "auto") -> tuple[str, Reason | None]:
    """Tell which path the runs of a cell take in this process, as far as the call leaves it open.

    Returns:
        "native", "portable" or "refused" (the native kernels are insisted on and can't be had),
        and the reason if it is not native.
    """
    asked = _asked(kernel)
    if asked == "portable":
        by = "the layer was made so" if kernel == asked else "seqstate.config was set so"
        return "portable", Reason(by, 'Say kernel="auto".')
    reason = covered.why_not_here() or covered.why_not_cell(steps)
    if reason is None:
        return "native", None
    return ("refused" if asked == "native" else "portable"), reason


def stops_jit(steps: Any, kernel: str) -> bool:
    """Tell whether XLA must leave a layer alone, because its kernel is a call out of the graph."""
    return (
        _asked(kernel) != "portable"
        and covered.why_not_here() is None
        and keras.backend.backend() == "tensorflow"
        and covered.why_not_cell(steps) is None
    )


def _asked(kernel: str) -> str:
    return config.kernel() if kernel == "auto" else kernel
