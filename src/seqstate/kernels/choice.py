"""The one place where a kernel is chosen for a run of a cell over a sequence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras
import numpy as np
from keras import ops as keras_ops

from seqstate import config
from seqstate.errors import ArgumentError, message
from seqstate.kernels import covered, frameworks, ops, translate
from seqstate.kernels.covered import Reason
from seqstate.kernels.problem import Problem, Results
from seqstate.state import State


def run(problem: Problem, kernel: str = "auto", where: str = "seqstate") -> Results:
    """Run a cell over a sequence with the kernel that fits.

    Args:
        problem: the run.
        kernel: one of `seqstate.config.KERNELS`; with "auto" what `seqstate.config.kernel` says.
        where: who runs it, for messages.

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
        return native(problem)
    if asked == "native":
        raise ArgumentError(
            message(
                where,
                f'kernel="native": the native kernels don\'t cover this run: {reason.why}.',
                f'{reason.todo} Or leave kernel="auto": the portable path gives the same numbers.',
            )
        )
    return ops.portable(problem)


def native(problem: Problem) -> Results:
    """Run one of our own cells, or a stack of them, with the native kernels."""
    if hasattr(problem.steps, "inner"):
        return _stack(problem)
    spec = translate.spec_of(problem)
    return translate.results_of(spec, frameworks.run(spec, translate.inputs_of(problem)))


def _stack(problem: Problem) -> Results:
    """Run each cell of a stack over the whole sequence of the cell below it.

    That is the same as all cells step by step: no cell reads what the one above it does, and at
    a step that the mask skips, all of them stay as they were.
    """
    p, cells = problem, problem.steps.inner
    last = list(cells)[-1]
    results: dict[str, Results] = {}
    for name, steps in cells.items():
        results[name] = native(
            replace(
                p,
                steps=steps,
                state=p.state[name],
                fresh=p.fresh[name],
                drawn=p.drawn[name],
                every_step=p.every_step or name != last,
            )
        )
        # The cells above the first run in the order in which that one ran.
        p = replace(p, sequences=results[name].sequence)
        if p.go_backwards:
            p = replace(p, mask=_flip(p.mask), reset_mask=_flip(p.reset_mask), go_backwards=False)

    def each(quantity: str) -> State:
        return {name: getattr(result, quantity) for name, result in results.items()}

    return Results(
        output=results[last].output,
        state=each("state"),
        sequence=results[last].sequence,
        states=each("states") if problem.every_step else None,
        gates=each("gates") if problem.gates else None,
    )


def _flip(mask: Any) -> Any:
    return None if mask is None else keras_ops.flip(mask, axis=1)


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
