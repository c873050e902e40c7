"""What each cell is: its states and its gates, by name and in the order of memory.

These facts are stated here only. Layers, kernels, plots and messages read them from here.

References:
    SimpleRNN: Elman, Finding Structure in Time, Cognitive Science 14 (1990).
    GRU: Cho et al., arXiv:1406.1078 (v1: `reset_after=True`, v3: `reset_after=False`).
    LSTM: Hochreiter and Schmidhuber, Neural Computation 9 (1997), with the forget gate of
    Gers et al., Neural Computation 12 (2000).
    RWA: Ostmeyer and Cowell, arXiv:1703.01253.
"""

from __future__ import annotations

from typing import NamedTuple


class CellKind(NamedTuple):
    """The names that belong to one kind of cell.

    Attributes:
        name: the class name of the layer.
        states: what is carried from step to step; the first one is also the output.
        gates: the activated gates, in the order in which the kernels hold them.
        blocks: how many blocks of `units` columns the kernels have.
    """

    name: str
    states: tuple[str, ...]
    gates: tuple[str, ...]
    blocks: int


SIMPLE_RNN = CellKind("SimpleRNN", states=("h",), gates=(), blocks=1)
GRU = CellKind("GRU", states=("h",), gates=("update", "reset", "candidate"), blocks=3)
LSTM = CellKind(
    "LSTM", states=("h", "c"), gates=("input", "forget", "candidate", "output"), blocks=4
)
RWA = CellKind(
    "RWA", states=("h", "average", "weight", "max"), gates=("candidate", "share"), blocks=3
)

# Those that the native kernels know.
KINDS = {kind.name: kind for kind in (SIMPLE_RNN, GRU, LSTM)}
