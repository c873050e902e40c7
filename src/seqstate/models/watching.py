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
from seqstate.errors import InputError, message
from seqstate.kernels import choice
from seqstate.kernels.problem import Problem, Results
from seqstate.layers import RNN, masks
from seqstate.layers.directions import MERGES
from seqstate.layers.inputs import wrong_features
from seqstate.layers.steps import Steps
from seqstate.models.recurrent_layers import directions_of, is_bidirectional, steps_of_layer

Run = dict[str, Any]
"""One run of a layer: what was asked for, by name, beside `mask` and `disagreement`, if any."""


@dataclass
class Seen:
    """The runs of each layer, by name, in the order in which the layers first ran."""

    runs: dict[str, list[Run]] = field(default_factory=dict)

    def add(self, name: str, run: Run) -> None:
        """Add a run of a layer."""
        self.runs.setdefault(name, []).append(run)


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
    layers: Mapping[str, Any], what: tuple[str, ...], cells: Mapping[int, Steps]
) -> Iterator[Seen]:
    """Watch layers while the block runs.

    Args:
        layers: recurrent layers by name.
        what: what to take of each run: any of `seqstate.traces.layer.QUANTITIES`.
        cells: of the layers of Keras among them; see `cells_of`.

    Yields:
        What is seen, filled in as the layers run.
    """
    seen = Seen()
    watched: list[tuple[Any, str]] = []

    def put(layer: Any, name: str, value: Any) -> None:
        # Past Keras, which would wrap the value, or track it.
        vars(layer)[name] = value
        watched.append((layer, name))

    try:
        for name, layer in layers.items():
            if isinstance(layer, RNN):
                put(layer, "watcher", _OfOurs(seen, name, layer, what))
            elif is_bidirectional(layer):
                put(layer, "call", _both_directions(seen, name, layer, what, cells))
            else:
                put(layer, "call", _repeating(seen, name, layer, what, cells[id(layer)]))
        yield seen
    finally:
        for layer, name in watched:
            del vars(layer)[name]


class _OfOurs:
    """The watcher of a layer of ours."""

    def __init__(self, seen: Seen, name: str, layer: Any, what: tuple[str, ...]) -> None:
        self.seen, self.name, self.layer, self.what = seen, name, layer, what
        self.wanted = what

    def saw(self, problem: Problem, results: Results) -> None:
        self.seen.add(self.name, _run(self.layer, problem, results, self.what))


def _both_directions(
    seen: Seen, name: str, layer: Any, what: tuple[str, ...], cells: Mapping[int, Steps]
) -> Any:
    """Make a `call` for a `Bidirectional` that also shows the runs of its two layers."""
    original = layer.call
    parts = directions_of(layer)

    def call(*args: Any, **kwargs: Any) -> Any:
        with watching(parts, what, cells) as inner:
            result = original(*args, **kwargs)
        if set(inner.runs) != set(parts):
            # Keras runs both directions in one kernel of the GPU's, past the two layers.
            inner = _apart(parts, what, cells, *args, **kwargs)
        forward, backward = (inner.runs[direction][-1] for direction in parts)
        seen.add(name, _merged(layer, forward, backward))
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

    def call(sequences: Any, initial_state: Any = None, mask: Any = None, **kwargs: Any) -> Any:
        sequences = ops.convert_to_tensor(sequences)
        _check_width(layer, sequences, name)
        # Read before the original runs: a stateful layer moves its state on.
        start = steps.initial(ops.shape(sequences)[0])
        state = _state_before(layer, steps, initial_state, start)
        counts = masks.steps_that_count(sequences, mask, None)
        result = original(sequences, initial_state=initial_state, mask=mask, **kwargs)
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
        results = choice.run(problem)
        steps.end()
        run = _run(layer, problem, results, what)
        if not type(layer).__module__.startswith("keras."):
            run["disagreement"] = _disagreement(layer, result, results, counts)
        seen.add(name, run)
        return result

    return call


def _check_width(layer: Any, sequences: Any, name: str) -> None:
    where = f'{type(layer).__name__} "{name}"'
    shape = tuple(sequences.shape)
    kernel = getattr(layer.cell, "kernel", None)
    if kernel is not None and len(shape) == 3 and shape[-1] != kernel.shape[0]:
        raise wrong_features(where, shape, kernel.shape[0])
    if kernel is not None and len(shape) != 3:
        raise InputError(
            message(
                where,
                f"the input has shape {shape}; expected (batch, time, {kernel.shape[0]}).",
                "Pass [batch, time, features].",
            )
        )


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


def _disagreement(layer: Any, result: Any, results: Results, mask: Any) -> Any:
    """Give the largest difference between what the layer returned and the run repeated.

    Relative to one where the values are larger than that. Steps that the mask skips don't count:
    there the backends of Keras put different things.
    """
    given = result[0] if layer.return_state else result
    made = results.sequence if layer.return_sequences else results.output
    given, made = ops.cast(given, "float32"), ops.cast(made, "float32")
    difference = ops.abs(given - made) / (1.0 + ops.abs(made))
    both_undefined = ops.logical_and(ops.isnan(given), ops.isnan(made))
    counts = ops.logical_not(both_undefined)
    if mask is not None:
        rows = ops.any(mask, axis=1)
        if layer.return_sequences:
            rows = ops.flip(mask, axis=1) if layer.go_backwards else mask
        elif layer.zero_output_for_mask:
            rows = mask[:, 0 if layer.go_backwards else -1]
        for _ in range(len(difference.shape) - len(rows.shape)):
            rows = ops.expand_dims(rows, -1)
        counts = ops.logical_and(counts, rows)
    return ops.max(ops.where(counts, difference, ops.zeros_like(difference)))
