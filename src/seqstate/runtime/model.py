"""`Model`: a trained model that runs without a framework."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from seqstate import state as states
from seqstate.errors import (
    ArgumentError,
    InputError,
    SeqstateError,
    StateMismatchError,
    message,
)
from seqstate.runtime.inputs import Array, by_input, mask_of_lengths, read_mask
from seqstate.runtime.layers.graph import Model as Graph
from seqstate.runtime.plan.compiled import Compiled
from seqstate.runtime.recurrence.cell import rows_of
from seqstate.runtime.time_axis import input_of
from seqstate.state import State

if TYPE_CHECKING:
    from seqstate.runtime.streams import Streams
    from seqstate.stores import Store
    from seqstate.traces import Trace


class Model:
    """A trained model: whole sequences with `run`, one time step with `step`.

    The numbers of a row are the same bits however its sequence is cut into chunks and steps,
    whatever rows stand beside it, and on any number of threads. `seqstate.load` makes it.

    Args:
        graph: the layers.
        fingerprint: gives what tells it from other models.

    Attributes:
        name: of the model.
        inputs: the inputs in order, each with `name`, `shape` and `dtype`.
        outputs: by name, the shape of each, None where the size is not known.
        state_spec: the states of one row by layer and name, each a tuple of sizes.
        why_no_step: why the model can't be run a step at a time, or None.
        gives_each_step: whether `run` gives each output of each step: all inputs and outputs have
            the time axis.
    """

    def __init__(self, graph: Graph, fingerprint: Callable[[], str]) -> None:
        self._graph = graph
        self.name = graph.name
        self._fingerprint = fingerprint
        self.inputs = [input_of(graph, layer) for layer in graph.inputs]
        self.where = f'model "{self.name}"'
        self._plans: dict[tuple[bool, ...], Compiled] = {}
        self._plain = self._compiled((False,) * len(self.inputs))
        plan = self._plain.plan
        self.why_no_step = plan.why_no_step
        if not any(one.time for one in self.inputs):
            self.why_no_step = "it has no input with a time axis"
        self.state_spec: states.Spec = plan.spec
        self.outputs = self._plain.output_shapes()
        timed = [one.time for one in self.inputs] + [v.time for v in self._plain.named.values()]
        self.gives_each_step = all(timed)
        self._template, self._calls = plan.slots, plan.calls
        only = self.inputs[0]
        self._one = only.shape[2:] if len(self.inputs) == 1 and only.time else None

    def __repr__(self) -> str:
        step = "" if self.why_no_step is None else ", whole sequences only"
        return f'<seqstate model "{self.name}": {len(self._calls)} calls{step}>'

    @cached_property
    def fingerprint(self) -> str:
        """What tells the model from others, hexadecimal: of the layers and the weights.

        It says which model a state belongs to.
        """
        return self._fingerprint()

    # Whole sequences

    def run(
        self, x: Any, state: Mapping[str, Any] | None = None, mask: Any = None, lengths: Any = None
    ) -> tuple[Any, State]:
        """Run the model over whole sequences, or over the next chunk of them.

        Args:
            x: `[batch, time, features]`, or token ids `[batch, time]`; for several inputs a list
                in order, or a dict by name. Any number of time steps.
            state: where to carry on: what the run or the step before gave. It may be partial; the
                rest starts anew. None for a start.
            mask: `[batch, time]` bool, True where the step counts; for several inputs a list or a
                dict.
            lengths: `[batch]`, how many steps of each row count. With `mask`, both.

        Returns:
            outputs: an array for one output, a dict by name for several: `[batch, units]`, or
                with a time axis `[batch, time, units]`.
            state: after the last step, by layer and name, each leaf `[batch, *sizes]`.

        Raises:
            InputError: an array, a mask or lengths that don't fit.
            StateMismatchError: a state that does not fit.
            ArgumentError: a state for a model that can't be carried on; see `why_no_step`.
        """
        arrays = [
            one.read(given, self.where)
            for one, given in zip(self.inputs, by_input(self.inputs, x, self.where), strict=True)
        ]
        batch = self._batch(arrays)
        masks = self._masks(arrays, mask, lengths)
        compiled = self._compiled(tuple(one is not None for one in masks))
        before = None if state is None else self._state(state, batch)
        return compiled.run(arrays, masks, before)

    def initial_state(self, batch: int) -> State:
        """Give the state before the first step, each leaf `[batch, *sizes]`.

        Raises:
            ArgumentError: `batch` is no number of rows.
        """
        if not isinstance(batch, int | np.integer) or batch < 0:
            raise ArgumentError(
                message(
                    self.where,
                    f"initial_state({batch!r}); expected a whole number from 0 on.",
                    "Pass the number of rows: len(x).",
                )
            )
        return rows_of(self._plain.plan.start, batch)

    # A step at a time

    def step(self, x_t: Any, state: State | None = None) -> tuple[Any, State]:
        """Run one time step of a batch.

        What comes out is what `run` gives for all steps so far: where that has a time axis, its
        last step.

        Args:
            x_t: `[batch, features]`, or token ids `[batch]`; for several inputs a list in order,
                or a dict by name, those without a time axis whole.
            state: what the step before gave, or `initial_state`. None for the first step.

        Returns:
            outputs: an array for one output, a dict by name for several.
            state: after the step.

        Raises:
            ArgumentError: the model can't be run a step at a time; `why_no_step` says why.
            InputError: an array that does not fit.
            StateMismatchError: a state that does not fit.
        """
        sizes = self._one
        if (
            sizes is not None
            and type(x_t) is np.ndarray
            and x_t.shape[1:] == sizes
            and x_t.dtype == np.float32
            and x_t.ndim == 2
        ):
            arrays = [x_t[:, None]]
        else:
            given = by_input(self.inputs, x_t, self.where, "x_t")
            arrays = [
                one.read(array, self.where, step=True)
                for one, array in zip(self.inputs, given, strict=True)
            ]
            self._batch(arrays)
        if self.why_no_step is not None:
            raise self._no_step("run a step at a time")
        return self.step_of(arrays, state)

    def step_of(self, arrays: Sequence[Array], state: State | None) -> tuple[Any, State]:
        """Run one time step of arrays that are checked: `step` for who checks by himself.

        Args:
            arrays: of the inputs in order, those with a time axis `[batch, 1, ...]`.
            state: as of `step`.

        Returns:
            As of `step`.

        Raises:
            StateMismatchError: a state that does not fit.
        """
        slots = self._template.copy()
        slots[: len(arrays)] = arrays
        after: State = {}
        try:
            for call in self._calls:
                call(slots, state, after)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            if state is None:
                raise
            # The states are looked at only now: a step has no time for it.
            named = self._check_state(state, len(slots[0]))
            raise self._misfit(named, error) from error
        return self._plain.given(slots, step=True), after

    def streams(
        self,
        store: str | Store | None = None,
        durability: str | None = None,
        max_live: int | None = None,
        keep_outputs: int = 1,
    ) -> Streams:
        """Hold one state for each key: `push(key, sample)` moves it. See `Streams`.

        Args:
            store: a URL such as `"sqlite:///states.db"`, a store, or None for memory.
            durability: what a push that returned survives: "full", "normal" or "none".
            max_live: how many keys are in memory at most.
            keep_outputs: of how many pushes of a key the outputs are kept, for pushes that come
                again.

        Raises:
            ArgumentError: the model can't be run a step at a time; `why_no_step` says why.
        """
        from seqstate.runtime.streams import Streams

        return Streams(self, store, durability, max_live, keep_outputs)

    # What it did

    def trace(
        self,
        x: Any,
        layers: str | Sequence[str] | None = None,
        what: str | Sequence[str] | None = None,
        *,
        state: Mapping[str, Any] | None = None,
        mask: Any = None,
        lengths: Any = None,
    ) -> Trace:
        """Run the model and give what each of its recurrent layers did, as `seqstate.trace` does.

        Args:
            x: as of `run`.
            layers: the layers to look at, by name (`encoder/lstm` in a nested model).
            what: any of "sequence", "state", "states", "gates"; all by default.
            state: as of `run`.
            mask: as of `run`.
            lengths: as of `run`.

        Returns:
            A `seqstate.Trace`.

        Raises:
            ArgumentError: no recurrent layer, or an unknown `what`.
            UnknownLayerError: a layer that is not there.
        """
        from seqstate.runtime.tracing import traced

        return traced(self, x, layers, what, state=state, mask=mask, lengths=lengths)

    # Inside

    def _compiled(self, masked: tuple[bool, ...], see: Any = None) -> Compiled:
        if see is not None:
            return Compiled(self._graph, self.inputs, masked, see)
        if masked not in self._plans:
            self._plans[masked] = Compiled(self._graph, self.inputs, masked)
        return self._plans[masked]

    def _batch(self, arrays: Sequence[Array]) -> int:
        rows = {len(array) for array in arrays}
        if len(rows) > 1:
            raise InputError(
                message(
                    self.where,
                    f"the inputs have {', '.join(str(len(a)) for a in arrays)} rows.",
                    "Pass as many rows of each input.",
                )
            )
        return rows.pop()

    def _masks(self, arrays: Sequence[Array], mask: Any, lengths: Any) -> list[Any]:
        """Give the mask of each input, or None."""
        timed = [i for i, one in enumerate(self.inputs) if one.time]
        masks: list[Any] = [None] * len(arrays)
        if mask is not None:
            given = by_input(self.inputs, mask, self.where, "mask")
            masks = [
                None if own is None else read_mask(own, array, self.where)
                for own, array in zip(given, arrays, strict=True)
            ]
        if lengths is not None:
            if not timed:
                raise InputError(
                    message(
                        self.where,
                        "lengths are given; it has no input with a time axis.",
                        "Leave lengths out.",
                    )
                )
            for i in timed:
                counts = mask_of_lengths(lengths, arrays[i], self.where)
                masks[i] = counts if masks[i] is None else masks[i] & counts
        return masks

    def _state(self, given: Mapping[str, Any], batch: int) -> State:
        """Complete a state, and give it to each row."""
        if self.why_no_step is not None:
            raise self._no_step("carried on from a state")
        named = self._check_state(given, batch)
        flat = states.flatten(self.initial_state(batch))
        for path, value in named.items():
            array = np.asarray(value, np.float32)
            flat[path] = np.ascontiguousarray(np.broadcast_to(array, flat[path].shape))
        return states.nest(self.state_spec, flat)

    def _check_state(self, given: Any, batch: int) -> dict[str, Any]:
        if not isinstance(given, Mapping):
            raise StateMismatchError(
                message(
                    self.where,
                    f"the state is a {type(given).__name__}; expected a dict by layer and name.",
                    "Pass what `run`, `step` or `initial_state` gave.",
                )
            )
        named = states.name_leaves(self.state_spec, given, self.where, "state")
        sizes = states.flatten(self.state_spec)
        for path, value in named.items():
            states.check_leaf(value, sizes[path], batch, self.where, path, "state")
        return named

    def _misfit(self, named: Mapping[str, Any], error: Exception) -> Exception:
        """Give the error for a state that a step could not take."""
        missing = [path for path in states.flatten(self.state_spec) if path not in named]
        if isinstance(error, SeqstateError) and not missing:
            return error
        what = f"{missing[0]!r} is not in the state" if missing else str(error)
        return StateMismatchError(
            message(
                self.where,
                f"{what}; a step needs whole states, as float32 arrays.",
                "Start from `initial_state(batch)`; `run` completes what is left out.",
            )
        )

    def _no_step(self, what: str) -> ArgumentError:
        return ArgumentError(
            message(
                self.where,
                f"it can't be {what}: {self.why_no_step}.",
                "Pass whole sequences to `run`.",
            )
        )
