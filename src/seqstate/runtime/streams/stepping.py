"""`Stepping`: the steps of a model, with states and outputs as flat lists."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isnan, prod
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from seqstate import state as states
from seqstate.errors import ArgumentError, InputError, message
from seqstate.runtime.streams.places import Array
from seqstate.state import State

if TYPE_CHECKING:
    from seqstate.runtime.inputs import Input
    from seqstate.runtime.model import Model

# Gives a flat list of leaves their names.
Nest = Callable[[Sequence[Any]], State]


class Stepping:
    """Makes steps of a model.

    Attributes:
        model: whose steps they are.
        paths: of the states, such as `lstm/h`, in the order of the spec.
        start: of each state the row that a new key starts from, `[1, *sizes]`.
        width: how many numbers the outputs of one row are.
    """

    def __init__(self, model: Model) -> None:
        """Take a model.

        Raises:
            ArgumentError: it can't be stepped.
        """
        if model.why_no_step is not None:
            raise ArgumentError(
                message(
                    f'streams of "{model.name}"',
                    model.why_no_step,
                    "Use model.run on whole sequences, or a model that reads in one direction.",
                )
            )
        self.model = model
        for one in model.inputs:
            if None in one.shape[2 if one.time else 1 :]:
                raise ArgumentError(
                    message(
                        f'streams of "{model.name}"',
                        f"the input {one.name!r} has shape {one.shape}: a sample of it has no "
                        "fixed size.",
                        "Build the model with a fixed number of features.",
                    )
                )
        flat = states.flatten(model.initial_state(1))
        self.paths = list(states.flatten(model.state_spec))
        self.start = [np.asarray(flat[path]) for path in self.paths]
        #: Gives the states of the spec, in its order, of states by name.
        self.leaves = _listing(model.state_spec)
        #: Gives the states, a flat list, by name.
        self.nested = _nesting(model.state_spec)
        self._inputs = [one.name for one in model.inputs]
        self._timed = [one.time for one in model.inputs]
        outputs, _ = model.step(
            self.given([np.zeros((1, *sample_sizes(one)), one.dtype) for one in model.inputs]),
            self.nested(self.start),
        )
        self._outputs = list(outputs) if isinstance(outputs, Mapping) else None
        made = [outputs] if self._outputs is None else list(outputs.values())
        self._sizes = [one.shape[1:] for one in made]
        self.width = sum(map(prod, self._sizes))

    # Lists and what the model takes and gives

    def given(self, x: Sequence[Array]) -> Any:
        """Give the arrays of the inputs as the model takes them."""
        return x[0] if len(x) == 1 else dict(zip(self._inputs, x, strict=True))

    def named(self, outputs: Sequence[Any]) -> Any:
        """Give the arrays of the outputs as the model gives them."""
        if self._outputs is None:
            return outputs[0]
        return dict(zip(self._outputs, outputs, strict=True))

    def first(self, outputs: Sequence[Array]) -> Any:
        """Give the first row of the outputs as the model gives them."""
        if self._outputs is None:
            return outputs[0][0]
        return {name: one[0] for name, one in zip(self._outputs, outputs, strict=True)}

    def listed(self, outputs: Any) -> list[Array]:
        """Give what the model gave as a list."""
        return [outputs] if self._outputs is None else [outputs[name] for name in self._outputs]

    # Steps

    def step(self, x: Sequence[Array], leaves: Sequence[Array]) -> tuple[list[Array], list[Array]]:
        """Make one step of a batch: the outputs and the states after it."""
        if self._timed == [True]:
            arrays = [x[0][:, None]]
        else:
            both = zip(x, self._timed, strict=True)
            arrays = [one[:, None] if timed else one for one, timed in both]
        outputs, state = self.model.step_of(arrays, self.nested(leaves))
        return self.listed(outputs), self.leaves(state)

    def chunk(self, x: Sequence[Array], leaves: Sequence[Array]) -> tuple[list[Array], list[Array]]:
        """Make several steps of one row: the outputs of each, and the states after the last.

        Args:
            x: of each input `[steps, *sizes]`.
            leaves: the states before, `[1, *sizes]`.
        """
        outputs, state = self.model.run(self.given([one[None] for one in x]), self.nested(leaves))
        return [one[0] for one in self.listed(outputs)], self.leaves(state)

    def check(self, leaves: Sequence[Array], keys: Sequence[str], where: str) -> None:
        """Refuse states that are no numbers.

        Raises:
            InputError: NaN in a state.
        """
        if (
            len(leaves) == 2
            and leaves[0].size == leaves[1].size
            and not isnan(np.vdot(leaves[0], leaves[1]))
        ):
            # One product tells of both, if it is a number.
            return
        for path, leaf in zip(self.paths, leaves, strict=True):
            # Squares are never negative, so their sum is NaN only where a value is.
            if isnan(np.vdot(leaf, leaf)):
                row = int(np.isnan(leaf.reshape(len(leaf), -1)).any(axis=1).argmax())
                raise InputError(
                    message(
                        where,
                        f"key {keys[row]!r}: the step made NaN in the state {path}. No state was "
                        "moved.",
                        "Look at state(key) and at the sample: they are too large for the model.",
                    )
                )

    def flat(self, outputs: Sequence[Array]) -> Array:
        """Give the outputs of a batch as one array `[batch, width]`."""
        parts = [one.reshape(len(one), -1) for one in outputs]
        found: Array = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        return found

    def unflat(self, flat: Array) -> list[Array]:
        """Give the outputs of a batch that `flat` made one array of."""
        outputs, start = [], 0
        for sizes in self._sizes:
            end = start + prod(sizes)
            outputs.append(flat[:, start:end].reshape(-1, *sizes))
            start = end
        return outputs

    def empty_outputs(self, pushes: int) -> list[Array]:
        """Make room for the outputs of several pushes."""
        return [np.empty((pushes, *sizes), np.float32) for sizes in self._sizes]


def sample_sizes(one: Input) -> tuple[int, ...]:
    """Give the sizes of one sample of an input: a time step of it, or all where it has no time."""
    return tuple(size or 0 for size in one.shape[2 if one.time else 1 :])


def _nesting(spec: Mapping[str, Any], first: int = 0) -> Nest:
    """Make what gives a flat list of leaves their names, from leaf `first` on.

    A step spends a good part of its time here: hence a function for the layers that most models
    have, with one state or two.
    """
    names = list(spec)
    if any(isinstance(inner, Mapping) for inner in spec.values()):
        parts: list[tuple[str, Any]] = []
        for name, inner in spec.items():
            is_leaf = not isinstance(inner, Mapping)
            parts.append((name, itemgetter(first) if is_leaf else _nesting(inner, first)))
            first += 1 if is_leaf else len(states.flatten(inner))
        if len(parts) == 1:
            ((only, inside),) = parts
            return lambda leaves: {only: inside(leaves)}
        return lambda leaves: {name: inside(leaves) for name, inside in parts}
    if len(names) == 1:
        (only,) = names
        return lambda leaves: {only: leaves[first]}
    if len(names) == 2:
        one, other = names
        return lambda leaves: {one: leaves[first], other: leaves[first + 1]}
    return lambda leaves: dict(zip(names, leaves[first : first + len(names)], strict=True))


def _listing(spec: Mapping[str, Any]) -> Callable[[State], list[Array]]:
    """Make what lists the leaves of a state in the order of the spec: `_nesting` turned round."""
    paths = [tuple(path.split("/")) for path in states.flatten(spec)]
    if len(paths) == 2 and [len(path) for path in paths] == [2, 2]:
        (one, first), (other, second) = paths
        return lambda state: [state[one][first], state[other][second]]

    def listed(state: State) -> list[Array]:
        found = []
        for names in paths:
            leaf: Any = state
            for name in names:
                leaf = leaf[name]
            found.append(leaf)
        return found

    return listed
