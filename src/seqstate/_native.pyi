"""The compiled kernels; `seqstate.kernels.native` is the way to them.

An array here is a NumPy array, a tensor on the CPU, or a tuple of address, dtype ("float32" or
"bool"), shape and strides in elements, whose memory the caller keeps alive. Names and shapes are
those of `seqstate.kernels.call`. Results are written into the arrays that are passed.
`forward_all` and `gradient_all` take what several calls of `forward` or of `gradient` do, each as a
tuple up to `build`; none of them may write what another one reads or writes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Arrays = Mapping[str, Any]
Floats = npt.NDArray[np.float32]

def forward(
    kind: str,
    activation: str,
    recurrent_activation: str,
    reset_after: bool,
    go_backwards: bool,
    inputs: Arrays,
    results: Arrays,
    build: str | None = None,
) -> None: ...
def gradient(
    kind: str,
    activation: str,
    recurrent_activation: str,
    reset_after: bool,
    go_backwards: bool,
    inputs: Arrays,
    results: Arrays,
    cotangents: Arrays,
    gradients: Arrays,
    build: str | None = None,
) -> None: ...
def forward_all(calls: Sequence[tuple[Any, ...]], build: str | None = None) -> None: ...
def gradient_all(calls: Sequence[tuple[Any, ...]], build: str | None = None) -> None: ...
def build_name() -> str: ...
def builds() -> tuple[str, ...]: ...
def runs_here(name: str) -> bool: ...
def lanes(build: str | None = None) -> int: ...
def fused(build: str | None = None) -> bool: ...
def threads() -> int: ...
def set_threads(threads: int) -> None: ...
def peak(threads: int, seconds: float, build: str | None = None) -> float: ...
def facts() -> dict[str, Any]: ...
def xla_targets() -> dict[str, Any]: ...

xla_api: tuple[int, int]

class Cell:
    def __init__(
        self,
        kind: str,
        activation: str,
        recurrent_activation: str,
        reset_after: bool,
        weights: Arrays,
        build: str | None = None,
    ) -> None: ...
    def run(self, inputs: Arrays, results: Arrays, go_backwards: bool = False) -> None: ...
    def prepare(self, inputs: Arrays, results: Arrays, go_backwards: bool = False) -> Prepared:
        """Check the arrays of a run once, for runs on whatever they hold by then."""
    def step(self, x: Any, h: Any, c: Any = None) -> tuple[Floats, ...]:
        """Give the states after one step, in new arrays.

        Args:
            x: [batch, features].
            h: [batch, units].
            c: the same, for an LSTM.
        """

class Prepared:
    """A call whose arrays were checked and are kept; for one thread at a time."""

    def __call__(self) -> None: ...

class Dense:
    features: int
    units: int

    def __init__(
        self, kernel: Any, bias: Any = None, activation: str = "linear", build: str | None = None
    ) -> None: ...
    def __call__(self, x: Any, out: Any = None) -> Floats: ...
    def prepare(self, x: Any, out: Any) -> Prepared: ...

def activate(function: str, x: Any, out: Any, build: str | None = None) -> None: ...
def finite(x: Any) -> bool: ...
def gather(packed: Any, rows: Any, out: Any = None) -> Floats: ...
def scatter(packed: Any, rows: Any, values: Any) -> None: ...
def read_row(packed: list[Any], row: int) -> list[Floats]: ...
def write_row(packed: list[Any], row: int, values: list[Any]) -> int: ...

class Stepper:
    def __init__(self, cell: Cell, h: Any, c: Any = None) -> None: ...
    def step(self, x: Any) -> Any: ...
