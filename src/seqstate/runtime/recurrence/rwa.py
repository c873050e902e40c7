"""The recurrent weighted average; `seqstate.layers.RWACell` has the equations."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from seqstate.cells import RWA
from seqstate.kernels.dense import Dense, activate
from seqstate.runtime.activations import Activation
from seqstate.runtime.recurrence.cell import Array
from seqstate.runtime.recurrence.stepped import SteppedCell
from seqstate.state import State


class RWACell(SteppedCell):
    """An RWA cell; see `Cell` for the attributes.

    Args:
        weights: `kernel`, `recurrent_kernel`, `start`, and `bias` if there is one.
        activation: of the average, as the output.
    """

    def __init__(self, weights: Mapping[str, Array], activation: Activation) -> None:
        kernel, recurrent = weights["kernel"], weights["recurrent_kernel"]
        self.features, self.units = kernel.shape[0], len(recurrent)
        self.spec = dict.fromkeys(RWA.states, (self.units,))
        self.gates = dict.fromkeys(RWA.gates, (self.units,))
        bias = np.zeros(3 * self.units, np.float32)
        if "bias" in weights:
            bias[: 2 * self.units] = weights["bias"]
        self._x, self._h = Dense(kernel, bias), Dense(recurrent)
        self._start, self.act = weights["start"], activation

    def start(self) -> State:
        """See `Cell`: `h` starts as it was learned."""
        zeros = np.zeros(self.units, np.float32)
        return {**dict.fromkeys(RWA.states, zeros), "h": self.act(self._start)}

    def step(self, x: Array, state: State) -> tuple[Array, State, State]:
        """See `SteppedCell`."""
        u, x_g, x_a = np.split(self._x(np.ascontiguousarray(x)), 3, axis=-1)
        h_g, h_a = np.split(self._h(state["h"]), 2, axis=-1)
        a = x_a + h_a
        candidate = u * activate("tanh", np.ascontiguousarray(x_g + h_g))
        weight = np.maximum(state["weight"], 0)
        before = np.where(weight > 0, state["max"], a)
        largest = np.maximum(before, a)
        own = np.exp(a - largest)
        weight = weight * np.exp(before - largest) + own
        share = own / weight
        average = state["average"] + share * (candidate - state["average"])
        h = self.act(average)
        new = {"h": h, "average": average, "weight": weight, "max": largest}
        return h, new, {"candidate": candidate, "share": share}
