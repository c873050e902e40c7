"""The entries of a store in batches, so that a store of any size is walked through."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

from seqstate.errors import DataError, message
from seqstate.stores import Entry, Store

SIZE = 1_000
T = TypeVar("T")


def batches(items: Iterable[T]) -> Iterator[list[T]]:
    """Give lists of up to a thousand items."""
    walk = iter(items)
    while batch := list(islice(walk, SIZE)):
        yield batch


def entries(store: Store, prefix: str) -> Iterator[list[tuple[str, Entry]]]:
    """Give the keys that begin with a prefix, each with what is there, in batches."""
    for keys in batches(store.keys(prefix)):
        found = zip(keys, store.get_many(keys), strict=True)
        yield [(key, entry) for key, entry in found if entry is not None]


def absent(keys: Iterable[str], where: str) -> DataError:
    """Make the error that names keys which a store does not have."""
    return DataError(
        message(
            where,
            f"the store has no {', '.join(map(repr, keys))}. Nothing was changed.",
            "seqstate state ls shows the keys that are there.",
        )
    )
