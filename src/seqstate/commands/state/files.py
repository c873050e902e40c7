"""`seqstate state export` and `import`: the states of a store as lines of text."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from seqstate.commands.state.batches import batches, entries
from seqstate.errors import DataError, SeqstateError, message
from seqstate.files import existing_file, whole_file
from seqstate.stores import Store, open_store
from seqstate.stores.lines import read_line, write_line

Say = Callable[[str], object]
WHERE, EXPORT = "seqstate state import", "seqstate state export"


def run_export(say: Say, note: Say, url: str, prefix: str, out: Path | None) -> None:
    """Write a line for each key.

    Args:
        say: prints a line of the export.
        note: prints how many there were.
        url: of the store.
        prefix: what the keys begin with.
        out: a file; None prints.

    Raises:
        SeqstateError: as `open_store` and the store; DataError where what is there is damaged.
    """
    with open_store(url, create=False) as store:
        lines = (write_line(key, entry) for batch in entries(store, prefix) for key, entry in batch)
        if out is None:
            count = _each(lines, say)
        else:
            with whole_file(out, EXPORT) as aside, aside.open("w", encoding="utf-8") as file:
                count = _each(lines, lambda line: file.write(f"{line}\n"))
    note(f"exported: {count}")


def run_import(
    note: Say, url: str, path: Path | None, given: Iterable[bytes], replace: bool
) -> None:
    """Write the states of lines into a store, a thousand at a time.

    Args:
        note: prints how many there were.
        url: of the store.
        path: a file; None takes `given`.
        given: the lines of standard input, as they came.
        replace: whether keys that are there already are written over.

    Raises:
        DataError: a line is none or no UTF-8, a key comes twice, or is there already; the message
            says what was written before.
        SeqstateError: as `open_store` and the store.
    """
    if path is None:
        _import(note, url, given, replace)
        return
    with existing_file(path, WHERE).open("rb") as lines:
        _import(note, url, lines, replace)


def _each(lines: Iterable[str], write: Say) -> int:
    count = 0
    for line in lines:
        write(line)
        count += 1
    return count


def _import(note: Say, url: str, lines: Iterable[bytes], replace: bool) -> None:
    done = 0
    seen: set[str] = set()
    with open_store(url) as store:
        for batch in batches(enumerate(lines, 1)):
            try:
                done += _put(store, batch, seen, replace)
            except SeqstateError as error:
                raise type(error)(f"{error}\n  Written before: {done} keys.") from error
    note(f"imported: {done}")


def _put(store: Store, batch: list[tuple[int, bytes]], seen: set[str], replace: bool) -> int:
    new = {}
    for number, line in batch:
        if not line.strip():
            continue
        key, data = read_line(line, f"{WHERE}, line {number}")
        if key in seen:
            raise _twice(number, key)
        seen.add(key)
        new[key] = data
    there = [entry.version if entry else 0 for entry in store.get_many([*new])]
    taken = [key for key, version in zip(new, there, strict=True) if version]
    if taken and not replace:
        shown = ", ".join(map(repr, taken[:5])) + (" and more" if len(taken) > 5 else "")
        raise DataError(
            message(WHERE, f"the store has {shown} already.", "Pass --replace to write over them.")
        )
    store.put_many(
        [(key, data, version) for (key, data), version in zip(new.items(), there, strict=True)]
    )
    return len(new)


def _twice(number: int, key: str) -> DataError:
    return DataError(
        message(
            f"{WHERE}, line {number}",
            f"the key {key!r} comes again.",
            "Keep one line for each key.",
        )
    )
