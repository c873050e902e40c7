"""Seeing what the recurrent layers of a model do while the model runs, without changing it.

Our own layers show what they computed. A layer of Keras keeps its states to itself, so its run is
repeated from the same input, with the same weights, by a cell of ours. Somebody's own class on top
of one may compute something else: there `disagreement` says by how much.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras
from keras import ops

from seqstate import state as states
from seqstate.errors import SeqstateError, message
from seqstate.kernels import choice
from seqstate.kernels.problem import Problem, Results
from seqstate.layers import RNN, masks
from seqstate.layers.directions import MERGES
from seqstate.layers.inputs import check_sequences, wrong_features
from seqstate.layers.steps import GatedSteps, StackedSteps, Steps
from seqstate.models.agreement import disagreement, disagreement_of_both
from seqstate.models.recurrent_layers import directions_of, is_bidirectional, steps_of_layer
from seqstate.traces.layer import QUANTITIES

Run = dict[str, Any]
"""One run of a layer: what was asked for, by name, beside `mask` and `disagreement`, if any."""

_MISSING = object()
_BESIDES = ("mask", "disagreement")


@dataclass
class Seen:
    """The runs of each layer, by name, in the order in which the layers first ran.

    Each run comes with the number of the `TimeDistributed` call that it was a part of, or None.
    """

    runs: dict[str, list[tuple[int | None, Run]]] = field(default_factory=dict)
    calls: int = 0
    call: int | None = None

    def add(self, name: str, run: Run) -> None:
        """Add a run of a layer."""
        self.runs.setdefault(name, []).append((self.call, run))


def cells_of(layers: Iterable[Any]) -> dict[int, Steps]:
    """Give the cells that repeat the runs of Keras's own layers, by the id of the layer.

    They are made ahead, because a program that TensorFlow compiles must make no variables.
    """
    found: dict[int, Steps] = {}
    for layer in layers:
        if is_bidirectional(layer):
            found.update(cells_of(directions_of(layer).values()))
        elif not isinstance(layer, RNN):
            found[id(layer)] = steps_of_layer(layer)
    return found


@contextmanager
def watching(
    layers: Mapping[str, Any],
    what: tuple[str, ...],
    cells: Mapping[int, Steps],
    repeaters: Iterable[Any] = (),
) -> Iterator[Seen]:
    """Watch layers while the block runs.

    Args:
        layers: recurrent layers by name.
        what: what to take of each run: any of `seqstate.traces.layer.QUANTITIES`.
        cells: of the layers of Keras among them; see `cells_of`.
        repeaters: layers that run others once for each part of their input.

    Yields:
        What is seen, filled in as the layers run.
    """
    seen = Seen()
    before: list[tuple[Any, str, Any]] = []

    def put(layer: Any, name: str, value: Any) -> None:
        before.append((layer, name, vars(layer).get(name, _MISSING)))
        # Past Keras, which would wrap the value, or track it.
        vars(layer)[name] = value

    try:
        for name, layer in layers.items():
            if isinstance(layer, RNN):
                put(layer, "watcher", _OfOurs(seen, name, layer, what))
            elif is_bidirectional(layer):
                put(layer, "call", _both_directions(seen, name, layer, what, cells))
            else:
                put(layer, "call", _repeating(seen, name, layer, what, cells[id(layer)]))
        for layer in repeaters:
            put(layer, "call", _counting(seen, layer))
        yield seen
    finally:
        for layer, name, value in reversed(before):
            if value is _MISSING:
                vars(layer).pop(name, None)
            else:
                vars(layer)[name] = value


class _OfOurs:
    """The watcher of a layer of ours."""

    def __init__(self, seen: Seen, name: str, layer: Any, what: tuple[str, ...]) -> None:
        self.seen, self.name, self.layer, self.what = seen, name, layer, what
        self.wanted = what

    def saw(self, problem: Problem, results: Results) -> None:
        self.seen.add(self.name, _run(self.layer, problem, results, self.what))


def _counting(seen: Seen, layer: Any) -> Any:
    """Make a `call` that tells which runs are parts of one call of a `TimeDistributed`."""
    original = layer.call

    def call(*args: Any, **kwargs: Any) -> Any:
        outer, seen.calls = seen.call, seen.calls + 1
        seen.call = seen.calls
        try:
            return original(*args, **kwargs)
        finally:
            seen.call = outer

    return call


def _both_directions(
    seen: Seen, name: str, layer: Any, what: tuple[str, ...], cells: Mapping[int, Steps]
) -> Any:
    """Make a `call` for a `Bidirectional` that also shows the runs of its two layers."""
    original = layer.call
    parts = directions_of(layer)
    somebodys = _is_somebodys(layer)
    needed = QUANTITIES if somebodys else what

    def call(*args: Any, **kwargs: Any) -> Any:
        with watching(parts, needed, cells) as inner:
            result = original(*args, **kwargs)
        if set(inner.runs) != set(parts):
            # Keras runs both directions in one kernel of the GPU's, past the two layers.
            inner = _apart(parts, needed, cells, *args, **kwargs)
        forward, backward = (inner.runs[direction][-1][1] for direction in parts)
        run = _merged(layer, forward, backward)
        if somebodys:
            run["disagreement"] = disagreement_of_both(layer, result, run)
        seen.add(name, {key: v for key, v in run.items() if key in (*what, *_BESIDES)})
        return result

    return call


def _apart(
    parts: Mapping[str, Any],
    what: tuple[str, ...],
    cells: Mapping[int, Steps],
    sequences: Any,
    initial_state: Any = None,
    mask: Any = None,
    training: Any = None,
) -> Seen:
    half = len(initial_state) // 2 if initial_state is not None else 0
    given = {
        "forward": initial_state[:half] if half else None,
        "backward": initial_state[half:] if half else None,
    }
    with watching(parts, what, cells) as seen:
        for direction, layer in parts.items():
            layer.call(sequences, initial_state=given[direction], mask=mask)
    return seen


def _merged(layer: Any, forward: Run, backward: Run) -> Run:
    run: Run = {
        name: {"forward": forward[name], "backward": backward[name]}
        for name in ("state", "states", "gates")
        if name in forward
    }
    if "sequence" in forward:
        both = forward["sequence"], backward["sequence"]
        run["sequence"] = (
            dict(zip(("forward", "backward"), both, strict=True))
            if layer.merge_mode is None
            else MERGES[layer.merge_mode](*both)
        )
    if "mask" in forward:
        run["mask"] = forward["mask"]
    differences = [part["disagreement"] for part in (forward, backward) if "disagreement" in part]
    if differences:
        run["disagreement"] = ops.max(ops.stack(differences))
    return run


def _repeating(seen: Seen, name: str, layer: Any, what: tuple[str, ...], steps: Steps) -> Any:
    """Make a `call` for a layer of Keras that repeats the run with a cell of ours."""
    original = layer.call

    known = _is_known(steps)

    def call(sequences: Any, initial_state: Any = None, mask: Any = None, **kwargs: Any) -> Any:
        sequences = ops.convert_to_tensor(sequences)
        if known:
            _check_width(layer, sequences, name)
        _refuse_dropout(layer, name, kwargs.get("training"))
        # Read before the original runs: a stateful layer moves its state on.
        start = steps.initial(ops.shape(sequences)[0])
        state = _state_before(layer, steps, initial_state, start)
        counts = masks.steps_that_count(sequences, mask, None)
        given = {"initial_state": initial_state, "mask": mask}
        kwargs.update({key: value for key, value in given.items() if value is not None})
        result = original(sequences, **kwargs)
        problem = Problem(
            steps=steps,
            sequences=sequences,
            state=state,
            fresh=start,
            drawn=steps.begin(sequences[:, 0], state, False),
            mask=counts,
            go_backwards=layer.go_backwards,
            every_step=layer.return_sequences or bool({"sequence", "states"} & set(what)),
            gates="gates" in what,
        )
        results = choice.run(problem, getattr(layer, "kernel", "auto"))
        steps.end()
        run = _run(layer, problem, results, what)
        if not known or _is_somebodys(layer):
            run["disagreement"] = disagreement(layer, result, results, counts)
        seen.add(name, run)
        return result

    return call


def _check_width(layer: Any, sequences: Any, name: str) -> None:
    where = f'{type(layer).__name__} "{name}"'
    check_sequences(sequences, where, exact=True)
    cell = layer.cell.cells[0] if hasattr(layer.cell, "cells") else layer.cell
    if sequences.shape[-1] != cell.kernel.shape[0]:
        raise wrong_features(where, tuple(sequences.shape), cell.kernel.shape[0])


def _refuse_dropout(layer: Any, name: str, training: Any) -> None:
    """Refuse a layer of Keras that drops at random: its run can't be repeated."""
    cells = getattr(layer.cell, "cells", [layer.cell])
    drops = any(getattr(c, rate, 0) for c in cells for rate in ("dropout", "recurrent_dropout"))
    if training and drops:
        raise SeqstateError(
            message(
                f'{type(layer).__name__} "{name}"',
                "the model runs it with training=True, and it drops at random; a layer of Keras "
                "does not show the states of such a run.",
                "Trace seqstate.accelerate(model), whose layers do; or leave the layer out.",
            )
        )


def _is_known(steps: Steps) -> bool:
    """Tell whether a cell is one of ours, which does each time the same."""
    if isinstance(steps, StackedSteps):
        return all(_is_known(inner) for inner in steps.inner.values())
    return isinstance(steps, GatedSteps)


def _is_somebodys(layer: Any) -> bool:
    """Tell whether the class of a layer is neither Keras's nor ours."""
    return not type(layer).__module__.startswith(("keras.", "seqstate."))


def _state_before(layer: Any, steps: Any, initial_state: Any, start: Any) -> Any:
    if initial_state is None:
        if not layer.stateful or layer.states is None:
            return start
        initial_state = [variable.value for variable in keras.tree.flatten(layer.states)]
    named = states.name_leaves(steps.spec, initial_state, f'"{layer.name}"')
    named = {path: ops.cast(value, steps.dtype) for path, value in named.items()}
    return states.nest(steps.spec, named)


def _run(layer: Any, problem: Problem, results: Results, what: tuple[str, ...]) -> Run:
    """Give what was asked for of a run, with the time axis in the order of the input."""

    def in_order(value: Any) -> Any:
        return ops.flip(value, axis=1) if problem.go_backwards else value

    sequence = results.sequence
    if sequence is not None and problem.mask is not None and layer.zero_output_for_mask:
        sequence = masks.zero_steps_skipped(sequence, problem.mask, problem.go_backwards)
    whole = {
        "sequence": sequence,
        "state": results.state,
        "states": results.states,
        "gates": results.gates,
    }
    run: Run = {}
    for name in what:
        value = whole[name]
        if isinstance(value, Mapping):
            run[name] = states.map_leaves(in_order, value) if name != "state" else dict(value)
        elif value is not None:
            run[name] = in_order(value)
    if problem.mask is not None:
        run["mask"] = problem.mask
    return run
