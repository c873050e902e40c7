"""`Compiled`: the plan of a whole model, and how it is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from seqstate.errors import InputError, SeqstateError, message
from seqstate.runtime.inputs import Array, Input
from seqstate.runtime.layers.graph import Functional
from seqstate.runtime.layers.graph import Model as Graph
from seqstate.runtime.plan.maker import Maker, Plan
from seqstate.runtime.plan.value import Value, flat, mapped, values_in
from seqstate.state import State


class Compiled:
    """The plan of a model for inputs some of which have a mask.

    Args:
        graph: the layers.
        inputs: of the model.
        masked: which inputs have a mask.
        see: where recurrent layers show what they did, or None; see `Maker`.
    """

    def __init__(
        self, graph: Graph, inputs: Sequence[Input], masked: Sequence[bool], see: Any = None
    ) -> None:
        self.where = f'model "{graph.name}"'
        maker = Maker(see)
        values = [maker.value(one.shape, one.time) for one in inputs]
        masks = [
            maker.value(one.shape[:2], one.time) if own else None
            for one, own in zip(inputs, masked, strict=True)
        ]
        made = graph.run(maker, graph.fed(values, masks))
        self.mask_slots = [None if mask is None else mask.slot for mask in masks]
        outputs = values_in(made)
        names = _output_names(graph, made)
        self.plan: Plan = maker.plan
        self.named = dict(zip(names, outputs, strict=True))
        self.several = len(outputs) > 1 or isinstance(made, Mapping)
        self._only = None if self.several else outputs[0]

    def output_shapes(self) -> dict[str, tuple[int | None, ...]]:
        """Give the shape of each output by name."""
        return {name: value.shape for name, value in self.named.items()}

    def run(
        self, arrays: Sequence[Array], masks: Sequence[Array], before: State | None
    ) -> tuple[Any, State]:
        """Run all calls."""
        slots = self.plan.slots.copy()
        slots[: len(arrays)] = arrays
        for place, mask in zip(self.mask_slots, masks, strict=True):
            if place is not None:
                slots[place] = mask
        after: State = {}
        try:
            for call in self.plan.calls:
                call(slots, before, after)
        except (ValueError, IndexError) as error:
            if isinstance(error, SeqstateError):
                raise
            shapes = ", ".join(str(array.shape) for array in arrays)
            raise InputError(
                message(
                    self.where,
                    f"arrays of the shapes {shapes} don't fit what it was built for: {error}.",
                    "Pass as many time steps as it was trained with, if a layer mixes them with "
                    "the features.",
                )
            ) from error
        return self.given(slots), after

    def given(self, slots: list[Any], step: bool = False) -> Any:
        """Give the outputs as arrays of their own: a layer may carry on what it gave."""
        only = self._only
        if only is not None:
            array = slots[only.slot]
            return array[:, 0].copy() if step and only.time else array.copy()
        return {
            name: (slots[v.slot][:, 0] if step and v.time else slots[v.slot]).copy()
            for name, v in self.named.items()
        }


def _output_names(graph: Graph, made: Any) -> list[str]:
    """Name the outputs: by the dict that the model gives, or by the layers that make them."""
    if isinstance(made, Mapping) and all(isinstance(one, Value) for one in made.values()):
        return sorted(made)
    if isinstance(graph, Functional):
        names = flat(mapped(lambda ref: ref.place[0], graph.outputs))
    else:
        names = ["output"] * len(values_in(made))
    found: list[str] = []
    for name in names:
        number = sum(one == name or one.startswith(f"{name}@") for one in found) + 1
        found.append(name if number == 1 else f"{name}@{number}")
    return found
