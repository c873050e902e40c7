"""What every store does.

A store keeps bytes by key and counts the writes of each key: the version. A write names the
version that it was computed from, so that two processes can't both move one key: the second one
gets a `ConflictError` and nothing of its call is written. For that a version of a key must not
come again, also after `delete`: a store remembers the highest version that a deleted key had, and
a new key begins above it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import NamedTuple, Protocol, Self, runtime_checkable

DURABILITIES = ("full", "normal", "none")
# Key, data, and the version that the data were computed from; 0 where the key was not there.
Item = tuple[str, bytes, int]


class Entry(NamedTuple):
    """What a store has under a key.

    Attributes:
        data: the bytes.
        version: 1 more with each write of the key. A new key begins at 1, and where keys were
            deleted, at 1 more than the highest version that one of them had.
    """

    data: bytes
    version: int


@runtime_checkable
class Store(Protocol):
    """Bytes by key, with a version for each key; safe for several threads.

    A key is a text of 1 to 1,024 bytes of UTF-8. A key never has a version twice: after `delete`
    it begins above all versions that deleted keys of the store had.
    """

    @abstractmethod
    def get_many(self, keys: Sequence[str]) -> list[Entry | None]:
        """Give what is under each key, in order; None where nothing is.

        Raises:
            ArgumentError: a key that can't be one.
            DataError: what the store has is damaged or was written by another program.
            StoreError: the store can't be reached.
        """

    @abstractmethod
    def put_many(self, items: Sequence[Item]) -> list[int]:
        """Write all items or none.

        When it returns, the items are as durable as the store's `durability` says.

        Args:
            items: the key, the data, and the version that the data were computed from: that of
                the entry that was read, or 0 if the key was not there. Each key once.

        Returns:
            The new versions, in order.

        Raises:
            ConflictError: some keys have another version by now; its `keys` are those, and
                nothing was written.
            ArgumentError: a key, data or a version that can't be one, or a key that comes twice.
            DataError: what the store has is damaged or was written by another program.
            StoreError: the store can't be reached, is busy or full; the message says what was
                written.
        """

    @abstractmethod
    def delete(self, keys: Sequence[str]) -> int:
        """Remove keys, whatever their version; those that are not there don't matter.

        Who read a key before gets a `ConflictError` from its next write, also when the key was
        written again in the meantime.

        Returns:
            How many there were.
        """

    @abstractmethod
    def keys(self, prefix: str = "") -> Iterator[str]:
        """Give the keys that begin with a prefix, sorted by code points.

        Keys that come or go while the iterator is used may be given or not.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of files and connections; what was written is there on the next opening."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
