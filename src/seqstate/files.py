"""Files that are whole or not there: written aside, then moved into place."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from seqstate.errors import ArgumentError, DataError, StoreError, message


@contextmanager
def whole_file(path: str | os.PathLike[str], where: str, suffix: str = "") -> Iterator[Path]:
    """Give a path to write to; what stands there at the end becomes the file `path`.

    If the block raises, a file that was there before stays as it was, and nothing is left over.

    Args:
        path: of the file.
        where: who writes, for messages.
        suffix: how the name must end, such as ".npz"; "" takes any.

    Raises:
        ArgumentError: the name ends otherwise, the folder is not there, or can't be written to.
    """
    from tempfile import TemporaryDirectory  # of no use to who only reads, and slow to import

    target = Path(path)
    if suffix and target.suffix.lower() != suffix:
        raise ArgumentError(
            message(
                where,
                f'the file name is "{target}"; expected one that ends in {suffix}.',
                f'Write "{target.with_suffix(suffix)}".',
            )
        )
    if target.is_dir():
        raise ArgumentError(
            message(where, f'"{target}" is a directory.', "Give the name of a file in it.")
        )
    try:
        with TemporaryDirectory(dir=target.parent, prefix=".") as aside:
            written = Path(aside) / target.name
            yield written
            written.replace(target)
    except StoreError:
        raise  # of what is written, not of the file
    except OSError as error:
        raise ArgumentError(
            message(
                where,
                f'"{target}" can\'t be written to: {error.strerror or error}.',
                "Pass a file in a directory that is there and that you can write to.",
            )
        ) from error


def existing_file(path: Any, where: str) -> Path:
    """Give the path of a file that is there to be read.

    Raises:
        DataError: it is not there, or it is a directory.
    """
    found = Path(path)
    if found.is_file():
        return found
    what = "is a directory" if found.is_dir() else "is not there"
    raise DataError(message(where, f'"{found}" {what}.', "Check the path of the file."))
