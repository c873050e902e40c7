"""The operations that add up as they go, which a stream carries on."""

from __future__ import annotations

from typing import Any

import numpy as np

from seqstate.errors import InputError, message
from seqstate.runtime.broadcasting import narrow
from seqstate.runtime.operations.operation import Array, Entry, Operation
from seqstate.runtime.plan.maker import Maker
from seqstate.state import State


def _running(function: np.ufunc, name: str, neutral: int) -> Entry:
    """Make the entry of a running sum or product.

    Args:
        function: of two numbers.
        name: of the state where it runs along the time.
        neutral: what it begins with.
    """

    def entry(self: Operation, maker: Maker, args: list[Any], kwargs: dict[str, Any]) -> Any:
        self.check_options("axis")
        x = args[0]
        axis = self.axis(x, self.argument("axis", kwargs))
        if not x.time or axis != 1:
            return maker.emit(lambda a: narrow(function.accumulate(a, axis)), x, shape=x.shape)
        sizes = x.shape[2:]
        if None in sizes:
            raise self.config.wrong("the number of its features is not known.")
        where = self.config.where

        def carried(state: State | None, array: Array) -> tuple[list[Array], State]:
            if array.dtype != np.float32:
                raise InputError(
                    message(
                        where,
                        f"it is given {array.dtype}, and a state holds float32.",
                        'Cast what goes in: keras.ops.cast(x, "float32").',
                    )
                )
            first = np.full_like(array[:, 0], neutral) if state is None else state[name]
            made = function.accumulate(np.concatenate([first[:, None], array], axis=1), axis=1)
            return [made[:, 1:]], {name: made[:, -1].copy()}

        result = maker.value(x.shape, True)
        start = {name: np.full(sizes, neutral, np.float32)}
        maker.carry(self.config.name, {name: sizes}, start, carried, [x], [result])
        return result

    return entry


RUNNING: dict[str, Entry] = {
    "Cumprod": _running(np.multiply, "product", 1),
    "Cumsum": _running(np.add, "sum", 0),
}
