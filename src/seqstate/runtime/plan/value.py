"""`Value`: what stands for an array while a plan is made."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

Shape = tuple[int | None, ...]


class Value:
    """An array that a plan will hold.

    Attributes:
        slot: its place among the arrays of a run.
        shape: with the batch first; None where the size is not known.
        time: whether axis 1 is the time axis of the stream: a run is given a chunk of it, a step
            one piece. A value without it is settled anew by each run and step, from what has been
            seen so far.
        mask: `[batch, time]` bool, or None: which steps count.
    """

    __slots__ = ("mask", "shape", "slot", "time")

    def __init__(
        self, slot: int, shape: Shape, time: bool = False, mask: Value | None = None
    ) -> None:
        self.slot, self.shape, self.time, self.mask = slot, shape, time, mask

    @property
    def rank(self) -> int:
        """The number of axes, the batch among them."""
        return len(self.shape)

    def with_mask(self, mask: Value | None) -> Value:
        """Give the same array with another mask."""
        return self if mask is self.mask else Value(self.slot, self.shape, self.time, mask)


def flat(nested: Any) -> list[Any]:
    """Give the leaves of lists and dicts in the order in which Keras counts them.

    Dicts by sorted names, and an `OrderedDict` as it stands; see `seqstate.result_order`.

    >>> flat({"b": 1, "a": [2, {"c": 3}]})
    [2, 3, 1]
    """
    if isinstance(nested, Mapping):
        names = nested if isinstance(nested, OrderedDict) else sorted(nested)
        return [leaf for name in names for leaf in flat(nested[name])]
    if isinstance(nested, list | tuple):
        return [leaf for one in nested for leaf in flat(one)]
    return [nested]


def mapped(function: Callable[[Any], Any], nested: Any) -> Any:
    """Give lists and dicts with each leaf replaced."""
    if isinstance(nested, Mapping):
        return {name: mapped(function, one) for name, one in nested.items()}
    if isinstance(nested, list | tuple):
        return type(nested)(mapped(function, one) for one in nested)
    return function(nested)


def values_in(nested: Any) -> list[Value]:
    """Give the values among the leaves."""
    return [one for one in flat(nested) if isinstance(one, Value)]
