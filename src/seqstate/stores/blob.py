"""The bytes of one source's state: a header that says whose they are, then the raw arrays.

    offset  bytes  what
    0       4      "SqSt"
    4       4      the version of this layout, 1
    8       4      a, the length of "whose"
    12      4      b, the length of "extra"
    16      a      whose: JSON with the fingerprint of the model and its spec,
                   {"model": "9f...", "spec": {"lstm": {"h": [32], "c": [32]}}}
    16 + a  b      extra: JSON, what else belongs to the source, such as its sequence number
    ...     4 n    the arrays in the order of the spec, float32
    ...     4      CRC-32 of all before

Numbers are little-endian and unsigned. Nothing in it is code. The checksum finds damage; what was
forged with a right checksum is read with the same care and can be no more than a wrong state.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import prod
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np

from seqstate import state as states
from seqstate.errors import ArgumentError, StateMismatchError, message
from seqstate.state import Spec, State
from seqstate.stores.blob_parts import CHECKSUM, FORMAT, HEAD, MAGIC, Parts

# Made once: json.dumps would make one at each call.
_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)
_FLOAT = np.dtype("<f4")
_MIGRATE = "seqstate state migrate URL --to MODEL.keras"


class Content(NamedTuple):
    """What a blob says by itself, whichever model it is for.

    Attributes:
        fingerprint: of the model that the state belongs to.
        spec: the sizes of one row, by name.
        row: the state, by name; each array has the sizes of the spec, without a batch axis.
        extra: what else belongs to the source.
    """

    fingerprint: str
    spec: State
    row: State
    extra: dict[str, Any]


class Layout:
    """The blobs of one model, with what all of them share made once.

    Args:
        fingerprint: of the model.
        spec: its state: the sizes of one row, by name.

    Example:
        >>> import numpy as np
        >>> layout = Layout("9f86d081", {"lstm": {"h": (2,), "c": (2,)}})
        >>> row = {"lstm": {"h": np.ones(2, "float32"), "c": np.zeros(2, "float32")}}
        >>> data = layout.pack(row, {"sequence": 7})
        >>> row, extra = layout.unpack(data)
        >>> row["lstm"]["h"], extra
        (array([1., 1.], dtype=float32), {'sequence': 7})
    """

    def __init__(self, fingerprint: str, spec: Spec) -> None:
        self.fingerprint = fingerprint
        self.spec = spec
        self._sizes: dict[str, tuple[int, ...]] = {
            path: tuple(sizes) for path, sizes in states.leaves(spec)
        }
        self._whose = _json({"model": fingerprint, "spec": spec})
        self._bytes = 4 * sum(map(prod, self._sizes.values()))

    def pack(self, row: Mapping[str, Any], extra: Mapping[str, Any], where: str = "pack") -> bytes:
        """Give the bytes of a state.

        Args:
            row: the state of one source, by name, each array without a batch axis.
            extra: what else belongs to the source; JSON can hold it.
            where: whose state it is, for messages.

        Raises:
            StateMismatchError: the row has other names, shapes or types than the spec.
            ArgumentError: JSON can't hold `extra`.
        """
        flat = states.flatten(row)
        if flat.keys() != self._sizes.keys():
            raise self._mismatch(where, f"the row has {_names(flat)}")
        parts = []
        for path, sizes in self._sizes.items():
            array = np.asarray(flat[path])
            if array.shape != sizes or array.dtype.kind != "f":
                raise self._mismatch(where, f"{path} is {array.dtype} {array.shape}")
            parts.append(array.astype(_FLOAT, copy=False).tobytes())
        return self.pack_raw(b"".join(parts), extra, where)

    def pack_raw(self, raw: bytes, extra: Mapping[str, Any] | bytes, where: str = "pack") -> bytes:
        """Give the bytes of a state whose arrays stand in `raw` already, in the spec's order."""
        if len(raw) != self._bytes:
            raise self._mismatch(where, f"the row has {len(raw):,} bytes")
        try:
            more = extra if isinstance(extra, bytes) else _json(extra)
        except (TypeError, ValueError, RecursionError) as error:
            raise ArgumentError(
                message(where, f"extra can't be written as JSON: {error}.", "Pass plain values.")
            ) from error
        head = HEAD.pack(MAGIC, FORMAT, len(self._whose), len(more))
        whole = b"".join((head, self._whose, more, raw))
        return whole + CHECKSUM.pack(crc32(whole))

    def unpack(self, data: bytes, where: str = "unpack") -> tuple[State, dict[str, Any]]:
        """Give the state and the extra of a blob of this model; the arrays are new.

        Raises:
            DataError: it is damaged, or no such blob.
            StateMismatchError: it is the state of another model.
        """
        raw, extra = self.unpack_raw(data, where)
        return states.nest(self.spec, _arrays(raw, self._sizes)), extra

    def unpack_raw(self, data: bytes, where: str = "unpack") -> tuple[memoryview, dict[str, Any]]:
        """Give the arrays of a blob as they stand in it, in the spec's order, and the extra."""
        parts = Parts(data, where)
        if parts.whose != self._whose:
            fingerprint, spec = parts.read_whose()
            if fingerprint != self.fingerprint or [*states.leaves(spec)] != [*self._sizes.items()]:
                raise self._other_model(where, fingerprint, spec)
        if len(parts.raw) != self._bytes:
            raise parts.wrong(f"it has {len(parts.raw):,} bytes of arrays, not {self._bytes:,}")
        return parts.raw, parts.read_extra()

    def _mismatch(self, where: str, what: str) -> StateMismatchError:
        return StateMismatchError(
            message(
                where,
                f"{what}; expected {_names(self._sizes)}, floating point, "
                f"{self._bytes:,} bytes as float32.",
                "Pass one row of the state that the model gave, without the batch axis.",
            )
        )

    def _other_model(self, where: str, fingerprint: str, spec: State) -> StateMismatchError:
        theirs = states.flatten(spec)
        what = "its states have the same names and shapes; weights or settings differ"
        if [*theirs.items()] != [*self._sizes.items()]:
            what = f"its states are {_names(theirs)}; here they are {_names(self._sizes)}"
        return StateMismatchError(
            message(
                where,
                f'the state is of another model, "{fingerprint:.40}", and this one is '
                f'"{self.fingerprint:.40}": {what}.',
                f"Move what still fits: {_MIGRATE}. Or start the key anew.",
            )
        )


def pack(
    fingerprint: str, spec: Spec, state_row: Mapping[str, Any], extra: dict[str, Any]
) -> bytes:
    """Give the bytes of one source's state; for many of one model, `Layout` is faster.

    Args:
        fingerprint: of the model.
        spec: its state: the sizes of one row, by name.
        state_row: the state, by name, each array without a batch axis.
        extra: what else belongs to the source; JSON can hold it.

    Raises:
        StateMismatchError: the row has other names, shapes or types than the spec.
        ArgumentError: JSON can't hold `extra`.
    """
    return Layout(fingerprint, spec).pack(state_row, extra)


def unpack(data: bytes, fingerprint: str, spec: Spec) -> tuple[State, dict[str, Any]]:
    """Give the state and the extra of a blob; for many of one model, `Layout` is faster.

    Returns:
        The state by name, each array new and without a batch axis, and the extra.

    Raises:
        DataError: it is damaged, or no such blob.
        StateMismatchError: it is the state of another model.
    """
    return Layout(fingerprint, spec).unpack(data)


def read(data: bytes, where: str = "read") -> Content:
    """Read a blob by what it says itself.

    Raises:
        DataError: it is damaged, or no such blob.
    """
    parts = Parts(data, where)
    fingerprint, spec = parts.read_whose()
    sizes: dict[str, tuple[int, ...]] = states.flatten(spec)
    wanted = 4 * sum(map(prod, sizes.values()))
    if len(parts.raw) != wanted:
        raise parts.wrong(f"it has {len(parts.raw):,} bytes of arrays, not {wanted:,}")
    row = states.nest(spec, _arrays(parts.raw, sizes))
    return Content(fingerprint, spec, row, parts.read_extra())


def _arrays(raw: memoryview, sizes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    values = np.frombuffer(raw, _FLOAT).astype(np.float32)
    arrays, start = {}, 0
    for path, shape in sizes.items():
        end = start + prod(shape)
        arrays[path] = values[start:end].reshape(shape)
        start = end
    return arrays


def _json(value: Mapping[str, Any]) -> bytes:
    return _ENCODER.encode(value).encode()


def _names(flat: Mapping[str, Any]) -> str:
    """Write paths with shapes, the first ones of many."""
    shown = [
        f"{path} {leaf if isinstance(leaf, tuple) else np.shape(leaf)}"
        for path, leaf in [*flat.items()][:8]
    ]
    if len(flat) > len(shown):
        shown.append(f"and {len(flat) - len(shown)} more")
    return ", ".join(shown) or "none"
