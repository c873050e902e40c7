"""`Engine`: a call on keys from its start to its end: hold, bring, move, write, and only then keep.

With a store in memory a call holds the one lock from start to end. With one that outlives the
process it holds its keys, and the lock only while it works in memory: what several threads write
meanwhile, the store writes together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from threading import RLock

import numpy as np

from seqstate.errors import ArgumentError, UnknownKeyError, message
from seqstate.runtime.streams.claims import Claims
from seqstate.runtime.streams.keeping import Keeping
from seqstate.runtime.streams.moving import Moving
from seqstate.runtime.streams.order import checked_numbers
from seqstate.runtime.streams.places import Array, Places, Rows
from seqstate.runtime.streams.stepping import Stepping
from seqstate.stores.checks import check_keys

Marks = dict[str, Places]
Change = Callable[[Places, Marks], tuple[Places, Marks]]


class Engine:
    """Moves keys, all of a call or none.

    Attributes:
        lock: held while something in memory is read or changed.
        live: the keys in memory.
        open: whether there may be calls.
        in_memory: whether a call is done when it lets go of the lock.
    """

    def __init__(self, stepping: Stepping, moving: Moving, keeping: Keeping, where: str) -> None:
        self._stepping, self._moving, self._where = stepping, moving, where
        self.keeping = keeping
        self.live = keeping.live
        self.lock = RLock()
        self.open = True
        self.in_memory = not keeping.writes_through
        self._claims = Claims()

    # What is held

    @contextmanager
    def held(self, keys: Sequence[str]) -> Iterator[None]:
        """Hold keys for the block: no other thread moves them."""
        with self.lock if self.in_memory else self._claims.of(self._names(keys)):
            self.check_open()
            yield

    @contextmanager
    def held_all(self) -> Iterator[None]:
        """Hold all keys for the block."""
        claim: AbstractContextManager[object] = self._claims.of_all()
        with self.lock if self.in_memory else claim, self.lock:
            yield

    def check_open(self) -> None:
        """Refuse calls after `close`.

        Raises:
            ArgumentError: they are closed.
        """
        if not self.open:
            raise ArgumentError(
                message(self._where, "they are closed.", "Open them again: model.streams(...).")
            )

    def _names(self, keys: Sequence[str]) -> set[str]:
        try:
            return set(keys)
        except TypeError:
            check_keys(keys, self._where)
            raise

    # Pushes

    def push_live(self, key: str, x: Sequence[Array]) -> list[Array] | None:
        """Move a key by one sample without a number; None where it is not in memory."""
        live = self.live
        with self.lock:
            row = live.index.get(key) if self.open and isinstance(key, str) else None
            if row is None:
                return None
            outputs, after = self._stepping.step(x, live.leaves_at(row))
            # Noted first: what is written to the row in one call is not lost by a Ctrl-C after it.
            live.unwritten[row] = True
            if not live.put_leaves_at(row, after):
                self._stepping.check(after, [key], self._where)
            live.touch_one(row)
        return outputs

    def push(
        self, keys: Sequence[str], x: Sequence[Array], sequences: Sequence[int | None] | None
    ) -> list[Array]:
        """Move keys, each by its sample, in order; all or none."""
        numbers = None
        if sequences is not None:
            numbers = checked_numbers(sequences, len(keys), keys, self._where)
        fresh: list[str] = []
        with self.held(keys):
            try:
                with self.lock:
                    rows = self.keeping.bring(keys, self._where, fresh)
                    local = None
                    if not self.live.touch(rows):
                        rows, local = np.unique(rows, return_inverse=True)
                    places = self.live.places(rows)
                    outputs, moved = self._moving.move(keys, x, numbers, places, local, self._where)
                    if local is not None:
                        keys = [str(self.live.names[row]) for row in rows.tolist()]
                    if moved:
                        self.live.hold(rows)
                    else:
                        self.keeping.push_out(self._where)
                if moved:
                    self.commit(keys, rows, places, self.keeping.marks)
            except BaseException:
                with self.lock:
                    self.keeping.forget_new(fresh)
                raise
        return outputs

    # Changes of one key

    def place(self, key: str) -> Places:
        """Give where a key stands; it is held.

        Raises:
            UnknownKeyError: there is no such key.
        """
        with self.lock:
            place = self.live.places(self._known(key))
            self.keeping.push_out(self._where)
        return place

    def marks(self, key: str) -> Marks:
        """Give the bookmarks of a key; it is held.

        Raises:
            UnknownKeyError: there is no such key.
        """
        with self.lock:
            self._known(key)
            marks = self.keeping.marks.get(key, {})
            self.keeping.push_out(self._where)
        return marks

    def change(self, key: str, change: Change, may_be_new: bool = False) -> None:
        """Put a key elsewhere, by what `change` makes of where it stands and its bookmarks."""
        fresh: list[str] = []
        with self.held([key]):
            try:
                with self.lock:
                    if not may_be_new:
                        self._known(key)
                    rows = self.keeping.bring([key], self._where, fresh)
                    marks = self.keeping.marks.get(key, {})
                    place, marks = change(self.live.places(rows), marks)
                    self.live.hold(rows)
                self.commit([key], rows, place, {key: marks})
            except BaseException:
                with self.lock:
                    self.keeping.forget_new(fresh)
                raise

    def replace(self, keys: Sequence[str], data: Sequence[bytes]) -> None:
        """Put keys to where their bytes say; all keys are held.

        Raises:
            DataError: the bytes are damaged; no key was moved.
            StateMismatchError: they are of another model; no key was moved.
        """
        if not keys:
            return
        places, marks = self.keeping.unpack(keys, data)
        fresh: list[str] = []
        try:
            rows = self.keeping.bring_over(keys, self._where, fresh)
            self.live.hold(rows)
        except BaseException:
            self.keeping.forget(fresh)
            raise
        self.commit(keys, rows, places, marks)

    def drop(self, key: str) -> None:
        """Forget a key here and in the store."""
        with self.held([key]):
            check_keys([key], self._where)
            with self.lock:
                live = key in self.live.index
            # What the store has of it is not read: it may be damaged.
            if not self.keeping.store.delete([key]) and not live:
                raise self._unknown(key)
            with self.lock:
                self.keeping.forget([key])

    def peek(self, key: str) -> list[Array]:
        """Give the state of a key, the start state for one that is not there."""
        fresh: list[str] = []
        with self.held([key]), self.lock:
            try:
                leaves = self.live.leaves_of(self.keeping.bring([key], self._where, fresh))
            finally:
                self.keeping.forget(fresh)
            self.keeping.push_out(self._where)
        return leaves

    def knows(self, key: str) -> bool:
        """Tell whether a key is there, in memory or in the store."""
        check_keys([key], self._where)
        with self.lock:
            return key in self.live.index or self.keeping.store.get_many([key])[0] is not None

    def bring_one(self, key: str) -> Rows:
        """Give the row of a key, of a new one too."""
        with self.lock:
            rows = self.keeping.bring([key], self._where, [])
            self.live.hold(rows)
        return rows

    def _known(self, key: str) -> Rows:
        """Give the row of a key; the lock is held."""
        fresh: list[str] = []
        try:
            rows = self.keeping.bring([key], self._where, fresh)
        finally:
            self.keeping.forget(fresh)
        if fresh:
            raise self._unknown(key)
        self.live.touch(rows)
        return rows

    def _unknown(self, key: str) -> UnknownKeyError:
        return UnknownKeyError(
            message(self._where, f"there is no key {key!r}.", "A key begins with its first push.")
        )

    # The end of a call

    def commit(
        self, keys: Sequence[str], rows: Rows, places: Places, marks: Mapping[str, Marks]
    ) -> None:
        """Write where held keys stand now, then keep it in memory.

        Raises:
            ConflictError: another process moved some of them.
            StoreError: the store can't be reached.
        """
        try:
            versions = None
            if not self.in_memory:
                with self.lock:
                    before = self.live.version[rows].tolist()
                versions = self.keeping.write(keys, places, marks, before, self._where)
            with self.lock:
                self._keep(keys, rows, places, marks, versions)
        except BaseException:
            with self.lock:
                if self.in_memory:  # Ctrl-C between two leaves: all of the call, not a half
                    self._keep(keys, rows, places, marks, None)
                else:  # what the store has now is not known: the next call on them reads it
                    self.keeping.forget(keys)
            raise
        with self.lock:
            self.keeping.push_out(self._where)

    def _keep(
        self,
        keys: Sequence[str],
        rows: Rows,
        places: Places,
        marks: Mapping[str, Marks],
        versions: Sequence[int] | None,
    ) -> None:
        self.live.put_places(rows, places)
        if versions is None:
            self.live.unwritten[rows] = True
        else:
            self.live.version[rows] = versions
        if marks is not self.keeping.marks:
            for key in keys:
                self.keeping.set_marks(key, marks.get(key, {}))
        self.live.touch(rows)
