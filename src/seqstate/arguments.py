"""Arguments that many functions check in the same way."""

from __future__ import annotations

from typing import Any

import numpy as np

from seqstate.errors import ArgumentError, message


def whole_number(value: Any, where: str, name: str, least: int = 1) -> int:
    """Give a whole number of at least `least`.

    Raises:
        ArgumentError: something else.
    """
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or value < least:
        raise ArgumentError(
            message(
                where,
                f"{name}={value!r}; expected a whole number of at least {least}.",
                f"Pass for example {name}={max(least, 1)}.",
            )
        )
    return int(value)
