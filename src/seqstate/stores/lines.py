"""States as lines of text: one JSON object a key (NDJSON), to look at, to keep and to move.

    {"key": "pump-1", "version": 7, "model": "9f...", "spec": {"lstm": {"h": [2], "c": [2]}},
     "state": {"lstm/h": [0.5, -0.25], "lstm/c": [1.0, 0.0]}, "extra": {"sequence": 7}}

All of it stands on one line. Numbers come back to the bit; those that are not finite are written
NaN, Infinity and -Infinity, as Python's json does. Arrays of several axes are lists of lists.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from seqstate import state as states
from seqstate.errors import DataError, SeqstateError, message
from seqstate.stores.blob import pack, read
from seqstate.stores.blob_parts import as_spec
from seqstate.stores.store import Entry


def write_line(key: str, entry: Entry) -> str:
    """Give the line of a key, without the line's end.

    Raises:
        DataError: what is there is damaged, or no state.
    """
    content = read(entry.data, f'key "{key}"')
    said = {
        "key": key,
        "version": entry.version,
        "model": content.fingerprint,
        "spec": content.spec,
        "state": {path: leaf.tolist() for path, leaf in states.leaves(content.row)},
        "extra": content.extra,
    }
    line = json.dumps(said, ensure_ascii=False)
    try:
        line.encode()
    except UnicodeEncodeError:  # half a character, such as in the name of a bookmark
        return json.dumps(said)
    return line


def read_line(line: str | bytes, where: str) -> tuple[str, bytes]:
    """Give the key of a line and the bytes of its state.

    Args:
        line: one that `write_line` wrote; bytes are UTF-8.
        where: which line it is, for messages.

    Raises:
        DataError: it is no such line.
    """
    try:
        # Not by json.loads, which takes other encodings and half characters too.
        found = json.loads(line if isinstance(line, str) else line.decode())
        key, fingerprint, extra = found["key"], found["model"], found["extra"]
        if not (isinstance(key, str) and isinstance(fingerprint, str) and isinstance(extra, dict)):
            raise TypeError("key, model or extra is of another type")
        spec = as_spec(found["spec"])
        given = found["state"]
        flat = {path: _array(given[path], path, sizes) for path, sizes in states.leaves(spec)}
        unknown = sorted(set(given) - set(flat))
        if unknown:
            raise ValueError(f"{unknown[0]} is not in its spec")
        return key, pack(fingerprint, spec, states.nest(spec, flat), extra)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        what = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        if isinstance(error, SeqstateError):
            what = what.partition("\n")[0]
        raise DataError(
            message(
                where,
                f"this is no line of a state: {what or 'the sizes in its spec are none'}.",
                "Pass what seqstate state export wrote.",
            )
        ) from error


def _array(values: Any, path: str, sizes: tuple[int, ...]) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype.kind not in "fi" and array.size:
        raise ValueError(f"{path} has other values than numbers")
    if array.size == 0 and 0 in sizes:
        array = array.reshape(sizes)
    if array.shape != sizes:
        raise ValueError(f"{path} has shape {array.shape}, and its spec says {sizes}")
    with np.errstate(over="ignore"):
        return array.astype(np.float32)
