"""JSON that may come from anybody."""

from __future__ import annotations

import json
from typing import Any

from seqstate.errors import DataError, message

DEEPEST = 200


def read_json(text: str | bytes, where: str) -> Any:
    """Parse a text, not deeper than any model is.

    Raises:
        DataError: no JSON, or too deep.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _wrong(where, f"its config is no JSON: {str(error)[:100]}") from error
    if _too_deep(found):
        raise _wrong(where, f"its config is nested more than {DEEPEST} times")
    return found


def _too_deep(found: Any) -> bool:
    """Walk level by level: what is too deep for Python's stack must not be met with a recursion."""
    level = [found]
    for _ in range(DEEPEST):
        below: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                below.extend(one.values())
            elif isinstance(one, list):
                below.extend(one)
        if not below:
            return False
        level = below
    return True


def _wrong(where: str, what: str) -> DataError:
    return DataError(message(where, f"{what}.", "Pass a file that model.save wrote, whole."))
