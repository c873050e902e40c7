"""What is measured: the shapes, the work in each, and the data that every peer is given.

The work of a case, the same for every peer:

    forward   from the inputs to the sequence and the state after the last step. At `step` the
              initial state goes in as well; elsewhere it is zeros.
    gradient  forward, then, from cotangents of the sequence and of the last state, the gradients
              of kernel, recurrent kernel and bias. Not those of the inputs, no loss, no optimizer.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from seqstate.cells import KINDS

Array = npt.NDArray[Any]

CELLS = ("LSTM", "GRU", "SimpleRNN")
FORWARD, GRADIENT = TASKS = ("forward", "gradient")
# An epoch of `model.fit`, of `fit.py` only.
FIT = "fit"
# Of our own kernels only; `plain` is what the peers do.
PLAIN, MASK, EVERY, DROPOUT = VARIANTS = ("plain", "mask", "states and gates", "recurrent dropout")


@dataclass(frozen=True)
class Shape:
    """The sizes of a case."""

    batch: int
    time: int
    features: int
    units: int

    def __str__(self) -> str:
        return f"B{self.batch} T{self.time} F{self.features} U{self.units}"


SHAPES = {
    "seq": Shape(32, 100, 64, 128),
    "b1": Shape(1, 100, 8, 64),
    "step": Shape(1, 1, 8, 32),
    "big": Shape(64, 100, 256, 512),
    "small": Shape(32, 30, 1, 50),
    "wide": Shape(256, 50, 16, 32),
}


@dataclass(frozen=True)
class Case:
    """One cell at one shape, doing one task."""

    cell: str
    shape: str
    task: str
    variant: str = PLAIN

    def __str__(self) -> str:
        extra = "" if self.variant == PLAIN else f", {self.variant}"
        return f"{self.cell} {self.task} {self.shape}{extra}"

    @property
    def sizes(self) -> Shape:
        """The sizes behind the shape's name."""
        return SHAPES[self.shape]

    @property
    def carries(self) -> bool:
        """Whether the state goes in: it does where a stream is cut into steps."""
        return self.sizes.time == 1

    @property
    def flops(self) -> int:
        """Floating-point operations of the matrix products; activations are not counted.

        Forward, each step multiplies features and units by the kernels; the gradient does the
        same once more for the gradients of the weights, and multiplies units once more for the
        gradient of the state.
        """
        s = self.sizes
        depth = s.features + s.units
        if self.task == GRADIENT:
            depth += depth + s.units
        return 2 * s.batch * s.time * KINDS[self.cell].blocks * s.units * depth

    def as_json(self) -> dict[str, str]:
        """Give what `Case(**...)` takes."""
        return asdict(self)


@dataclass(frozen=True)
class Data:
    """The arrays of a case, float32 and batch-major, weights in Keras's shapes.

    Attributes:
        x: `[batch, time, features]`.
        weights: `kernel`, `recurrent_kernel`, `bias`.
        initial: the initial state by name, empty where it is zeros.
        cotangents: of `sequence` and `last_*`, and in the variant with states and gates of
            `states_c` and `gates_*` too.
        mask: `[batch, time]`, or None.
        recurrent_dropout: `[1 or blocks, batch, units]`, scaled, or None: as many masks as the
            layers draw.
    """

    x: Array
    weights: dict[str, Array]
    initial: dict[str, Array]
    cotangents: dict[str, Array]
    mask: Array | None
    recurrent_dropout: Array | None


def data_of(case: Case) -> Data:
    """Draw the data of a case: the same in every process."""
    rng = np.random.default_rng(0)
    s, kind = case.sizes, KINDS[case.cell]
    columns = kind.blocks * s.units

    def normal(*size: int, scale: float = 1.0) -> Array:
        return (scale * rng.standard_normal(size)).astype(np.float32)

    weights = {
        "kernel": normal(s.features, columns, scale=s.features**-0.5),
        "recurrent_kernel": normal(s.units, columns, scale=s.units**-0.5),
        "bias": normal(*([2] if case.cell == "GRU" else []), columns, scale=0.1),
    }
    x = normal(s.batch, s.time, s.features)
    row, every = (s.batch, s.units), (s.batch, s.time, s.units)
    initial = {name: normal(*row, scale=0.5) for name in kind.states} if case.carries else {}
    cotangents = {"sequence": normal(*every)}
    cotangents |= {f"last_{name}": normal(*row) for name in kind.states}
    if case.variant == EVERY:
        cotangents |= {f"states_{name}": normal(*every) for name in kind.states[1:]}
        cotangents |= {f"gates_{name}": normal(*every) for name in kind.gates}
    lengths = rng.integers(s.time // 2, s.time + 1, size=s.batch)
    mask = np.arange(s.time) < lengths[:, None] if case.variant == MASK else None
    masks = kind.blocks if kind.gates else 1
    kept = (rng.random((masks, *row)) < 0.8).astype(np.float32) / np.float32(0.8)
    return Data(x, weights, initial, cotangents, mask, kept if case.variant == DROPOUT else None)


def cases_of(cells: list[str], shapes: list[str]) -> list[Case]:
    """List the cases that have peers. A single step has no gradient worth a figure."""
    return [
        Case(cell, shape, task)
        for cell in cells
        for task in TASKS
        for shape in shapes
        if not (task == GRADIENT and SHAPES[shape].time == 1)
    ]
