"""A trace in a file of NumPy's: every array under a name that says what it is.

`numpy.load("trace.npz")["encoder/lstm:states/c"]` is `[sample, time, unit]`. The entry `seqstate`
is a JSON text with the rest: the layers in order, and how inputs and outputs are nested.
"""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from seqstate import state as states
from seqstate.errors import DataError, message
from seqstate.files import existing_file, whole_file
from seqstate.traces.layer import LayerTrace
from seqstate.traces.trace import Trace

_HEADER = "seqstate"
_FORMAT = "seqstate trace 1"


def write_npz(trace: Trace, path: str | os.PathLike[str]) -> Path:
    """Write a trace; see `Trace.to_npz`."""
    arrays: dict[str, np.ndarray] = {}
    header = {
        "format": _FORMAT,
        "model": trace.model,
        "inputs": _put(trace.inputs, "inputs", arrays),
        "outputs": _put(trace.outputs, "outputs", arrays),
        "layers": [
            {
                "name": one.name,
                "kind": one.kind,
                "backwards": one.backwards,
                "parts": one.parts,
                "has": list(one.found),
                "arrays": [path for path, _ in states.leaves(one.found)],
            }
            for one in trace.values()
        ],
    }
    for one in trace.values():
        arrays.update({f"{one.name}:{p}": leaf for p, leaf in states.leaves(one.found)})
        if one.mask is not None:
            arrays[f"{one.name}:mask"] = one.mask
    with whole_file(path, "to_npz", ".npz") as aside:
        arrays[_HEADER] = np.array(json.dumps(header))
        np.savez_compressed(aside, allow_pickle=False, **arrays)
    return Path(path)


def read_npz(path: str | os.PathLike[str]) -> Trace:
    """Read a trace; see `Trace.from_npz`."""
    found = existing_file(path, "from_npz")
    damaged = (
        *(OSError, ValueError, LookupError, TypeError, AttributeError, EOFError, RuntimeError),
        *(zipfile.BadZipFile, zlib.error),
    )
    try:
        # NumPy leaves a damaged file open that it has opened itself.
        with found.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        header = json.loads(str(arrays.pop(_HEADER)))
        if header["format"] != _FORMAT:
            raise ValueError(f"the format is {header['format']!r}")
        return Trace(
            model=header["model"],
            inputs=_get(header["inputs"], arrays),
            outputs=_get(header["outputs"], arrays),
            layers={one["name"]: _layer(one, arrays) for one in header["layers"]},
        )
    except damaged as error:
        raise DataError(
            message(
                "from_npz",
                f'"{found}" is no trace, or it is damaged: {error}.',
                "Pass a file that Trace.to_npz wrote, whole.",
            )
        ) from error


def _layer(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> LayerTrace:
    name = header["name"]
    start = f"{name}:"
    own = {key[len(start) :]: value for key, value in arrays.items() if key.startswith(start)}
    mask = own.pop("mask", None)
    if sorted(own) != sorted(header["arrays"]):
        raise ValueError(f"the arrays of {name!r} are not those that its header names")
    nested = states.unflatten(own)
    return LayerTrace(
        name=name,
        kind=header["kind"],
        # A layer without gates has no array of them, and has them nevertheless.
        found={quantity: nested.get(quantity, {}) for quantity in header["has"]},
        mask=mask,
        backwards=header["backwards"],
        parts=header["parts"],
    )


def _put(nested: Any, name: str, arrays: dict[str, np.ndarray]) -> Any:
    """File arrays under names, and give their nesting with names in their place."""
    if isinstance(nested, Mapping):
        return {key: _put(value, f"{name}/{key}", arrays) for key, value in nested.items()}
    if isinstance(nested, list | tuple):
        return [_put(value, f"{name}/{i}", arrays) for i, value in enumerate(nested)]
    arrays[name] = nested
    return name


def _get(nested: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    if isinstance(nested, Mapping):
        return {key: _get(value, arrays) for key, value in nested.items()}
    if isinstance(nested, list):
        return [_get(value, arrays) for value in nested]
    return arrays[nested]
