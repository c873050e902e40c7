"""All keys in one file: safetensors with the bytes that a store would keep of each."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

import numpy as np
import safetensors
from safetensors.numpy import save_file

from seqstate.errors import DataError, message
from seqstate.files import existing_file, whole_file

_FORMAT = "seqstate snapshot 1"


def write(path: str | os.PathLike[str], keys: Sequence[str], data: Sequence[bytes]) -> None:
    """Write keys and the bytes of each.

    Raises:
        ArgumentError: another ending than `.safetensors`, or a place that can't be written to.
    """
    sizes = np.array([len(one) for one in data], np.int64)
    names = json.dumps(list(keys), ensure_ascii=False).encode()
    arrays: dict[str, np.ndarray] = {
        "keys": np.frombuffer(names, np.uint8),
        "ends": np.cumsum(sizes),
        "data": np.frombuffer(b"".join(data), np.uint8),
    }
    with whole_file(path, "snapshot", ".safetensors") as aside:
        save_file(arrays, aside, metadata={"format": _FORMAT})


def read(path: str | os.PathLike[str]) -> tuple[list[str], list[bytes]]:
    """Read the keys and the bytes of each.

    Raises:
        DataError: the file is not there, is damaged, or is no snapshot.
    """
    found = existing_file(path, "restore")
    try:
        with safetensors.safe_open(found, framework="numpy") as file:
            if (file.metadata() or {}).get("format") != _FORMAT:
                raise ValueError("it is of another kind")
            keys = json.loads(file.get_tensor("keys").tobytes())
            ends = file.get_tensor("ends").tolist()
            whole = file.get_tensor("data").tobytes()
        starts = [0, *ends][: len(ends)]
        listed = isinstance(keys, list) and all(isinstance(key, str) for key in keys)
        if not listed or len(set(keys)) != len(ends) or sorted(ends) != ends:
            raise ValueError("its keys and its states don't go together")
        return keys, [whole[start:end] for start, end in zip(starts, ends, strict=True)]
    except (safetensors.SafetensorError, OSError, ValueError, TypeError) as error:
        raise DataError(
            message(
                "restore",
                f'"{found}" is no snapshot, or it is damaged: {error}.',
                "Pass a file that snapshot wrote, whole.",
            )
        ) from error
