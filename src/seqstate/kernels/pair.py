"""Two layers whose runs are one native call, as the two directions of a `Bidirectional`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

from seqstate.kernels import frameworks, native_runs
from seqstate.kernels.problem import Problem, Results


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
        if frameworks.is_compiling():
            return None  # The compiler can't see what is being called.
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
            self._results, results = native_runs.run_all([self._waits, problem])
            return results
        if self._is_called:
            return native_runs.run_all([problem])[0]
        self._waits = problem
        self._call_second_once()
        self._waits = None
        return native_runs.run_all([problem])[0] if self._results is None else self._results

    def _call_second_once(self) -> Any:
        if not self._is_called:
            self._is_called = True
            self._second = self._call_second()
        return self._second


# A layer takes no argument that Keras's layers don't take; each thread has its own calls.
_CALLED: ContextVar[Pair | None] = ContextVar("pair", default=None)
