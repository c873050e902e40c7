"""What all stores refuse, and how they say that a key was moved."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence

from seqstate.errors import ArgumentError, ConflictError, StoreError, message
from seqstate.stores.store import Item

LONGEST_KEY = 1024  # bytes of UTF-8
LARGEST_DATA = 256 * 2**20  # bytes; SQLite takes 1 GB, Redis 512 MB
LARGEST_VERSION = 2**63 - 1  # SQLite's integers end there, and Redis's
NOTHING = "Nothing was written."

_SHOWN = 5  # keys in a message


class OpenHere:
    """Whether a store is open, and in the process that opened it."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.open = True
        self._process = os.getpid()

    def check(self) -> None:
        """Refuse a store that is closed, or that came here by a fork.

        Raises:
            StoreError: it is; nothing was read or written.
        """
        if not self.open:
            raise StoreError(message(self.where, "the store is closed.", "Open it again."))
        if not self.mine():
            raise StoreError(
                message(
                    self.where,
                    "the store was opened in the process that this one was forked from.",
                    "Open a store of its own in each process, after the fork.",
                )
            )

    def mine(self) -> bool:
        """Tell whether this is the process that opened the store."""
        return os.getpid() == self._process


def check_keys(keys: Iterable[str], where: str) -> None:
    """Refuse keys that not every store can hold.

    Raises:
        ArgumentError: no text, an empty or too long one, or one that is no UTF-8.
    """
    if isinstance(keys, str):
        raise ArgumentError(
            message(where, f"keys is the text {keys!r}; expected a list.", f"Pass [{keys!r}].")
        )
    for key in keys:
        if not (isinstance(key, str) and key.isascii() and 0 < len(key) <= LONGEST_KEY):
            _check_key(key, where)


def check_prefix(prefix: str, where: str) -> None:
    """Refuse what no key can begin with; the empty text is a prefix of all.

    Raises:
        ArgumentError: as for keys.
    """
    if prefix != "":
        _check_key(prefix, where)


def check_items(items: Sequence[Item], where: str) -> None:
    """Refuse items that can't be written, before anything is.

    Raises:
        ArgumentError: a key, data or a version that can't be one, or a key that comes twice.
    """
    keys = []
    for item in items:
        try:
            key, data, version = item
        except (TypeError, ValueError):
            raise ArgumentError(
                message(
                    where,
                    f"an item is {item!r:.80}; expected (key, data, version).",
                    "Pass the version that the data were computed from, 0 for a new key.",
                )
            ) from None
        if not isinstance(data, bytes) or len(data) > LARGEST_DATA:
            size = f" of {len(data):,} bytes" if isinstance(data, bytes) else ""
            raise ArgumentError(
                message(
                    where,
                    f"the data of {key!r} are {type(data).__name__}{size}; expected bytes, at "
                    f"most {LARGEST_DATA:,}.",
                    "Make them with seqstate.stores.blob.pack.",
                )
            )
        if type(version) is not int or not 0 <= version <= LARGEST_VERSION:
            raise ArgumentError(
                message(
                    where,
                    f"the version of {key!r} is {version!r:.40}; expected a whole number from 0 "
                    f"to {LARGEST_VERSION:,}.",
                    "Pass the version of the entry that was read, 0 for a new key.",
                )
            )
        keys.append(key)
    check_keys(keys, where)
    if len(set(keys)) != len(keys):
        (twice, _), *_ = Counter(keys).most_common(1)
        raise ArgumentError(
            message(
                where, f"the key {twice!r} comes more than once.", "Write the last one of them."
            )
        )


def conflict(
    where: str, moved: Sequence[tuple[str, int, int]], written: str = NOTHING
) -> ConflictError:
    """Make the error that names the keys which were moved.

    Args:
        where: the store and the call.
        moved: each key with the version that was read and the one that is there, 0 for none.
        written: a sentence on what was written.
    """
    shown = ", ".join(
        f"{key!r} (read at version {read}, now {there or 'not there'})"
        for key, read, there in moved[:_SHOWN]
    )
    if len(moved) > _SHOWN:
        shown += f" and {len(moved) - _SHOWN} more"
    error = ConflictError(
        message(
            where,
            f"moved by someone else in the meantime: {shown}. {written}",
            "Get these keys again, and apply to what is there now. One process should own a key.",
        )
    )
    error.keys = tuple(key for key, _, _ in moved)
    return error


def _check_key(key: object, where: str) -> None:
    what = f"{key!r:.80}"
    if isinstance(key, str):
        try:
            size = len(key.encode())
        except UnicodeEncodeError:
            what += ", which UTF-8 can't hold"
        else:
            if 0 < size <= LONGEST_KEY:
                return
            what += f", {size:,} bytes" if size else ""
    raise ArgumentError(
        message(
            where,
            f"a key is {what}; expected a text of 1 to {LONGEST_KEY:,} bytes of UTF-8.",
            "Name the source by a short text, such as its number.",
        )
    )
