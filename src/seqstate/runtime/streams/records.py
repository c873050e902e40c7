"""`Records`: all that is known of a key, as the bytes that a store keeps.

The state is that of `seqstate.stores.blob`. Its extra holds the sequence number, the outputs that
are kept as base64 of their bytes, and the bookmarks, each such a state in itself.
"""

from __future__ import annotations

import json
from base64 import b64decode
from binascii import b2a_base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from seqstate.errors import DataError, message
from seqstate.runtime.streams.places import (
    LARGEST_NUMBER,
    NO_NUMBER,
    Array,
    Places,
    empty,
)
from seqstate.state import Spec
from seqstate.stores.blob import Layout
from seqstate.stores.migration import enclose, enclosed

# From name to where the key stood, one row each.
Bookmarks = Mapping[str, Places]


class Records:
    """Makes bytes of places, and places of bytes."""

    def __init__(
        self, fingerprint: str, spec: Spec, start: Sequence[Array], room: int, width: int
    ) -> None:
        """Take what all keys of a model share.

        Args:
            fingerprint: of the model.
            spec: its states.
            start: of each leaf one row, `[1, *sizes]`.
            room: for how many pushes of a key outputs are kept.
            width: how many numbers an output has.
        """
        self._layout = Layout(fingerprint, spec)
        self._start = list(start)
        self._room, self._width = room, width

    def pack(
        self, keys: Sequence[str], places: Places, marks: Mapping[str, Bookmarks]
    ) -> list[bytes]:
        """Give the bytes of keys."""
        raw = _side_by_side(places)
        extras = self._extras(places)
        for i, key in enumerate(keys):
            if key in marks:
                own = {name: self._mark(name, place) for name, place in marks[key].items()}
                extras[i] = _with_bookmarks(extras[i], own)
        return list(map(self._layout.pack_raw, raw, extras, keys))

    def _extras(self, places: Places) -> list[bytes]:
        """Give the JSON of each row; it is written by hand, as every push does it."""
        if not (places.number != NO_NUMBER).any():
            return [b"{}"] * len(places)
        outputs = places.in_order().astype("<f4", copy=False).tobytes()
        size = 4 * self._width
        whole = size * places.kept.shape[1]
        extras, end = [], 0
        for number, count in zip(places.number.tolist(), places.count.tolist(), strict=True):
            end += whole
            if number == NO_NUMBER:
                extras.append(b"{}")
            else:
                text = b2a_base64(outputs[end - count * size : end], newline=False)
                extras.append(b'{"sequence":%d,"kept":%d,"outputs":"%s"}' % (number, count, text))
        return extras

    def unpack(
        self, keys: Sequence[str], data: Sequence[bytes]
    ) -> tuple[Places, dict[str, dict[str, Places]]]:
        """Give the places of keys, and their bookmarks.

        Raises:
            DataError: the bytes are damaged.
            StateMismatchError: they are of another model.
        """
        places = empty(len(keys), self._start, self._room, self._width)
        marks: dict[str, dict[str, Places]] = {}
        for i, (key, one) in enumerate(zip(keys, data, strict=True)):
            raw, extra = self._layout.unpack_raw(one, f"the state of key {key!r}")
            self._fill(places, i, raw)
            if extra:
                try:
                    self._read_extra(places, i, extra)
                    found = extra.get("bookmarks", {})
                    if found:
                        marks[key] = {
                            name: self._read_mark(name, mark) for name, mark in found.items()
                        }
                except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
                    raise _damaged(key) from error
        return places, marks

    def _fill(self, places: Places, row: int, raw: memoryview) -> None:
        at = 0
        for leaf in places.leaves:
            to = leaf[row]
            to[...] = np.frombuffer(raw, "<f4", to.size, at).reshape(to.shape)
            at += 4 * to.size

    def _read_extra(self, places: Places, row: int, extra: Mapping[str, Any]) -> None:
        number = extra.get("sequence")
        if number is None:
            return
        if type(number) is not int or not 0 <= number < LARGEST_NUMBER:
            raise ValueError
        places.number[row] = number
        outputs = np.frombuffer(b64decode(extra["outputs"], validate=True), "<f4")
        if outputs.size != extra["kept"] * self._width:
            return  # of an older model, before the state was migrated
        count = min(extra["kept"], number + 1, self._room)
        if count > 0:
            numbers = np.arange(number - count + 1, number + 1)
            kept = outputs.reshape(-1, self._width)[-count:]
            places.keep_outputs(np.full(count, row), numbers, kept)

    def _mark(self, name: str, place: Places) -> dict[str, str]:
        return enclose(self.pack([name], place, {})[0])

    def _read_mark(self, name: str, mark: Mapping[str, Any]) -> Places:
        data = enclosed(mark)
        if data is None:
            raise ValueError
        return self.unpack([name], [data])[0]


def _side_by_side(places: Places) -> list[bytes]:
    """Give for each row the bytes of all its leaves, one after the other."""
    count = len(places)
    parts = [leaf.reshape(count, -1) for leaf in places.leaves]
    whole = np.concatenate(parts, axis=1) if parts else np.empty((count, 0))
    raw = whole.astype("<f4", copy=False).tobytes()
    size = 4 * whole.shape[1]
    return [raw[at * size : at * size + size] for at in range(count)]


def _with_bookmarks(extra: bytes, marks: Mapping[str, Any]) -> bytes:
    return json.dumps(json.loads(extra) | {"bookmarks": marks}).encode()


def _damaged(key: str) -> DataError:
    return DataError(
        message(
            f"the state of key {key!r}",
            "what stands beside the state (number, outputs, bookmarks) can't be read.",
            "Take it from a copy, or start the key anew: drop(key).",
        )
    )
