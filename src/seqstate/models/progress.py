"""A progress bar that appears only where the work is long and somebody watches."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from time import monotonic
from typing import TypeVar

from rich.console import Console
from rich.progress import Progress

Item = TypeVar("Item")

# Shorter work needs no bar.
_SECONDS = 2.0


def shown(items: Sequence[Item], label: str, wanted: bool | None) -> Generator[Item]:
    """Go through items and show how far it is, on stderr.

    Args:
        items: what to go through.
        label: what is done with each.
        wanted: whether to show the bar; None: in a terminal, after two seconds.
    """
    console = Console(stderr=True)
    may = console.is_terminal if wanted is None else wanted
    bar: Progress | None = None
    start = monotonic()
    try:
        for number, item in enumerate(items):
            if may and bar is None and (wanted or monotonic() - start > _SECONDS):
                # In a log, only the end of it is printed.
                bar = Progress(console=console, transient=console.is_terminal)
                task = bar.add_task(label, total=len(items))
                bar.start()
            if bar is not None:
                bar.update(task, completed=number)
            yield item
        if bar is not None:
            bar.update(task, completed=len(items))
    finally:
        if bar is not None:
            bar.stop()
