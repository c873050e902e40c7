"""A saved model: `.keras` archives and the older `.h5` files."""

from __future__ import annotations

import io
import mmap
import os
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import h5py

from seqstate.errors import DataError, SeqstateError, message
from seqstate.files import existing_file
from seqstate.runtime.archive.datasets import EXPANSION, FREE
from seqstate.runtime.archive.json_text import read_json
from seqstate.runtime.archive.local_heaps import check_local_heaps
from seqstate.runtime.archive.weights import LegacyWeights, Reader, Weights, WeightsByPath

CONFIG, WEIGHTS, ABOUT = "config.json", "model.weights.h5", "metadata.json"
LARGEST_CONFIG = 1 << 26
_H5 = b"\x89HDF\r\n\x1a\n"


class Saved(NamedTuple):
    """A saved model.

    Attributes:
        path: of the file.
        config: of the model, as Keras serializes an object.
        old: whether Keras 2 wrote it.
        weights: of the model; they are read when they are asked for.
        close: to be called when all are read.
    """

    path: Path
    config: Any
    old: bool
    weights: Weights
    close: Callable[[], None]


def read_saved(path: str | os.PathLike[str], where: str) -> Saved:
    """Read a `.keras` archive or an `.h5` file.

    Args:
        path: of the file; what it is shows in its first bytes, not in its name.
        where: who reads, for messages.

    Raises:
        DataError: no such file, or one that is cut, damaged or forged.
    """
    found = existing_file(path, where)
    try:
        with found.open("rb") as stream:
            is_h5 = stream.read(len(_H5)) == _H5
        config, old, weights, file = _of_h5(found) if is_h5 else _of_zip(found, where)
    except SeqstateError:
        raise
    except Exception as error:
        # h5py and zipfile answer damage with nearly any kind of error.
        raise DataError(
            message(
                where,
                f'"{found}" is no saved model, or it is damaged: '
                f"{type(error).__name__}: {_short(error)}.",
                'Pass the whole file that model.save("model.keras") wrote.',
            )
        ) from error
    return Saved(found, config, old, weights, file.close)


def _of_zip(path: Path, where: str) -> tuple[Any, bool, Weights, Any]:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if CONFIG not in names or WEIGHTS not in names:
            listed = ", ".join(names[:5]) or "nothing"
            raise DataError(
                message(
                    where,
                    f'"{path}" has {listed}; expected {CONFIG} and {WEIGHTS}.',
                    'Pass a file that model.save("model.keras") wrote; weights alone are no model.',
                )
            )
        text = _member(archive, CONFIG, LARGEST_CONFIG)
        config = read_json(text, f'{where}: "{path}"')
        data = _member(archive, WEIGHTS, None)
        about = _member(archive, ABOUT, LARGEST_CONFIG) if ABOUT in names else b"{}"
    reader = Reader(len(data), f'{where}: "{path}"', path.stat().st_size)
    check_local_heaps(data)
    file = h5py.File(io.BytesIO(data), "r")
    written = read_json(about, f'{where}: "{path}"')
    version = written.get("keras_version") if isinstance(written, dict) else None
    return config, _is_old(version), WeightsByPath(file, reader), file


def _member(archive: zipfile.ZipFile, name: str, most: int | None) -> bytes:
    """Read a part of an archive, if the size that it claims can be true."""
    info = archive.getinfo(name)
    believed = FREE + EXPANSION * info.compress_size
    if info.file_size > believed or (most is not None and info.file_size > most):
        raise ValueError(
            f"{name} claims {info.file_size:,} bytes, of which {info.compress_size:,} are stored"
        )
    if info.flag_bits & 1:
        raise ValueError(f"{name} is encrypted")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # Others may ask for gigabytes before they unpack anything.
        raise ValueError(f"{name} is packed in a way that Keras does not use")
    try:
        return archive.read(info)
    except zlib.error as error:
        raise ValueError(f"{name} can't be unpacked: {error}") from error


def _of_h5(path: Path) -> tuple[Any, bool, Weights, Any]:
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        check_local_heaps(data)
    file = h5py.File(path, "r")
    where = f'load: "{path}"'
    text = file.attrs.get("model_config")
    if text is None or "model_weights" not in file:
        raise DataError(
            message(
                where,
                "holds no whole model; expected `model_config` and `model_weights`.",
                'Save with model.save("model.h5"), or better "model.keras"; weights alone are '
                "no model.",
            )
        )
    reader = Reader(path.stat().st_size, where)
    old = _is_old(file.attrs.get("keras_version"))
    return read_json(text, where), old, LegacyWeights.of_file(file, reader), file


def _is_old(version: Any) -> bool:
    """Tell whether a version of Keras is 1 or 2; some numbers are others since 3."""
    text = version.decode("utf8", "replace") if isinstance(version, bytes) else str(version)
    return text.startswith(("1.", "2."))


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
