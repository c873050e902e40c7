"""Taking a blob apart, with nothing in it trusted; `blob` says how it is laid out."""

from __future__ import annotations

import json
import struct
from math import prod
from typing import Any
from zlib import crc32

from seqstate.errors import DataError, message
from seqstate.state import State

MAGIC = b"SqSt"
FORMAT = 1
HEAD = struct.Struct("<4sIII")
CHECKSUM = struct.Struct("<I")

_MOST_AXES = 16
_LARGEST = 2**31 - 1  # of one axis, and of all of an array


class Parts:
    """The parts of a blob, cut where its header says; no more is taken than there is.

    Attributes:
        whose: JSON with the fingerprint and the spec.
        raw: the arrays.

    Args:
        data: the blob.
        where: whose state it is, for messages.

    Raises:
        DataError: it is damaged, of another format, or no such blob.
    """

    def __init__(self, data: bytes, where: str) -> None:
        self._where = where
        if not isinstance(data, bytes | bytearray | memoryview):
            raise self.wrong(f"it is a {type(data).__name__}, not bytes")
        view = memoryview(data).cast("B")
        if len(view) < HEAD.size + CHECKSUM.size or view[:4] != MAGIC:
            raise self.wrong(f"its {len(view):,} bytes don't begin as a state does")
        _, version, whose, extra = HEAD.unpack_from(view)
        end = len(view) - CHECKSUM.size
        if crc32(view[:end]) != CHECKSUM.unpack_from(view, end)[0]:
            raise self.wrong("its checksum is wrong")
        if version != FORMAT:
            raise DataError(
                message(
                    where,
                    f"the state has format {version}, and this seqstate reads format {FORMAT}.",
                    "Use the seqstate that wrote it, or a later one.",
                )
            )
        if HEAD.size + whose + extra > end:
            raise self.wrong("its header is longer than it is")
        self.whose = view[HEAD.size : HEAD.size + whose]
        self._extra = view[HEAD.size + whose : HEAD.size + whose + extra]
        self.raw = view[HEAD.size + whose + extra : end]

    def read_whose(self) -> tuple[str, State]:
        """Give the fingerprint and the spec of the model."""
        whose = self._object(self.whose)
        fingerprint, spec = whose.get("model"), whose.get("spec")
        if not isinstance(fingerprint, str) or not isinstance(spec, dict):
            raise self.wrong("its header names no model and no states")
        try:
            return fingerprint, as_spec(spec)
        except (TypeError, ValueError, RecursionError):
            raise self.wrong("the sizes in its header are none") from None

    def read_extra(self) -> dict[str, Any]:
        """Give what else belongs to the source."""
        return {} if bytes(self._extra) == b"{}" else self._object(self._extra)

    def wrong(self, what: str) -> DataError:
        """Make the error that says what is wrong with the blob."""
        return DataError(
            message(
                self._where,
                f"the state is damaged, or it is none: {what}.",
                "Take it from a copy, or start the key anew.",
            )
        )

    def _object(self, text: memoryview) -> dict[str, Any]:
        try:
            found = json.loads(str(text, "utf-8"))
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise self.wrong("its header is no JSON object")
        return found


def as_spec(spec: dict[str, Any]) -> State:
    """Give a spec from JSON, with tuples for lists.

    Raises:
        ValueError: a name that can't be part of a path, or sizes that are none.
    """
    made: State = {}
    for name, inner in spec.items():
        if not name or "/" in name:
            raise ValueError
        if isinstance(inner, dict):
            made[name] = as_spec(inner)
            continue
        if len(inner) > _MOST_AXES or not all(
            type(size) is int and 0 <= size <= _LARGEST for size in inner
        ):
            raise ValueError
        if prod(max(size, 1) for size in inner) > _LARGEST:
            raise ValueError
        made[name] = tuple(inner)
    return made
