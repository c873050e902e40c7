"""`Operation`: a function of `keras.ops` in the graph of a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from seqstate.runtime.archive.config import Config
from seqstate.runtime.plan.maker import MOST_NUMBERS, Maker
from seqstate.runtime.plan.value import Shape, Value

Array = Any
Entry = Callable[["Operation", Maker, list[Any], dict[str, Any]], Any]


class Operation:
    """An operation in the graph of a model.

    Args:
        config: what the file says of it.
        entry: of `OPERATIONS`.
    """

    def __init__(self, config: Config, entry: Entry) -> None:
        self.config, self.entry = config, entry

    def call(self, maker: Maker, *args: Any, **kwargs: Any) -> Any:
        """Leave the calls in a plan; see `Layer.call`."""
        return self.entry(self, maker, list(args), kwargs)

    def argument(self, name: str, kwargs: Mapping[str, Any], default: Any = None) -> Any:
        """Give an argument that is no tensor: from the call, or from the config."""
        return kwargs.get(name, self.config.get(name, default))

    def axis(self, x: Value, axis: Any) -> int:
        """Give an axis counted from 0.

        Args:
            x: what has it.
            axis: as the file has it.

        Raises:
            DataError: it is that of the batch, where other rows would come into a row, or none.
        """
        rank = x.rank
        if isinstance(axis, bool) or not isinstance(axis, int) or not -rank <= axis < rank:
            raise self.config.wrong(
                f"its axis is {str(axis)[:60]}; expected one from 1 to {rank - 1}.",
                "Name the axis.",
            )
        if axis % rank == 0:
            raise self.config.wrong("it works across the rows of a batch.", "Leave the batch axis.")
        return axis % rank

    def axis_alone(
        self, maker: Maker, x: Value, kwargs: Mapping[str, Any], default: int | None = -1
    ) -> int:
        """Give the axis of the argument `axis`; the plan can't be stepped if that is the time."""
        axis = self.axis(x, self.argument("axis", kwargs, default))
        if x.time and axis == 1:
            maker.no_step(f"{self.config.where} needs all time steps at once")
        return axis

    def whole(self, value: Any, name: str, least: int = 1) -> int:
        """Give a whole number.

        Raises:
            DataError: it is none, or less than the least that it may be.
        """
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 1 << 31:
            raise self.config.wrong(
                f"its {name} is {str(value)[:60]}; expected a number from {least} on."
            )
        return value

    def check_size(self, shape: Sequence[int | None]) -> None:
        """Refuse a result that a forged file lets grow beyond all that models make.

        Raises:
            DataError: a row has too many numbers.
        """
        numbers = prod(size for size in shape[1:] if size is not None)
        if numbers > MOST_NUMBERS:
            raise self.config.wrong(f"it makes {numbers:,} numbers for each row.")

    def check_options(self, *known: str) -> None:
        """Refuse an operation with an option that is not known here.

        Raises:
            DataError: it has one.
        """
        for name, value in self.config.given.items():
            if name == "dtype" and value == "float32":
                continue  # as all is computed in
            if name not in (*known, "name", "trainable") and value is not None:
                raise self.config.wrong(
                    f"its {name}={str(value)[:60]} is not known.", "Leave the option out."
                )

    def check_made(self, compute: Callable[..., Array], values: Sequence[Value]) -> None:
        """Refuse an operation whose other arguments are none that it could work with.

        Raises:
            DataError: it makes no numbers of arrays of this rank.
        """
        for dtype in (np.float32, np.int32):  # some take whole numbers alone
            try:
                made = compute(*[np.zeros((1,) * one.rank, dtype) for one in values])
                break
            except (TypeError, ValueError) as error:
                wrong = error
        else:
            what = f"its arguments don't fit: {str(wrong)[:100]}."
            raise self.config.wrong(what) from wrong
        if made.dtype.kind not in "fiub":
            raise self.config.wrong("it makes no numbers.")


def sized(shape: Shape, axis: int, size: int | None) -> Shape:
    """Give a shape with another size of one axis."""
    return (*shape[:axis], size, *shape[axis + 1 :])
