"""`Claims`: which keys a thread works on, so that others wait for these keys alone."""

from __future__ import annotations

from collections.abc import Iterator, Set
from contextlib import contextmanager
from threading import Condition, RLock, get_ident

# A thread that was told of no release looks again: Ctrl-C can cut short the telling.
_SECONDS = 0.5


class Claims:
    """Keys that are being moved. Different keys are moved side by side, one key in turn.

    A thread has one claim. What Ctrl-C kept it from letting go it does not wait for itself.
    """

    def __init__(self) -> None:
        self._of: dict[int, Set[str]] = {}
        self._all: int | None = None
        # The lock, not the condition, is what `with` takes: that can't be cut in two by Ctrl-C.
        self._lock = RLock()
        self._changed = Condition(self._lock)

    @contextmanager
    def of(self, keys: Set[str]) -> Iterator[None]:
        """Hold keys for the block; waits until no other thread holds one of them."""
        me = get_ident()
        try:
            with self._lock:
                while self._all not in (None, me) or self._others(me, keys):
                    self._changed.wait(_SECONDS)
                self._of[me] = keys
            yield
        finally:
            if self._of.get(me) is keys:
                del self._of[me]
            with self._lock:
                self._changed.notify_all()

    @contextmanager
    def of_all(self) -> Iterator[None]:
        """Hold all keys for the block, those too that are not there yet."""
        me = get_ident()
        try:
            with self._lock:
                while self._all not in (None, me):
                    self._changed.wait(_SECONDS)
                self._all = me  # no other thread begins
                self._of.pop(me, None)
                while self._of:
                    self._changed.wait(_SECONDS)
            yield
        finally:
            if self._all == me:
                self._all = None
            with self._lock:
                self._changed.notify_all()

    def _others(self, me: int, keys: Set[str]) -> bool:
        """Tell whether another thread holds one of some keys."""
        # Claims end without the lock.
        held = list(self._of.items())
        return any(other != me and not theirs.isdisjoint(keys) for other, theirs in held)
