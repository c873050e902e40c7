"""Any order of calls, beside a dict that knows only how many samples each key has had."""

import tempfile

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from seqstate.errors import ArgumentError, UnknownKeyError
from seqstate.runtime.streams import Streams
from stores.redis_server import RedisServer, needs_redis

KEYS = ("a", "b", "c", "d")
KEEP = 2
key = st.sampled_from(KEYS)
SAMPLES = np.random.default_rng(5).normal(size=(7, 3)).astype("float32")


class Oracle:
    """States and outputs of one key: a place is the list of its samples since the start."""

    def __init__(self, model):
        self._model = model
        self._known = {(): (None, model.initial_state(1))}

    def at(self, place):
        """Give the last output and the state after some samples."""
        if place not in self._known:
            _, state = self.at(place[:-1])
            output, state = self._model.step(SAMPLES[place[-1]][None], state)
            self._known[place] = output[0], state
        return self._known[place]


class Calls(RuleBasedStateMachine):
    """Makes calls on streams, and the same ones on dicts."""

    model = url = oracle = None

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.streams = None
        # Of each key: its samples, the number of its last push, and which of them can come again.
        self.places, self.marks, self.saved = {}, {}, None

    @initialize(max_live=st.sampled_from([None, 1, 2]))
    def begin(self, max_live):
        self.max_live = max_live
        self.open()
        for old in list(self.streams):
            self.streams.drop(old)

    def open(self):
        url = self.url and self.url.format(self.folder.name)
        self.streams = Streams(self.model, url, None, self.max_live, keep_outputs=KEEP)

    def teardown(self):
        if self.streams is not None:
            self.streams.close()
        self.folder.cleanup()

    def put(self, key, sample, number):
        """Push to the dict; give the output, None for one that is out of order."""
        place, last, kept = self.places.get(key, ((), None, ()))
        if number is None:
            place = (*place, sample)
            self.places[key] = place, last, kept
            return self.oracle.at(place)[0]
        if last is not None and number != last + 1:
            again = last - number
            return kept[-1 - again] if 0 <= again < len(kept) else None
        place = (*place, sample)
        output = self.oracle.at(place)[0]
        self.places[key] = place, number, (*kept, output)[-KEEP:]
        return output

    def next(self, key, shift):
        last = self.places.get(key, ((), None, ()))[1]
        return None if shift is None else max((-1 if last is None else last) + 1 + shift, 0)

    @rule(key=key, sample=st.integers(0, 6), shift=st.sampled_from([None, 0, 0, -1, -2, 1]))
    def push(self, key, sample, shift):
        self.push_many([(key, sample, shift)], alone=True)

    @rule(pushes=st.lists(st.tuples(key, st.integers(0, 6), st.sampled_from([None, 0, 0, -1]))))
    def push_many(self, pushes, alone=False):
        before = dict(self.places)
        keys = [key for key, _, _ in pushes]
        samples = SAMPLES[[sample for _, sample, _ in pushes]].reshape(-1, 3)
        numbers, expected = [], []
        for key, sample, shift in pushes:
            numbers.append(self.next(key, shift))
            expected.append(self.put(key, sample, numbers[-1]))
        # What is answered from what was kept stood there before the call, or was made in it.
        try:
            if alone:
                made = [self.streams.push(keys[0], samples[0], numbers[0])]
            else:
                made = self.streams.push_many(keys, samples, numbers)
        except ArgumentError:
            self.places = before
            assert any(output is None for output in expected)
            return
        assert all(output is not None for output in expected)
        assert np.array_equal(np.reshape(made, (-1, 5)), np.reshape(expected, (-1, 5)))

    @rule(
        key=key, samples=st.lists(st.integers(0, 6), max_size=4), shift=st.sampled_from([None, 0])
    )
    def push_chunk(self, key, samples, shift):
        first = self.next(key, shift)
        made = self.streams.push_chunk(key, SAMPLES[samples].reshape(-1, 3), first)
        numbers = [None if first is None else first + i for i in range(len(samples))]
        expected = [self.put(key, x, n) for x, n in zip(samples, numbers, strict=True)]
        assert np.array_equal(made, np.reshape(expected, (-1, 5)))

    @rule(key=key, sample=st.integers(0, 6))
    def peek(self, key, sample):
        place, _, _ = self.places.get(key, ((), None, ()))
        assert np.array_equal(
            self.streams.peek(key, SAMPLES[sample]), self.oracle.at((*place, sample))[0]
        )

    @rule(key=key, sample=st.integers(0, 6), name=st.sampled_from(["bad", "wide"]))
    def refused(self, key, sample, name):
        bad = np.full(3, np.nan) if name == "bad" else np.zeros(4)
        with pytest.raises(ValueError, match="No state was moved"):
            self.streams.push(key, bad)

    @rule(key=key, number=st.sampled_from([None, 0, 7]), samples=st.lists(st.integers(0, 6)))
    def set_state(self, key, number, samples):
        place = tuple(samples[:3])
        self.streams.set_state(key, self.oracle.at(place)[1], number)
        self.places[key] = place, number, ()

    def known(self, key, call):
        """Make a call; tell whether the key is there, as the call does."""
        if key in self.places:
            call()
            return True
        with pytest.raises(UnknownKeyError):
            call()
        return False

    @rule(key=key)
    def reset(self, key):
        if self.known(key, lambda: self.streams.reset(key)):
            self.places[key] = (), None, ()

    @rule(key=key)
    def drop(self, key):
        if self.known(key, lambda: self.streams.drop(key)):
            del self.places[key]
            self.marks.pop(key, None)

    @rule(key=key, new=key)
    def branch(self, key, new):
        if key in self.places and new in self.places:
            with pytest.raises(ArgumentError):
                self.streams.branch(key, new)
        elif self.known(key, lambda: self.streams.branch(key, new)):
            self.places[new] = self.places[key]

    @rule(key=key, name=st.sampled_from("mn"))
    def bookmark(self, key, name):
        if self.known(key, lambda: self.streams.bookmark(key, name)):
            self.marks[key] = self.marks.get(key, {}) | {name: self.places[key]}

    @rule(key=key, name=st.sampled_from("mn"))
    def rewind(self, key, name):
        if name in self.marks.get(key, {}):
            self.streams.rewind(key, name)
            self.places[key] = self.marks[key][name]
        else:
            with pytest.raises(UnknownKeyError):
                self.streams.rewind(key, name)

    @rule()
    def reopen(self):
        if self.url is None:
            self.streams.flush()
            return
        self.streams.close()
        self.open()

    @rule()
    def snapshot(self):
        self.streams.snapshot(f"{self.folder.name}/all.safetensors")
        self.saved = dict(self.places), dict(self.marks)

    @rule()
    def restore(self):
        if self.saved:
            self.streams.restore(f"{self.folder.name}/all.safetensors")
            places, marks = self.saved
            self.places |= places
            self.marks = {k: m for k, m in self.marks.items() if k not in places} | marks

    @invariant()
    def same(self):
        if self.streams is None:
            return
        assert list(self.streams) == sorted(self.places)
        for key, (place, number, _) in self.places.items():
            state = self.streams.state(key)["lstm"]
            expected = self.oracle.at(place)[1]["lstm"]
            assert all(np.array_equal(state[name], expected[name]) for name in "hc")
            assert self.streams.sequence(key) == number
            assert self.streams.bookmarks(key) == list(self.marks.get(key, {}))
        live = len(self.streams._engine.live)
        assert self.max_live is None or live <= self.max_live


@pytest.fixture
def url(request, tmp_path):
    if request.param == "redis":
        server = RedisServer(tmp_path)
        yield server.url
        server.stop()
    else:
        yield request.param


STORES = [None, "sqlite:///{}/states.db?durability=none"]


@pytest.mark.parametrize("url", [*STORES, pytest.param("redis", marks=needs_redis)], indirect=True)
def test_any_order_of_calls(model, url):
    machine = type("Calls", (Calls,), {"model": model, "url": url, "oracle": Oracle(model)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60 if url is None else 25,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
