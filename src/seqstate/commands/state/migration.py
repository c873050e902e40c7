"""`seqstate state migrate`: the states of older models moved to a newer one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

import seqstate
from seqstate import state as states
from seqstate.commands.state.batches import entries
from seqstate.errors import ConflictError, DataError, SeqstateError, message
from seqstate.stores import Store, open_store
from seqstate.stores.blob import read
from seqstate.stores.migration import Report, Target, migrate
from seqstate.stores.store import Item

WHERE = "seqstate state migrate"
_ATTEMPTS = 5
_NAMED = 5  # keys in a message
_MEANING = {
    "moved": "moved as it was",
    "filled": "new: as at the start",
    "reshaped": "another size: as at the start",
    "dropped": "not in the model: dropped",
}


def run_migrate(console: Console, url: str, model: Path, prefix: str, dry: bool) -> None:
    """Move the states of a store to a model, and print what was moved, filled or dropped.

    Args:
        console: where to print to.
        url: of the store.
        model: the `.keras` or `.h5` file of the newer model.
        prefix: what the keys begin with.
        dry: only print what would be done.

    Raises:
        DataError: some states can't be moved; they stay, the others are moved.
        SeqstateError: as `open_store`, the store and `seqstate.load`.
    """
    target = target_of(seqstate.load(model))
    report, left = Report(), dict[str, SeqstateError]()
    done = already = 0
    with open_store(url, create=False) as store:
        for batch in entries(store, prefix):
            moved, fresh = _move([key for key, _ in batch], store, target, report, left, dry)
            done, already = done + moved, already + fresh
    console.print(_table(report))
    console.print(
        f"keys {'that would be moved' if dry else 'moved'}: {done}; "
        f"of this model already: {already}; left as they are: {len(left)}",
        soft_wrap=True,
    )
    if left:
        named = ", ".join(map(repr, [*left][:_NAMED]))
        reason = str(next(iter(left.values())))
        raise DataError(
            message(
                WHERE,
                f"{len(left)} keys stay as they are, such as {named}. The first one: {reason}",
                "Remove them with seqstate state rm, or pass the model that they belong to.",
            )
        )


def target_of(model: Any) -> Target:
    """Give what a loaded model says of its state.

    Args:
        model: what `seqstate.load` gives.
    """
    start = states.map_leaves(lambda leaf: leaf[0], model.initial_state(1))
    return Target(model.fingerprint, model.state_spec, start)


def _move(
    keys: list[str],
    store: Store,
    target: Target,
    report: Report,
    left: dict[str, SeqstateError],
    dry: bool,
) -> tuple[int, int]:
    """Move a batch; a process that goes on writing these keys is given way to, some times."""
    for attempt in range(_ATTEMPTS):
        tried, refused, already = Report(), dict[str, SeqstateError](), 0
        items: list[Item] = []
        for key, entry in zip(keys, store.get_many(keys), strict=True):
            if entry is None:
                continue
            try:
                if read(entry.data, f'key "{key}"').fingerprint == target.fingerprint:
                    already += 1
                    continue
                # Its own report, so that a state that is left counts for nothing.
                one = Report()
                data = migrate(entry.data, target, f'key "{key}"', one)
            except SeqstateError as error:
                refused[key] = error
                continue
            tried.add(one)
            items.append((key, data, entry.version))
        try:
            if not dry:
                store.put_many(items)
        except ConflictError:
            if attempt == _ATTEMPTS - 1:
                raise
            continue
        break
    report.add(tried)
    left.update(refused)
    return len(items), already


def _table(report: Report) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("state", "keys", "what"):
        table.add_column(title)
    for part, meaning in _MEANING.items():
        for path, count in sorted(getattr(report, part).items()):
            table.add_row(escape(path), str(count), meaning)
    return table
