"""What holds for every store: the same calls on each of them and on a plain dict."""

import sys
from threading import Thread

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from seqstate.errors import ArgumentError, ConflictError, StoreError
from seqstate.stores import Entry, Store, open_store
from stores.conftest import KINDS, LASTING

# Few keys, so that they meet; some with what SQL, Redis's patterns and paths take for their own.
KEYS = st.sampled_from(
    ["a", "ab", "a*", "a?b", "[a-c]", "a\\b", "a%", "a_b", "é", "日本", "\x00", "'"]
)
PREFIXES = st.sampled_from(["", "a", "a*", "[", "a\\", "é", "\U0010ffff", "'"])
DATA = st.binary(max_size=40)

every = pytest.mark.parametrize("kind", KINDS)
lasting = pytest.mark.parametrize("kind", LASTING)


class Machine(RuleBasedStateMachine):
    """A store beside a dict from key to (data, version)."""

    url = ""

    def __init__(self):
        super().__init__()
        self.store, self.model = open_store(self.url, "none"), {}
        self.store.delete([*self.store.keys()])
        (self.floor,) = self.store.put_many([("a", b"", 0)])
        self.store.delete(["a"])

    @rule(items=st.dictionaries(KEYS, DATA, max_size=6))
    def put(self, items):
        known = [self.model.get(key, (b"", 0))[1] for key in items]
        given = [(*item, version) for item, version in zip(items.items(), known, strict=True)]
        new = [(version or self.floor) + 1 for version in known]
        assert self.store.put_many(given) == new
        written = zip(given, new, strict=True)
        self.model.update({key: (data, version) for (key, data, _), version in written})

    @rule(right=st.dictionaries(KEYS, DATA, max_size=4), wrong=KEYS, off=st.integers(1, 3))
    def put_with_a_conflict(self, right, wrong, off):
        given = [(key, data, self.model.get(key, (b"", 0))[1]) for key, data in right.items()]
        given = [item for item in given if item[0] != wrong]
        given.insert(len(given) // 2, (wrong, b"!", self.model.get(wrong, (b"", 0))[1] + off))
        with pytest.raises(ConflictError, match="Nothing was written") as raised:
            self.store.put_many(given)
        assert raised.value.keys == (wrong,)

    @rule(keys=st.lists(KEYS, max_size=8))
    def get(self, keys):
        wanted = [Entry(*self.model[key]) if key in self.model else None for key in keys]
        assert self.store.get_many(keys) == wanted

    @rule(keys=st.lists(KEYS, max_size=4))
    def delete(self, keys):
        gone = [self.model.pop(key) for key in dict.fromkeys(keys) if key in self.model]
        self.floor = max([self.floor, *(version for _, version in gone)])
        assert self.store.delete(keys) == len(gone)

    @rule(prefix=PREFIXES)
    def keys(self, prefix):
        wanted = sorted(key for key in self.model if key.startswith(prefix))
        assert list(self.store.keys(prefix)) == wanted

    @rule()
    def reopen(self):
        if self.url != "memory:":
            self.store.close()
            self.store = open_store(self.url, "none")

    def teardown(self):
        self.store.close()


@every
def test_a_store_does_what_a_dict_does(kind, new_url):
    url = new_url(kind)
    machine = type("OfKind", (Machine,), {"url": url})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=25, stateful_step_count=20, deadline=None)
    )


@every
def test_many_keys(kind, new_url):
    names = [f"key-{i:05}" for i in range(7_000)]
    with open_store(new_url(kind)) as store:
        assert isinstance(store, Store)
        assert store.put_many([(name, name.encode(), 0) for name in names]) == [1] * 7_000
        assert list(store.keys()) == names
        assert list(store.keys("key-012")) == names[1200:1300]
        got = store.get_many(names[::-1])
        assert [entry.data.decode() for entry in got] == names[::-1]
        assert store.put_many([(name, b"2", 1) for name in names]) == [2] * 7_000
        assert store.delete(names[:6_999]) == 6_999
        assert list(store.keys()) == names[-1:]


@every
def test_large_data(kind, new_url):
    data = bytes(range(256)) * 40_000
    with open_store(new_url(kind)) as store:
        store.put_many([("large", data, 0)])
        assert store.get_many(["large"]) == [Entry(data, 1)]


@every
@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda s: s.get_many("abc"), "keys is the text 'abc'"),
        (lambda s: s.get_many(["a", 3]), "a key is 3; expected a text"),
        (lambda s: s.get_many([""]), "a key is ''; expected"),
        (lambda s: s.delete(["é" * 513]), "1,026 bytes; expected a text of 1 to 1,024 bytes"),
        (lambda s: s.keys("\ud800"), "which UTF-8 can't hold"),
        (lambda s: s.put_many([("a", b"")]), "an item is"),
        (lambda s: s.put_many([("a", "text", 0)]), "the data of 'a' are str; expected bytes"),
        (lambda s: s.put_many([("a", b"", -1)]), "the version of 'a' is -1"),
        (lambda s: s.put_many([("a", b"", True)]), "the version of 'a' is True"),
        (
            lambda s: s.put_many([("a", b"", 2**63)]),
            "the version of 'a' is 9223372036854775808; expected",
        ),
        (lambda s: s.put_many([("a", b"", 0), ("b", b"", 0), ("a", b"", 1)]), "'a' comes more"),
        (lambda s: s.put_many([(["a"], b"", 0)]), "a key is"),
    ],
)
def test_what_can_not_be_stored_is_refused(kind, call, says, new_url):
    with open_store(new_url(kind)) as store:
        with pytest.raises(ArgumentError, match=says):
            call(store)
        assert list(store.keys()) == []


@every
def test_a_closed_store_says_so(kind, new_url):
    store = open_store(new_url(kind))
    store.close()
    store.close()
    for call in (store.get_many, store.delete, lambda _: store.keys()):
        with pytest.raises(StoreError, match="the store is closed"):
            call(["a"])
    with pytest.raises(StoreError, match="the store is closed"):
        store.put_many([("a", b"", 0)])


@every
def test_threads_that_move_one_key_and_keys_of_their_own(kind, new_url):
    rounds, threads = 30, 4

    def work(store, own):
        for number in range(rounds):
            store.put_many([(own, str(number).encode(), number)])
            add_one(store, "shared")

    with open_store(new_url(kind), None if kind == "memory" else "none") as store:
        workers = [Thread(target=work, args=(store, f"own-{i}")) for i in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        total = rounds * threads
        assert store.get_many(["shared"]) == [Entry(str(total).encode(), total)]
        own = store.get_many([f"own-{i}" for i in range(threads)])
        assert own == [Entry(str(rounds - 1).encode(), rounds)] * threads


def add_one(store, key):
    while True:
        entry = store.get_many([key])[0] or Entry(b"0", 0)
        try:
            store.put_many([(key, str(int(entry.data) + 1).encode(), entry.version)])
        except ConflictError:
            continue
        return


@lasting
def test_two_stores_see_each_other(kind, new_url):
    url = new_url(kind)
    with open_store(url) as one, open_store(url) as two:
        one.put_many([("a", b"1", 0), ("b", b"1", 0)])
        assert two.get_many(["a", "b"]) == [Entry(b"1", 1)] * 2
        two.put_many([("a", b"2", 1)])
        with pytest.raises(ConflictError, match=r"'a' \(read at version 1, now 2\)") as raised:
            one.put_many([("b", b"3", 1), ("a", b"3", 1), ("c", b"3", 0)])
        assert raised.value.keys == ("a",)
        assert one.get_many(["a", "b", "c"]) == [Entry(b"2", 2), Entry(b"1", 1), None]
        two.delete(["a"])
        with pytest.raises(ConflictError, match="now not there"):
            one.put_many([("a", b"3", 2)])


@every
@pytest.mark.parametrize("reopened", [False, True])
def test_a_version_does_not_come_again_after_delete(kind, reopened, new_url):
    url = new_url(kind)
    store = open_store(url)
    try:
        for version in range(3):
            store.put_many([("k", b"before", version), ("other", b"", version)])
        store.put_many([("other", b"", 3)])
        (held,) = store.get_many(["k"])
        assert held == Entry(b"before", 3)
        # Another one drops the key and moves it as often.
        assert store.delete(["k", "not there"]) == 1
        if reopened and kind != "memory":
            store.close()
            store = open_store(url)
        version = 0
        for _ in range(3):
            (version,) = store.put_many([("k", b"theirs", version)])
        assert version == 6
        with pytest.raises(ConflictError, match=r"'k' \(read at version 3, now 6\)"):
            store.put_many([("k", b"ours", held.version), ("other", b"ours", 4)])
        assert store.get_many(["k", "other"]) == [Entry(b"theirs", 6), Entry(b"", 4)]
        assert list(store.keys()) == ["k", "other"]
        # All new keys begin above the highest version that was deleted, not the last one.
        assert store.delete(["k"]) == store.delete(["other"]) == 1
        assert store.delete(["k", "other"]) == 0
        assert store.put_many([("other", b"", 0), ("new", b"", 0)]) == [7, 7]
    finally:
        store.close()


RACE = """
import sys
from seqstate.errors import ConflictError
from seqstate.stores import Entry, open_store
print("ready", flush=True)
sys.stdin.readline()
with open_store(sys.argv[1]) as store:
    for _ in range(200):
        while True:
            entry = store.get_many(["one"])[0] or Entry(b"0", 0)
            try:
                store.put_many([("one", str(int(entry.data) + 1).encode(), entry.version)])
                break
            except ConflictError:
                pass
"""


@lasting
def test_two_processes_race_for_one_key(kind, new_url, start):
    url = new_url(kind)
    # Nothing is made before, so that they race for the making of the file as well.
    both = [start([sys.executable, "-c", RACE, url]) for _ in range(2)]
    assert [process.stdout.readline() for process in both] == ["ready\n"] * 2
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.wait() for process in both] == [0, 0]
    with open_store(url) as store:
        assert store.get_many(["one"]) == [Entry(b"400", 400)]


FORKED = """
import os, sys
from seqstate.errors import StoreError
from seqstate.stores import Entry, open_store
store = open_store(sys.argv[1])
store.put_many([("a", b"1", 0)])
child = os.fork()
if not child:
    said = ""
    try:
        store.put_many([("a", b"2", 1)])
    except StoreError as error:
        said = str(error)
    store.close()
    os._exit(0 if "in each process, after the fork" in said else 1)
assert os.waitpid(child, 0)[1] == 0
assert store.put_many([("a", b"2", 1)]) == [2]
assert store.get_many(["a"]) == [Entry(b"2", 2)]
"""


@every
def test_a_store_that_came_by_a_fork_is_refused_and_the_parent_goes_on(kind, new_url, start):
    assert start([sys.executable, "-c", FORKED, new_url(kind)]).wait() == 0


WRITER = """
import sys
from seqstate.stores import open_store
keys = [f"k{i}" for i in range(300)]
with open_store(sys.argv[1]) as store:
    for number in range(1_000_000):
        store.put_many([(key, b"%09d" % number * 30, number) for key in keys])
        print(number, flush=True)
"""


@lasting
@pytest.mark.parametrize("acknowledged", [1, 2, 5, 9])
def test_a_writer_that_is_killed_leaves_whole_calls_and_all_that_it_acknowledged(
    kind, acknowledged, new_url, start
):
    url = new_url(kind)
    process = start([sys.executable, "-c", WRITER, url])
    for _ in range(acknowledged):
        last = int(process.stdout.readline())
    process.kill()
    rest = process.stdout.read().split()
    last = int(rest[-1]) if rest else last
    with open_store(url) as store:
        entries = store.get_many([f"k{i}" for i in range(300)])
        assert len(set(entries)) == 1
        assert entries[0].version in (last + 1, last + 2)
        assert entries[0].data == b"%09d" % (entries[0].version - 1) * 30
        store.put_many([("k0", b"goes on", entries[0].version)])
