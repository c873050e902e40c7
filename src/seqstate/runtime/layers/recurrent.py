"""Recurrent layers, Keras's and ours: all that they return, from a cell that runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from seqstate import state as states
from seqstate.result_order import ORDERS, SORTED, arranged
from seqstate.runtime.archive.config import Config
from seqstate.runtime.archive.weights import Weights
from seqstate.runtime.layers.layer import Layer, checked_weight
from seqstate.runtime.layers.making import Making
from seqstate.runtime.plan.maker import Maker
from seqstate.runtime.plan.value import Value, flat
from seqstate.runtime.recurrence.cell import Array, Cell, Ran, Wanted, rows_of
from seqstate.runtime.recurrence.made import cell_of, kinds_of
from seqstate.runtime.recurrence.native import NativeCell
from seqstate.state import State

RETURNS = ("output", "sequence", "state", "states", "gates")
WITH_TIME = ("sequence", "states", "gates")


class Recurrent(Layer):
    """`RNN(cell)`, `SimpleRNN`, `GRU`, `LSTM` or `RWA`."""

    def __init__(self, config: Config, weights: Weights, making: Making) -> None:
        super().__init__(config, weights, making)
        self.ours = config.kind.startswith("seqstate>")
        self.cell = self._cell(weights, making)
        self.backwards = config.flag("go_backwards")
        self.zero_masked = config.flag("zero_output_for_mask")
        self.sequences = config.flag("return_sequences")
        self.returns_state = config.flag("return_state")
        self.returned = self._returned(config.get("returns"))
        self.result_order = config.text("result_order", SORTED, ORDERS)
        if config.flag("time_major"):
            making.refuse(config, "time_major=True", "Build it again with the batch first")
        self._start: State | None = None
        if self.cell is not None:
            self._start = self._first(self.cell, weights)

    def _cell(self, weights: Weights, making: Making) -> Cell | None:
        below = weights.below("cell", "")
        if self.config.class_name != "RNN":
            return kinds_of(self.config, below, making)
        inner = self.config.inner("cell")
        return cell_of(inner, weights.below("cell", inner.name), making)

    def _first(self, cell: Cell, weights: Weights) -> State:
        """Give the state of one row before the first step."""
        if not self.config.flag("learn_initial_state"):
            return cell.start()
        sizes = states.flatten(cell.spec)
        names = [path.replace("/", "_") for path in sizes]
        arrays = weights.below("learned_state", "initial_state").arrays(*names)
        learned = {
            path: checked_weight(self.config, arrays, i, names[i], size)
            for i, (path, size) in enumerate(sizes.items())
        }
        return states.unflatten(learned)

    def _returned(self, written: Any) -> tuple[str, ...] | None:
        if written is None:
            return None
        asked = [written] if isinstance(written, str) else written
        if asked in ("all", ["all"]):
            return RETURNS
        if not isinstance(asked, list) or not asked or any(one not in RETURNS for one in asked):
            raise self.config.wrong(f"returns is {str(written)[:80]}; expected {RETURNS}.")
        return tuple(name for name in RETURNS if name in asked)

    @property
    def wanted(self) -> Wanted:
        """What of each step the layer returns."""
        names = self.returned or (("sequence",) if self.sequences else ())
        return Wanted("sequence" in names or "states" in names, "gates" in names)

    # The call

    def call(self, maker: Maker, x: Any, *more: Any, **given: Any) -> Any:
        """See `Layer`."""
        assert self.cell is not None
        given.update(zip(("initial_state", "mask"), more, strict=False))
        initial = given.get("initial_state")
        if isinstance(x, list | tuple):
            # As older files have it: the states stand behind the sequence.
            x, *rest = x
            initial = rest or initial
        x = self.one(x)
        self._check_call(x, given)
        mask = given.get("mask")
        mask = flat(mask)[0] if isinstance(mask, list | tuple) else mask
        of_call = x.mask if mask is None else mask
        if (
            initial is not None
            and mask is None
            and not (self.ours and isinstance(initial, Mapping))
        ):
            of_call = None  # Keras leaves the mask out of such a call
        reset = given.get("reset_mask")
        if reset is not None or given.get("lengths") is not None:
            raise self.config.wrong(
                "it is called with reset_mask or lengths.",
                "Give lengths to `run`, and start a stream anew with a fresh state.",
            )
        return self._planned(maker, x, of_call, mask or x.mask, initial)

    def _check_call(self, x: Value, given: Mapping[str, Any]) -> None:
        assert self.cell is not None
        features = self.cell.features
        if x.rank != 3 or (features is not None and x.shape[-1] not in (None, features)):
            raise self.config.wrong(
                f"its input has shape {x.shape}; expected [batch, time, {features}]."
            )

    def _planned(
        self, maker: Maker, x: Value, mask: Value | None, of_output: Value | None, initial: Any
    ) -> Any:
        cell = self.cell
        assert cell is not None
        if x.time and self.backwards:
            maker.no_step(f"{self.where} reads the sequence from its end")
        if x.time and initial is not None:
            maker.no_step(f"{self.where} starts from a state that other layers make")
        leaves = self._initial_leaves(initial)
        result = self.results(maker, x, of_output)
        like = flat(result)
        inputs = [x, *([mask] if mask is not None else []), *leaves.values()]
        start, see = self.start, maker.see
        folder = maker.folder

        def function(state: State | None, *arrays: Array) -> tuple[list[Array], State]:
            sequence, *rest = arrays
            counts = rest.pop(0) if mask is not None else None
            initial = dict(zip(leaves, rest, strict=True))
            ran = self.ran(sequence, state, counts, initial, see is not None)
            if see is not None:
                see(folder, self, self.seen(ran, counts), counts)
            return flat(self.made(ran, counts)), ran.state

        if x.time:
            fast = self._fast() if len(inputs) == 1 and see is None else None
            ours = fast is not None
            maker.carry(self.name, cell.spec, start, fast or function, inputs, like, checks=ours)
        else:
            maker.emit_many(lambda *arrays: function(None, *arrays)[0], inputs, like)
        return arranged(result, self.result_order, SORTED)

    @property
    def spec(self) -> Mapping[str, Any]:
        """The states of one row."""
        assert self.cell is not None
        return self.cell.spec

    @property
    def start(self) -> State:
        """The state of one row before the first step."""
        assert self._start is not None
        return self._start

    def ran(
        self,
        sequence: Array,
        state: State | None,
        mask: Array,
        initial: Mapping[str, Array],
        seen: bool,
    ) -> Ran:
        """Run the cell.

        Args:
            sequence: `[batch, time, features]`.
            state: to carry on from; None at the start.
            mask: `[batch, time]` bool, or None.
            initial: what a start is given by path; the rest starts as it does by itself.
            seen: whether all is to be seen.
        """
        cell = self.cell
        assert cell is not None
        if state is None:
            state = rows_of(self.start, len(sequence))
            if initial:
                state = states.nest(cell.spec, {**states.flatten(state), **initial})
        sequence = sequence.astype(np.float32, copy=False)
        return cell.run(
            sequence, state, mask, Wanted(True, True) if seen else self.wanted, self.backwards
        )

    def _fast(self) -> Any:
        """Give the function for a layer of one native cell; others go the usual way.

        It is what a stream spends its time in.
        """
        cell, plain = self.cell, self.returned is None and not self.returns_state
        if self.backwards or not plain or not isinstance(cell, NativeCell):
            return None
        step, run, each = cell.step, cell.run, self.sequences
        start, wanted = self._start, self.wanted
        assert start is not None

        def function(state: State | None, x: Array) -> tuple[tuple[Array], State]:
            if state is None:
                state = rows_of(start, len(x))
            if x.dtype != np.float32:
                x = x.astype(np.float32)
            if x.shape[1] == 1:
                state = step(x, state)
                h = state["h"]
                return ((h[:, None] if each else h),), state
            ran = run(x, state, None, wanted)
            return ((ran.sequence if each else ran.output),), ran.state

        return function

    def _initial_leaves(self, initial: Any) -> dict[str, Value]:
        """Give the values of an initial state by path."""
        assert self.cell is not None
        if initial is None:
            return {}
        named = states.name_leaves(self.cell.spec, initial, self.where)
        wrong = [path for path, value in named.items() if not isinstance(value, Value)]
        if wrong:
            raise self.config.wrong(
                f"its initial state {wrong[0]!r} is no tensor.", "Pass tensors of the model."
            )
        return named

    # What comes of it

    def results(self, maker: Maker, x: Value, mask: Value | None) -> Any:
        """Make room for what the layer returns, nested as it returns it."""
        cell = self.cell
        assert cell is not None
        batch, time = x.shape[:2]

        def with_time(sizes: tuple[int, ...]) -> Value:
            return maker.value((batch, time, *sizes), x.time, mask)

        def without(sizes: tuple[int, ...]) -> Value:
            return maker.value((batch, *sizes))

        units = (cell.units,)
        if self.returned is not None:
            made: dict[str, Any] = {}
            for name in self.returned:
                make = with_time if name in WITH_TIME else without
                spec = cell.gates if name == "gates" else cell.spec
                is_one = name in ("output", "sequence")
                made[name] = make(units) if is_one else states.map_leaves(make, spec)
            return made
        first = with_time(units) if self.sequences else without(units)
        if not self.returns_state:
            return first
        return [first, *cell.listed(states.map_leaves(without, cell.spec))]

    def made(self, ran: Ran, mask: Array) -> Any:
        """Give the arrays of a run, nested as the layer returns them."""
        assert self.cell is not None
        sequence, output = ran.sequence, ran.output
        if self.zero_masked and mask is not None:
            if sequence is not None:
                in_order = mask[:, ::-1] if self.backwards else mask
                sequence = np.where(in_order[..., None], sequence, np.float32(0))
            if self.returned is None:
                last = mask[:, 0] if self.backwards else mask[:, -1]
                output = np.where(last[:, None], output, np.float32(0))
        if self.returned is not None:
            found = {
                "output": output,
                "sequence": sequence,
                "state": ran.state,
                "states": ran.states,
                "gates": ran.gates,
            }
            return {name: found[name] for name in self.returned}
        first = sequence if self.sequences else output
        return [first, *self.cell.listed(ran.state)] if self.returns_state else first

    def seen(self, ran: Ran, mask: Array) -> dict[str, Any]:
        """Give a run as a trace shows it: with the time axis in the order of the input."""
        sequence = ran.sequence
        if self.zero_masked and mask is not None:
            in_order = mask[:, ::-1] if self.backwards else mask
            sequence = np.where(in_order[..., None], sequence, np.float32(0))

        def turned(leaf: Array) -> Array:
            return leaf[:, ::-1] if self.backwards else leaf

        return {
            "sequence": turned(sequence),
            "state": ran.state,
            "states": states.map_leaves(turned, ran.states or {}),
            "gates": states.map_leaves(turned, ran.gates or {}),
        }
