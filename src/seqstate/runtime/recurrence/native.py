"""The cells that the native kernels know, and the same in NumPy for any activation."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np

from seqstate.cells import GRU, KINDS, LSTM, CellKind
from seqstate.kernels import native
from seqstate.kernels.dense import Dense
from seqstate.runtime.activations import Activation
from seqstate.runtime.plan.maker import zeros_like_spec
from seqstate.runtime.recurrence.cell import Array, Ran, Wanted
from seqstate.runtime.recurrence.stepped import SteppedCell
from seqstate.state import State


class NativeCell:
    """A SimpleRNN, GRU or LSTM cell on the native kernels; see `Cell` for the attributes.

    Args:
        kind: which.
        weights: `kernel`, `recurrent_kernel`, `bias` and `recurrent_bias`, those that there are.
        activation: of the candidate.
        recurrent_activation: of the gates.
        reset_after: the variant of the GRU.
    """

    def __init__(
        self,
        kind: str,
        weights: Mapping[str, Array],
        activation: str,
        recurrent_activation: str,
        reset_after: bool,
    ) -> None:
        names = KINDS[kind]
        self.features: int | None = weights["kernel"].shape[0]
        self.units = len(weights["recurrent_kernel"])
        self.spec: Mapping[str, Any] = dict.fromkeys(names.states, (self.units,))
        self.gates: Mapping[str, Any] = dict.fromkeys(names.gates, (self.units,))
        self._kept = len(names.gates) + (names is GRU and reset_after)
        self._cell = native.module().Cell(
            kind, activation, recurrent_activation, reset_after, dict(weights)
        )
        self._run = self._cell.run
        self._has_c = names is LSTM
        self._held = _Held()

    def start(self) -> State:
        """See `Cell`."""
        return zeros_like_spec(self.spec)

    def listed(self, state: State) -> list[Any]:
        """See `Cell`."""
        return list(state.values())

    def run(
        self, x: Array, state: State, mask: Array, wanted: Wanted, backwards: bool = False
    ) -> Ran:
        """See `Cell`."""
        batch, time, _ = x.shape
        units = self.units
        inputs = {"x": x, **{f"initial_{name}": leaf for name, leaf in state.items()}}
        results = {f"last_{name}": np.empty((batch, units), np.float32) for name in self.spec}
        if mask is not None:
            inputs["mask"] = mask
        if wanted.each:
            for name in self.spec:
                results[f"states_{name}"] = np.empty((batch, time, units), np.float32)
        if wanted.gates and self._kept:
            results["kept"] = np.empty((time, batch, self._kept, units), np.float32)
        self._run(inputs, results, backwards)
        after = {name: results[f"last_{name}"] for name in self.spec}
        gates = None
        if wanted.gates:
            gates = {
                name: results["kept"].transpose(2, 1, 0, 3)[i] for i, name in enumerate(self.gates)
            }
        return Ran(
            after["h"],
            after,
            results.get("states_h"),
            {name: results[f"states_{name}"] for name in self.spec} if wanted.each else None,
            gates,
        )

    def step(self, x: Array, state: State) -> State:
        """Make one step of `[batch, 1, features]`; what streams spend their time in."""
        held = self._held
        h = state["h"]
        if held.shape != h.shape:
            held.hold(self._cell, h.shape, self._has_c)
        np.copyto(held.h, h)
        if not self._has_c:
            held.step(x[:, 0])
            return {"h": held.h.copy()}
        np.copyto(held.c, state["c"])
        held.step(x[:, 0])
        return {"h": held.h.copy(), "c": held.c.copy()}


class _Held(threading.local):
    """A state in one place, that one thread steps: it costs less than to name new arrays."""

    shape: tuple[int, ...] | None = None

    def hold(self, cell: Any, shape: tuple[int, ...], has_c: bool) -> None:
        """Make room for a state of another shape."""
        self.shape = shape
        self.h: Array = np.zeros(shape, np.float32)
        self.c: Array = np.zeros(shape, np.float32) if has_c else None
        self.step = native.module().Stepper(cell, self.h, self.c).step


class PlainCell(SteppedCell):
    """The same cells in NumPy, with any activation.

    Args:
        kind: which.
        weights: as of `NativeCell`.
        activation: of the candidate.
        recurrent_activation: of the gates.
        reset_after: the variant of the GRU.
    """

    def __init__(
        self,
        kind: CellKind,
        weights: Mapping[str, Array],
        activation: Activation,
        recurrent_activation: Activation,
        reset_after: bool,
    ) -> None:
        recurrent = weights["recurrent_kernel"]
        self.features, self.units = weights["kernel"].shape[0], len(recurrent)
        self.spec = dict.fromkeys(kind.states, (self.units,))
        self.gates = dict.fromkeys(kind.gates, (self.units,))
        self.kind, self.act, self.gate = kind, activation, recurrent_activation
        self.reset_after = reset_after
        self._x = Dense(weights["kernel"], weights.get("bias"))
        own = weights.get("recurrent_bias")
        self._h = Dense(recurrent, own)
        if kind is GRU and not reset_after:
            self._h = Dense(recurrent[:, : 2 * self.units])
            self._candidate = Dense(recurrent[:, 2 * self.units :])

    def step(self, x: Array, state: State) -> tuple[Array, State, State]:
        """See `SteppedCell`."""
        h = state["h"]
        from_x, from_h = self._x(np.ascontiguousarray(x)), self._h(h)
        if self.kind is LSTM:
            i, f, g, o = np.split(from_x + from_h, 4, axis=-1)
            i, f, g, o = self.gate(i), self.gate(f), self.act(g), self.gate(o)
            c = f * state["c"] + i * g
            h = o * self.act(c)
            gates = {"input": i, "forget": f, "candidate": g, "output": o}
            return h, {"h": h, "c": c}, gates
        if self.kind is not GRU:
            h = self.act(from_x + from_h)
            return h, {"h": h}, {}
        x_z, x_r, x_h = np.split(from_x, 3, axis=-1)
        h_z, h_r, *h_h = np.split(from_h, 3 if self.reset_after else 2, axis=-1)
        z, r = self.gate(x_z + h_z), self.gate(x_r + h_r)
        recalled = r * h_h[0] if self.reset_after else self._candidate(r * h)
        g = self.act(x_h + recalled)
        h = z * h + (1 - z) * g
        return h, {"h": h}, {"update": z, "reset": r, "candidate": g}
