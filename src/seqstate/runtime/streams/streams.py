"""`Streams`: one state for each key, moved by what is pushed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from seqstate.errors import ArgumentError, UnknownKeyError, message
from seqstate.runtime.streams.engine import Engine, Marks
from seqstate.runtime.streams.given_state import checked_state, place_at
from seqstate.runtime.streams.keeping import Keeping
from seqstate.runtime.streams.moving import Moving
from seqstate.runtime.streams.order import checked_numbers
from seqstate.runtime.streams.places import NO_NUMBER, Places
from seqstate.runtime.streams.records import Records
from seqstate.runtime.streams.rows import LiveRows
from seqstate.runtime.streams.samples import Samples
from seqstate.runtime.streams.stepping import Stepping
from seqstate.state import State
from seqstate.stores import Store, open_store
from seqstate.stores.memory import MemoryStore

if TYPE_CHECKING:
    import os

    from seqstate.runtime.model import Model


class Streams:
    """One state for each key, moved by what is pushed: `model.streams(...)`.

    The states of live keys are in memory, packed. With a store that outlives the process, a call
    returns when what it moved is written; with the store in memory, a key is written when it is
    pushed out of `max_live`. If a call raises, no state has moved. Safe for several threads.

    Args:
        model: what `seqstate.load` gives.
        store: a URL, a store, or None for memory; a store that is passed open stays open.
        durability: "full", "normal" or "none": what a push that returned survives, for a URL.
        max_live: how many keys are in memory at most, between calls; the least recently used go
            to the store. None: all that are used.
        keep_outputs: of how many pushes of a key the outputs are kept, for pushes with sequence
            numbers that come again.

    Raises:
        ArgumentError: the model can't be stepped, or a limit that is no whole number from 1.

    Example:
        >>> import keras, numpy as np, pathlib, seqstate, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> layers = [keras.Input((None, 2)), keras.layers.LSTM(4, name="lstm")]
        >>> keras.Sequential(layers).save(folder / "model.keras")
        >>> model = seqstate.load(folder / "model.keras")
        >>> with model.streams(f"sqlite:///{folder}/states.db") as streams:
        ...     output = streams.push("pump-1", [0.5, 1.0])
        ...     outputs = streams.push_many(["pump-1", "pump-2"], np.ones((2, 2)))
        >>> with model.streams(f"sqlite:///{folder}/states.db") as streams:
        ...     list(streams)
        ['pump-1', 'pump-2']
    """

    def __init__(
        self,
        model: Model,
        store: str | Store | None = None,
        durability: str | None = None,
        max_live: int | None = None,
        keep_outputs: int = 1,
    ) -> None:
        self._where = f'streams of "{model.name}"'
        for name, value in (("max_live", max_live), ("keep_outputs", keep_outputs)):
            if value is not None and (type(value) is not int or value < 1):
                raise ArgumentError(
                    message(
                        self._where,
                        f"{name} is {value!r}; expected a whole number from 1.",
                        "Leave it out where there is no limit to set.",
                    )
                )
        self.model = model
        self._stepping = step = Stepping(model)
        self._samples = Samples(model)
        opened = open_store(store, durability)
        self._owns = opened is not store
        keeping = Keeping(
            LiveRows(step.start, keep_outputs, step.width),
            Records(model.fingerprint, model.state_spec, step.start, keep_outputs, step.width),
            opened,
            not isinstance(opened, MemoryStore),
            max_live,
        )
        self._engine = Engine(step, Moving(step, keep_outputs), keeping, self._where)

    # Pushes

    def push(self, key: str, sample: Any, sequence: int | None = None) -> Any:
        """Move a key by one sample.

        Args:
            key: names the source; a new one begins at the start state.
            sample: `[features]`; a dict by name for several inputs.
            sequence: the number of this push: one more than that of the key's last one. The last
                number again is answered from what was kept, and moves nothing.

        Returns:
            The output of this step, `[units]`; a dict by name for several outputs.

        Raises:
            InputError: another width, NaN or infinity.
            ArgumentError: a key that can't be one, or a number that is out of order.
            ConflictError: another process has moved the key.
            StoreError: the store can't be reached.
        """
        x = self._samples.one(sample, key, self._where)
        engine = self._engine
        if sequence is None and engine.in_memory:
            outputs = engine.push_live(key, x)
            if outputs is not None:
                return self._stepping.first(outputs)
        outputs = engine.push([key], x, None if sequence is None else [sequence])
        return self._stepping.first(outputs)

    def push_many(
        self, keys: Sequence[str], samples: Any, sequences: Sequence[int | None] | None = None
    ) -> Any:
        """Move keys, each by its sample, in one batch; all of them or none.

        Args:
            keys: of the pushes. A key may come several times: its samples are taken in order.
            samples: `[pushes, features]`; a dict by name for several inputs.
            sequences: the number of each push, or None; see `push`.

        Returns:
            The outputs, `[pushes, units]`; a dict by name for several outputs.

        Raises:
            InputError: another width, NaN or infinity; the message names the key.
            ArgumentError: a key that can't be one, or a number that is out of order.
            ConflictError: another process has moved one of the keys.
            StoreError: the store can't be reached.
        """
        if isinstance(keys, str) or not isinstance(keys, Iterable):
            raise ArgumentError(
                message(
                    self._where,
                    f"keys is {keys!r:.80}; expected a list.",
                    f"Pass [{keys!r:.80}], or use push.",
                )
            )
        keys = list(keys)
        x = self._samples.many(samples, keys, self._where)
        return self._stepping.named(self._engine.push(keys, x, sequences))

    def push_chunk(self, key: str, samples: Any, sequence: int | None = None) -> Any:
        """Move a key by several samples in order; all of them or none.

        Args:
            key: names the source.
            samples: `[time, features]`; a dict by name for several inputs.
            sequence: the number of the first sample; the others count on from it.

        Returns:
            The output of each step, `[time, units]`; a dict by name for several outputs.

        Raises:
            As of `push_many`.
        """
        x = self._samples.chunk(samples, key, self._where)
        count = len(x[0])
        numbers = None
        if sequence is not None:
            (first,) = checked_numbers([sequence], 1, [key], self._where)
            numbers = [first + i for i in range(count)]
        return self._stepping.named(self._engine.push([key] * count, x, numbers))

    def peek(self, key: str, sample: Any) -> Any:
        """Give what a push would give, and move nothing; a new key stays unknown."""
        x = self._samples.one(sample, key, self._where)
        leaves = self._engine.peek(key)
        outputs, _ = self._stepping.step(x, leaves)
        return self._stepping.first(outputs)

    # States

    def state(self, key: str) -> State:
        """Give the state of a key, a copy; each leaf `[1, units]`, as `model.run` takes it.

        Raises:
            UnknownKeyError: there is no such key.
        """
        with self._engine.held([key]):
            return self._stepping.nested(self._engine.place(key).leaves)

    def sequence(self, key: str) -> int | None:
        """Give the sequence number of the last push of a key, None if it had none.

        Raises:
            UnknownKeyError: there is no such key.
        """
        with self._engine.held([key]):
            number = int(self._engine.place(key).number[0])
        return None if number == NO_NUMBER else number

    def set_state(self, key: str, state: Mapping[str, Any], sequence: int | None = None) -> None:
        """Put a key at a state.

        Args:
            key: names the source; a new one begins here.
            state: all leaves by name, `[1, units]` or `[units]`.
            sequence: the number of the push that led there; the next is one more. None: the key
                has no number, and the next push may bring any.

        Raises:
            StateMismatchError: other names or sizes than the model's, or no numbers.
        """
        leaves = checked_state(state, self._stepping, self._where)
        (number,) = checked_numbers([sequence], 1, [key], self._where)

        def change(place: Places, marks: Marks) -> tuple[Places, Marks]:
            return place_at(leaves, self._stepping, number), marks

        self._engine.change(key, change, may_be_new=True)

    def reset(self, key: str) -> None:
        """Put a key back to the start state, without a number; its bookmarks stay.

        Raises:
            UnknownKeyError: there is no such key.
        """

        def change(place: Places, marks: Marks) -> tuple[Places, Marks]:
            return place_at(self._stepping.start, self._stepping, NO_NUMBER), marks

        self._engine.change(key, change)

    def drop(self, key: str) -> None:
        """Forget a key, its bookmarks, and what the store has of it.

        Raises:
            UnknownKeyError: there is no such key.
        """
        self._engine.drop(key)

    def branch(self, key: str, new_key: str) -> None:
        """Let a new key begin where another one stands, its number with it, not its bookmarks.

        Raises:
            UnknownKeyError: there is no such key.
            ArgumentError: the new key is there already.
        """
        engine = self._engine
        with engine.held([key, new_key]):
            place = engine.place(key)
            if engine.knows(new_key):
                raise ArgumentError(
                    message(
                        self._where,
                        f"the key {new_key!r} is there already.",
                        f"Take another name, or drop({new_key!r}) first.",
                    )
                )
            engine.commit([new_key], engine.bring_one(new_key), place, {})

    # Bookmarks

    def bookmark(self, key: str, name: str) -> None:
        """Remember where a key stands, its number with it; a name that is there moves here.

        Bookmarks are kept and written with the state of the key.

        Raises:
            UnknownKeyError: there is no such key.
            ArgumentError: the name is no text.
        """
        if not isinstance(name, str) or not name:
            raise ArgumentError(
                message(self._where, f"the name is {name!r}.", "Name a bookmark by a text.")
            )
        self._engine.change(key, lambda place, marks: (place, marks | {name: place}))

    def rewind(self, key: str, name: str) -> None:
        """Put a key back to where it stood at a bookmark, which stays.

        Raises:
            UnknownKeyError: there is no such key, or no such bookmark of it.
        """
        self._engine.change(key, lambda place, marks: (self._mark(key, name, marks), marks))

    def unmark(self, key: str, name: str) -> None:
        """Forget a bookmark.

        Raises:
            UnknownKeyError: there is no such key, or no such bookmark of it.
        """

        def change(place: Places, marks: Marks) -> tuple[Places, Marks]:
            self._mark(key, name, marks)
            return place, {other: mark for other, mark in marks.items() if other != name}

        self._engine.change(key, change)

    def bookmarks(self, key: str) -> list[str]:
        """List the bookmarks of a key.

        Raises:
            UnknownKeyError: there is no such key.
        """
        with self._engine.held([key]):
            return list(self._engine.marks(key))

    # All keys

    def keys(self) -> Iterator[str]:
        """Give the keys, sorted, those in the store with those in memory."""
        with self._engine.lock:
            self._engine.check_open()
            return self._engine.keeping.keys()

    def __len__(self) -> int:
        with self._engine.lock:
            return sum(1 for _ in self.keys())

    def __contains__(self, key: str) -> bool:
        with self._engine.held([key]):
            return self._engine.knows(key)

    def __iter__(self) -> Iterator[str]:
        return self.keys()

    def snapshot(self, path: str | os.PathLike[str]) -> None:
        """Write all keys into one file: states, numbers, kept outputs, bookmarks.

        Args:
            path: of the file, ending in `.safetensors`; replaced if it is there.

        Raises:
            ArgumentError: another ending, or a place that can't be written to.
        """
        from seqstate.runtime.streams import snapshot

        with self._engine.held_all():
            self._engine.check_open()
            snapshot.write(path, *self._engine.keeping.all_records())

    def restore(self, path: str | os.PathLike[str]) -> None:
        """Put the keys of a snapshot back to where they stood; other keys stay as they are.

        Raises:
            DataError: the file is not there, is damaged, or is no snapshot.
            StateMismatchError: it is of another model.
        """
        from seqstate.runtime.streams import snapshot

        with self._engine.held_all():
            self._engine.check_open()
            self._engine.replace(*snapshot.read(path))

    def flush(self) -> None:
        """Write what is in memory alone into the store."""
        keeping = self._engine.keeping
        with self._engine.held_all():
            self._engine.check_open()
            keeping.flush(keeping.unwritten(), self._where)

    def close(self) -> None:
        """Write what is to be written, and close the store if it was opened here."""
        keeping = self._engine.keeping
        with self._engine.held_all():
            if not self._engine.open:
                return
            self._engine.open = False
            if self._owns:
                keeping.store.close()
            else:
                keeping.flush(keeping.unwritten(), self._where)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _mark(self, key: str, name: str, marks: Marks) -> Places:
        if name in marks:
            return marks[name]
        there = ", ".join(map(repr, marks)) or "none"
        raise UnknownKeyError(
            message(
                self._where,
                f"key {key!r} has no bookmark {name!r}; it has {there}.",
                "Set one first: bookmark(key, name).",
            )
        )
