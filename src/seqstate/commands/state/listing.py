"""`seqstate state ls`, `get` and `rm`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from seqstate import state as states
from seqstate.commands.state.batches import absent, batches, entries
from seqstate.errors import ArgumentError, DataError, message
from seqstate.state_file import save_state
from seqstate.stores import open_store
from seqstate.stores.blob import read
from seqstate.stores.lines import write_line
from seqstate.stores.store import Entry

Say = Callable[[str], object]


def run_ls(say: Say, url: str, prefix: str, long: bool) -> None:
    """Print the keys of a store, one a line.

    Args:
        say: prints a line.
        url: of the store.
        prefix: what the keys begin with.
        long: also the version, the bytes and the model of each, with tabs between.

    Raises:
        SeqstateError: as `open_store` and the store.
    """
    with open_store(url, create=False) as store:
        if not long:
            for key in store.keys(prefix):
                say(_shown(key))
            return
        say("key\tversion\tbytes\tmodel")
        for batch in entries(store, prefix):
            for key, entry in batch:
                say(f"{_shown(key)}\t{entry.version}\t{len(entry.data)}\t{_model(entry)}")


def run_get(say: Say, url: str, key: str, out: Path | None) -> None:
    """Print the line of a key, or write its state into a file.

    Raises:
        SeqstateError: as `open_store` and the store; DataError where there is no such key.
    """
    with open_store(url, create=False) as store:
        (entry,) = store.get_many([key])
    if entry is None:
        raise absent([key], "seqstate state get")
    if out is None:
        say(write_line(key, entry))
        return
    row = read(entry.data, f'key "{key}"').row
    # A file of a state has the rows of a batch: here one.
    say(str(save_state(out, states.map_leaves(lambda leaf: leaf[None], row))))


def run_rm(say: Say, url: str, keys: Sequence[str], prefix: str | None) -> None:
    """Remove keys by name, or all that begin with a prefix.

    Raises:
        ArgumentError: neither or both are given.
        DataError: a key is not there; none is removed.
        SeqstateError: as `open_store` and the store.
    """
    where = "seqstate state rm"
    if bool(keys) == bool(prefix):
        raise ArgumentError(
            message(
                where,
                "expected keys, or --prefix with what they begin with.",
                "Write seqstate state rm URL pump-1 pump-2, or --prefix pump-.",
            )
        )
    with open_store(url, create=False) as store:
        missing = [
            key for key, entry in zip(keys, store.get_many(keys), strict=True) if entry is None
        ]
        if missing:
            raise absent(missing, where)
        wanted = store.keys(prefix) if prefix else iter(keys)
        say(f"removed: {sum(store.delete(batch) for batch in batches(wanted))}")


def _shown(key: str) -> str:
    """Give a key as one word of a line."""
    return key if key.isprintable() else json.dumps(key)


def _model(entry: Entry) -> str:
    try:
        return read(entry.data).fingerprint
    except DataError:
        return "(damaged)"
