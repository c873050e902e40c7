"""`Claims`: which keys a thread works on, so that others wait for these keys alone."""

from __future__ import annotations

from collections.abc import Iterator, Set
from contextlib import contextmanager
from threading import Condition


class Claims:
    """Keys that are being moved. Different keys are moved side by side, one key in turn."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._all = False
        self._changed = Condition()

    @contextmanager
    def of(self, keys: Set[str]) -> Iterator[None]:
        """Hold keys for the block; waits until no other thread holds one of them."""
        with self._changed:
            while self._all or not self._taken.isdisjoint(keys):
                self._changed.wait()
            self._taken |= keys
        try:
            yield
        finally:
            with self._changed:
                self._taken -= keys
                self._changed.notify_all()

    @contextmanager
    def of_all(self) -> Iterator[None]:
        """Hold all keys for the block, those too that are not there yet."""
        with self._changed:
            while self._all:
                self._changed.wait()
            self._all = True  # no other thread begins
            while self._taken:
                self._changed.wait()
        try:
            yield
        finally:
            with self._changed:
                self._all = False
                self._changed.notify_all()
