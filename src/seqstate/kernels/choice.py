"""The one place where a kernel is chosen for a run of a cell over a sequence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
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
        return native([problem])[0] if pair is None else pair.run(problem)
    if asked == "native":
        raise ArgumentError(
            message(
                where,
                f'kernel="native": the native kernels don\'t cover this run: {reason.why}.',
                f'{reason.todo} Or leave kernel="auto": the portable path gives the same numbers.',
            )
        )
    return ops.portable(problem)


class Pair:
    """Two layers whose runs become one native call, if the kernels cover both.

    A layer knows its run only in the midst of its call, and its call ends with the results. So
    the second layer is called from within the call of the first one, when the run of that one is
    known; what the first one needs is there when the call of the second one ends. If the first
    one does not come to a native run, the second one is called when the first one is done.

    Args:
        layers: the two layers.
        calls: what calls each of them.
    """

    def __init__(self, layers: Sequence[Any], calls: Sequence[Callable[[], Any]]) -> None:
        self._layers, (self._call_first, self._call_second) = layers, calls
        self._is_called = False
        self._second: Any = None
        self._waits: Problem | None = None
        self._results: Results | None = None

    @staticmethod
    def of(layer: Any) -> Pair | None:
        """Give the pair that is being called, if the layer is one of the two."""
        pair = _CALLED.get()
        return pair if pair is not None and any(layer is one for one in pair._layers) else None

    def call(self) -> tuple[Any, Any]:
        """Give what the two layers return."""
        before = _CALLED.set(self)
        try:
            return self._call_first(), self._call_second_once()
        finally:
            _CALLED.reset(before)

    def run(self, problem: Problem) -> Results:
        """Run what one of the two layers has to run."""
        if self._waits is not None:
            self._results, results = native([self._waits, problem])
            return results
        if self._is_called:
            return native([problem])[0]
        self._waits = problem
        self._call_second_once()
        self._waits = None
        return native([problem])[0] if self._results is None else self._results

    def _call_second_once(self) -> Any:
        if not self._is_called:
            self._is_called = True
            self._second = self._call_second()
        return self._second


# A layer takes no argument that Keras's layers don't take; each thread has its own calls.
_CALLED: ContextVar[Pair | None] = ContextVar("pair", default=None)


def native(problems: Sequence[Problem]) -> list[Results]:
    """Run our own cells, or stacks of them, with the native kernels, several at once."""
    heights = {len(getattr(problem.steps, "inner", ())) for problem in problems}
    if len(heights) > 1:
        return [native([problem])[0] for problem in problems]
    if heights != {0}:
        return _stacks(problems)
    specs = [translate.spec_of(problem) for problem in problems]
    inputs = [translate.inputs_of(problem) for problem in problems]
    made = frameworks.run_all(list(zip(specs, inputs, strict=True)))
    return [translate.results_of(*each) for each in zip(specs, made, strict=True)]


def _stacks(problems: Sequence[Problem]) -> list[Results]:
    """Run each cell of stacks of one height over the whole sequence of the cell below it.

    That is the same as all cells step by step: no cell reads what the one above it does, and at
    a step that the mask skips, all of them stay as they were.
    """
    runs = list(problems)
    found: list[dict[str, Results]] = [{} for _ in problems]
    for level in zip(*(p.steps.inner.items() for p in problems), strict=True):
        own = [_of_cell(p, name, steps) for p, (name, steps) in zip(runs, level, strict=True)]
        for i, results in enumerate(native(own)):
            found[i][level[i][0]] = results
            # The cells above the first run in the order in which that one ran.
            p = runs[i] = replace(runs[i], sequences=results.sequence)
            if p.go_backwards:
                turned = {"mask": _flip(p.mask), "reset_mask": _flip(p.reset_mask)}
                runs[i] = replace(p, **turned, go_backwards=False)
    return [_of_stack(*each) for each in zip(problems, found, strict=True)]


def _of_cell(p: Problem, name: str, steps: Any) -> Problem:
    """Give what one cell of a stack has to run."""
    return replace(
        p,
        steps=steps,
        state=p.state[name],
        fresh=p.fresh[name],
        drawn=p.drawn[name],
        every_step=p.every_step or name != list(p.steps.inner)[-1],
    )


def _of_stack(problem: Problem, results: dict[str, Results]) -> Results:
    """Make the results of a stack of those of its cells."""

    def each(quantity: str) -> State:
        return {name: getattr(result, quantity) for name, result in results.items()}

    last = list(results)[-1]
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
