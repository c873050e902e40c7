"""The columns of a CSV file, by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from seqstate.errors import DataError, message


def refuse_twice(names: Sequence[str], wanted: Sequence[str], path: Path, where: str) -> None:
    """Refuse a file that has more than one column of a name that is wanted.

    Raises:
        DataError: it has.
    """
    twice = sorted({name for name in wanted if names.count(name) > 1})
    if twice:
        raise DataError(
            message(
                where,
                f'"{path}" has more than one column {", ".join(map(repr, twice))}.',
                "Give each column a name of its own.",
            )
        )
