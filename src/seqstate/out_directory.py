"""The files that a command writes: first aside, then moved into place, so that all are whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from seqstate.errors import ArgumentError, message


def make_directory(out: Path, where: str) -> None:
    """Make the output directory, where it isn't there, before any work is done.

    Args:
        out: the directory.
        where: who makes it, for messages.

    Raises:
        ArgumentError: it can't be made, or can't be written to.
    """
    with _explained(out, where):
        out.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=out):
            pass


def write(out: Path, files: Mapping[str, Callable[[Path], object]], where: str) -> list[Path]:
    """Write all the files or, where one fails, none.

    Args:
        out: the directory.
        files: by name, the function that writes the file to the path it is given.
        where: who writes, for messages.

    Returns:
        Where the files are, in order.

    Raises:
        ArgumentError: the directory can't be written to.
    """
    with _explained(out, where), TemporaryDirectory(dir=out, prefix=".") as aside:
        for name, write_to in files.items():
            write_to(Path(aside) / name)
        return [(Path(aside) / name).replace(out / name) for name in files]


@contextmanager
def _explained(out: Path, where: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        what = error.strerror or str(error)
        raise ArgumentError(
            message(
                where,
                f'--out "{out}" can\'t be written to: {what}.',
                "Pass a directory, new or existing, that you can write to.",
            )
        ) from error
