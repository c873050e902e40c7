"""A digest that is computed when it is wanted."""

from __future__ import annotations

from typing import Any

# Of more nothing is kept: to import what digests is little beside reading that.
_KEPT = 1 << 20


class Digest:
    """The BLAKE2b digest of bytes that come in pieces.

    `hashlib` loads all of OpenSSL, which takes longer than to read a small model, and who only
    runs a model never asks what tells it from others. So the pieces are kept while they are few.

    Reference:
        Saarinen and Aumasson, RFC 7693.

    Example:
        >>> digest = Digest()
        >>> digest.update(b"weights")
        >>> len(digest.digest())
        64
    """

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._hash: Any = None

    def update(self, piece: bytes) -> None:
        """Add a piece."""
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size > _KEPT:
            self._hash = self._added()
            self._pieces, self._size = [], 0

    def digest(self) -> bytes:
        """Give the digest of all pieces so far, 64 bytes; several threads may ask at once."""
        made: bytes = self._added().digest()
        return made

    def _added(self) -> Any:
        import hashlib

        made = hashlib.blake2b() if self._hash is None else self._hash.copy()
        for piece in self._pieces:
            made.update(piece)
        return made
