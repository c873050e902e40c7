"""`Moving`: what pushes make of the places of their keys, before anything is kept of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seqstate.runtime.streams.order import Order, arranged, rounds
from seqstate.runtime.streams.places import NO_NUMBER, Array, Places, Rows
from seqstate.runtime.streams.stepping import Stepping


class Moving:
    """Moves places by pushes.

    Args:
        stepping: makes the steps.
        room: for how many pushes of a key outputs are kept.
    """

    def __init__(self, stepping: Stepping, room: int) -> None:
        self._stepping = stepping
        self._room = room

    def move(
        self,
        keys: Sequence[str],
        x: Sequence[Array],
        numbers: Sequence[int] | None,
        places: Places,
        local: Rows | None,
        where: str,
    ) -> tuple[list[Array], bool]:
        """Move places, and give the outputs of the pushes and whether any place has moved.

        Args:
            keys: of the pushes.
            x: their samples, for each input `[pushes, *sizes]`.
            numbers: of the pushes, or None where none of them has one.
            places: where the keys stand; they are changed.
            local: for each push its row among the places; None: the same as the pushes.
            where: the call, for messages.

        Raises:
            InputError: a state became NaN.
            ArgumentError: a number that is out of order.
        """
        pushes = len(keys)
        if not pushes:
            return self._stepping.empty_outputs(0), False
        if numbers is None:
            return self._apply(keys, x, places, local, where), True
        places.make_room(self._room)
        index = np.arange(pushes) if local is None else local
        given = np.array(numbers, np.int64)
        if local is None and bool((given == places.number + 1).all()) and (given > 0).all():
            outputs = self._apply(keys, x, places, None, where)
            places.keep_outputs(index, given, self._stepping.flat(outputs))
            return outputs, True
        order = arranged(numbers, index, places, keys, where)
        # Moves may write over what is kept.
        outputs = self._repeated(order, places, pushes)
        if order.apply:
            self._apply_some(keys, x, places, index, given, order, outputs, where)
        for place, other in order.same:
            for output in outputs:
                output[place] = output[other]
        return outputs, bool(order.apply)

    def _apply_some(
        self,
        keys: Sequence[str],
        x: Sequence[Array],
        places: Places,
        index: Rows,
        given: Rows,
        order: Order,
        outputs: list[Array],
        where: str,
    ) -> None:
        """Apply the pushes that are no repeats, and keep their outputs."""
        apply = np.array(order.apply)
        some = [keys[i] for i in order.apply]
        made = self._apply(some, [one[apply] for one in x], places, index[apply], where)
        for output, new in zip(outputs, made, strict=True):
            output[apply] = new
        numbered = given[apply] != NO_NUMBER
        if numbered.any():
            flat = self._stepping.flat(made)[numbered]
            places.keep_outputs(index[apply][numbered], given[apply][numbered], flat)

    def _apply(
        self,
        keys: Sequence[str],
        x: Sequence[Array],
        places: Places,
        local: Rows | None,
        where: str,
    ) -> list[Array]:
        """Make the steps of pushes, in rounds where keys come several times."""
        stepping = self._stepping
        if local is None:
            outputs, places.leaves = stepping.step(x, places.leaves)
            stepping.check(places.leaves, keys, where)
            return outputs
        if len(places) == 1 and stepping.model.gives_each_step:
            # A chunk of one key: a run gives the bits of the steps, in a part of their time.
            outputs, places.leaves = stepping.chunk(x, places.leaves)
            stepping.check(places.leaves, keys[:1], where)
            return outputs
        outputs = stepping.empty_outputs(len(keys))
        for turn in rounds(local):
            rows = local[turn]
            made, leaves = stepping.step(
                [one[turn] for one in x], [leaf[rows] for leaf in places.leaves]
            )
            stepping.check(leaves, [keys[i] for i in turn], where)
            for leaf, new in zip(places.leaves, leaves, strict=True):
                leaf[rows] = new
            for output, new in zip(outputs, made, strict=True):
                output[turn] = new
        return outputs

    def _repeated(self, order: Order, places: Places, pushes: int) -> list[Array]:
        """Make room for outputs, and fill in those that are answered from what was kept."""
        flat = np.empty((pushes, places.kept.shape[2]), np.float32)
        for place, row, number in order.kept:
            flat[place] = places.kept[row, number % self._room]
        return [np.ascontiguousarray(one) for one in self._stepping.unflat(flat)]
