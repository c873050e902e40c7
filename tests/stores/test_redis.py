"""What is Redis's own: connections that are lost, and what the server must promise."""

import socket
import sys
from pathlib import Path
from threading import Thread

import pytest

from seqstate.errors import (
    ArgumentError,
    ConflictError,
    DataError,
    MissingPackageError,
    StoreError,
)
from seqstate.stores import Entry, open_store
from seqstate.stores import redis_server as server_module
from seqstate.stores.redis import RedisStore
from stores.redis_server import RedisServer, needs_redis

pytestmark = needs_redis
RIGHTS = [
    *("+get", "+set", "+getrange", "+del", "+mget", "+scan", "+eval", "+evalsha"),
    *("+script|load", "+info", "+config|get"),
]
EVERY_WRITE = ("--appendonly", "yes", "--appendfsync", "always")


@pytest.fixture
def own_server(tmp_path):
    """Start servers that are the test's alone."""
    started = []

    def start(*settings):
        started.append(RedisServer(tmp_path, *settings))
        return started[-1]

    yield start
    for server in started:
        server.kill()


@pytest.fixture
def plain(redis_server):
    import redis

    with redis.Redis(port=redis_server.port) as client:
        yield client


class Line:
    """A line to the server that is cut at the next write: before it arrives, or after."""

    def __init__(self, port):
        self.port, self.cut, self.meanwhile, self.cuts = port, None, None, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self.listener.getsockname()[1]}/0"
        Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client):
        with client, socket.create_connection(("127.0.0.1", self.port)) as server:
            while data := client.recv(1 << 20):
                writes = b"EVAL" in data
                if self.cut == "before" and writes:
                    break
                server.sendall(data)
                answer = server.recv(1 << 20)
                if self.cut == "after" and writes:
                    break
                client.sendall(answer)
            else:
                return
            if self.meanwhile:
                self.meanwhile()
            self.cuts += 1
            self.cut = None


@pytest.fixture
def line(redis_server):
    line = Line(redis_server.port)
    yield line
    line.listener.close()


@pytest.mark.parametrize("cut", ["before", "after"])
def test_a_write_whose_answer_is_lost_is_written_once(cut, line):
    with open_store(f"{line.url}?prefix=cut-{cut}:") as store:
        store.put_many([("a", b"1", 0)])
        line.cut = cut
        assert store.put_many([("a", b"2", 1), ("b", b"2", 0)]) == [2, 1]
        assert line.cuts == 1
        assert store.get_many(["a", "b"]) == [Entry(b"2", 2), Entry(b"2", 1)]


def test_the_same_bytes_of_another_process_are_not_taken_for_ones_own(line, redis_server):
    prefix = "?prefix=same:"
    with open_store(line.url + prefix) as store, open_store(redis_server.url + prefix) as other:
        line.cut, line.meanwhile = "before", lambda: other.put_many([("a", b"same", 0)])
        with pytest.raises(ConflictError, match=r"Either all of the 1 items .* or none"):
            store.put_many([("a", b"same", 0)])


def test_it_is_seen_that_a_write_was_carried_out_although_a_key_was_moved_on(line, redis_server):
    prefix = "?prefix=moved-on:"
    with open_store(line.url + prefix) as store, open_store(redis_server.url + prefix) as other:
        line.cut, line.meanwhile = "after", lambda: other.put_many([("a", b"2", 1)])
        assert store.put_many([("a", b"1", 0), ("b", b"1", 0)]) == [1, 1]
        assert store.get_many(["a", "b"]) == [Entry(b"2", 2), Entry(b"1", 1)]


def test_the_version_of_a_new_key_is_right_when_the_answer_is_lost(line, redis_server):
    prefix = "?prefix=first:"
    with open_store(line.url + prefix) as store, open_store(redis_server.url + prefix) as other:
        other.put_many([(key, b"", 0) for key in "abc"])
        other.put_many([("b", b"", 1)])
        other.delete(["a", "b"])

        def highest_is_deleted():
            other.put_many([("c", b"", 1)])
            for version in range(2, 5):
                other.put_many([("c", b"", version)])
            other.delete(["c"])

        line.cut, line.meanwhile = "after", highest_is_deleted
        assert store.put_many([("a", b"1", 0)]) == [3]
        assert store.put_many([("a", b"2", 3)]) == [4]


def test_a_new_key_that_was_moved_while_the_answer_was_lost_is_not_taken_for_ones_own(
    line, redis_server
):
    prefix = "?prefix=moved-new:"
    with open_store(line.url + prefix) as store, open_store(redis_server.url + prefix) as other:
        other.put_many([("known", b"", 0)])
        line.cut, line.meanwhile = "after", lambda: other.put_many([("new", b"theirs", 1)])
        versions = store.put_many([("known", b"", 1), ("new", b"ours", 0)])
        with pytest.raises(ConflictError) as raised:
            store.put_many([("new", b"ours", versions[1])])
        assert raised.value.keys == ("new",)
        assert store.put_many([("known", b"", versions[0])]) == [3]


def test_a_server_that_is_gone_and_comes_back(own_server, monkeypatch):
    monkeypatch.setattr(server_module, "_AGAIN_AFTER", (0.0, 0.01))
    server = own_server(*EVERY_WRITE)
    with open_store(server.url, "full") as store:
        store.put_many([("a", b"1", 0), ("b", b"1", 0)])
        server.kill()
        calls = {
            "put_many": lambda: store.put_many([("a", b"2", 1)]),
            "get_many": lambda: store.get_many(["a"]),
            "delete": lambda: store.delete(["a"]),
            "keys": lambda: store.keys(),
        }
        for call in calls.values():
            with pytest.raises(StoreError, match="the server can't be reached"):
                call()
        server.start()
        # Killed, it still has what it acknowledged; its scripts are gone.
        assert store.get_many(["a", "b"]) == [Entry(b"1", 1)] * 2
        assert store.put_many([("a", b"2", 1)]) == [2]


def test_a_server_that_goes_while_it_writes_leaves_it_open_what_was_written(line, monkeypatch):
    monkeypatch.setattr(server_module, "_AGAIN_AFTER", (0.0, 0.01))
    with open_store(f"{line.url}?prefix=gone:") as store:
        line.cut, line.meanwhile = "after", lambda: line.listener.shutdown(socket.SHUT_RDWR)
        with pytest.raises(StoreError, match="Either all of the 2 items were written or none"):
            store.put_many([("a", b"1", 0), ("b", b"1", 0)])


def test_scripts_that_the_server_forgot_are_sent_again(redis_server, plain):
    with open_store(f"{redis_server.url}?prefix=forgot:") as store:
        plain.script_flush()
        assert store.put_many([("a", b"1", 0)]) == [1]
        assert store.put_many([("a", b"2", 1)]) == [2]
        plain.script_flush()
        assert store.delete(["a"]) == 1
        assert store.put_many([("a", b"3", 0)]) == [3]


def test_stores_with_other_prefixes_do_not_meet(redis_server):
    with (
        open_store(f"{redis_server.url}?prefix=one:") as one,
        open_store(f"{redis_server.url}?prefix=*:") as two,
        open_store(redis_server.url) as usual,
    ):
        one.put_many([("a", b"1", 0)])
        two.put_many([("a", b"22", 0), ("b", b"2", 0)])
        assert (list(one.keys()), list(two.keys()), list(usual.keys())) == (["a"], ["a", "b"], [])
        assert two.delete(["a", "b"]) == 2
        assert one.get_many(["a"]) == [Entry(b"1", 1)]
        assert (one.put_many([("b", b"", 0)]), two.put_many([("b", b"", 0)])) == ([1], [2])


def test_a_floor_is_no_key_of_a_store_whose_prefix_is_shorter(redis_server, plain):
    url = redis_server.url.replace("/0", "/5")
    with open_store(f"{url}?prefix=p:q:") as one, open_store(f"{url}?prefix=p") as two:
        one.put_many([("a", b"1", 0), ("b", b"1", 0)])
        one.delete(["b"])
        assert list(two.keys()) == [":q:a"]


@pytest.mark.parametrize("value", [b"", b"plain", b"SqV1", b"x" * 40])
def test_what_another_program_wrote_is_refused_and_left(value, redis_server, plain):
    plain.set("foreign:a", value)
    with open_store(f"{redis_server.url}?prefix=foreign:") as store:
        with pytest.raises(DataError, match="the key 'a' was not written by seqstate"):
            store.get_many(["a"])
        with pytest.raises((DataError, ConflictError)):
            store.put_many([("a", b"1", 3), ("b", b"1", 0)])
        assert plain.get("foreign:a") == value
        assert plain.get("foreign:b") is None


def test_a_key_that_is_no_text_is_refused_and_left(redis_server, plain):
    plain.hset("kind:a", "field", "value")
    plain.set(b"kind:\xff", "value")
    with open_store(f"{redis_server.url}?prefix=kind:") as store:
        with pytest.raises(DataError, match=r"else than a state\. Nothing"):
            store.put_many([("b", b"1", 0), ("a", b"1", 0)])
        assert plain.get("kind:b") is None
        with pytest.raises(DataError, match="was not written by seqstate"):
            store.keys()
        assert store.delete(["a"]) == 1
        assert store.put_many([("a", b"1", 0)]) == [1]


def test_one_call_can_not_write_more_than_every_server_takes(redis_server):
    with open_store(f"{redis_server.url}?prefix=most:") as store:
        items = [(f"{i:x}", b"", 0) for i in range(349_525)]
        with pytest.raises(ArgumentError, match=r"349,525 items came; .* at most 349,524.*\n .*in"):
            store.put_many(items)
        assert list(store.keys()) == []


def test_a_full_server_writes_nothing_of_the_call(own_server):
    server = own_server()
    with open_store(server.url) as store:
        store.put_many([("a", b"1", 0)])
        store._server.ask("", "CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(StoreError, match=r"the server refuses: .*memory.* Nothing was"):
            store.put_many([("a", b"2", 1), ("b", b"2", 0)])
        assert store.get_many(["a", "b"]) == [Entry(b"1", 1), None]
        assert store.delete(["a"]) == 1
        store._server.ask("", "CONFIG", "SET", "maxmemory", "0")
        assert store.put_many([("a", b"3", 0)]) == [2]


@pytest.mark.parametrize(
    ("settings", "durability", "says"),
    [
        ((), "full", "on the server appendonly is no and appendfsync is everysec"),
        (("--appendonly", "yes"), "full", r'"full", and on the server appendfsync is everysec\.'),
        (EVERY_WRITE, "full", None),
        ((), "normal", None),
        (("--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru"), "normal", "throws states"),
        (("--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru"), "none", None),
        (("--maxmemory", "50mb", "--maxmemory-policy", "volatile-lru"), "normal", None),
    ],
)
def test_what_the_server_must_promise(settings, durability, says, own_server):
    url = own_server(*settings).url
    if says is None:
        open_store(url, durability).close()
    else:
        with pytest.raises(ArgumentError, match=says):
            open_store(url, durability)


def test_a_password_is_used_and_never_shown(own_server, monkeypatch):
    url = own_server("--requirepass", "secret word").url
    with open_store(url.replace("//", "//:secret%20word@")) as store:
        store.put_many([("a", b"1", 0)])
        with pytest.raises(ConflictError, match="Redis store") as raised:
            store.put_many([("a", b"1", 0)])
        assert "secret" not in str(raised.value)
    for wrong in ("//:secretly@", "//"):
        with pytest.raises(StoreError, match="the server refuses") as raised:
            open_store(url.replace("//", wrong))
        assert "secret" not in str(raised.value)


def test_the_rights_that_the_docs_name_are_enough_and_none_is_too_many(own_server):
    server = own_server(*EVERY_WRITE)
    said = (Path(__file__).parents[2] / "docs/concepts/stores.md").read_text()
    assert f"~seqstate:* {' '.join(RIGHTS)}`" in said
    url = server.url.replace("//", "//plant:word@")
    import redis

    with redis.Redis(port=server.port) as plain:
        for without in (None, *RIGHTS):
            rights = [one for one in RIGHTS if one != without]
            plain.flushdb()
            plain.acl_deluser("plant")
            plain.execute_command("ACL", "SETUSER", "plant", "on", ">word", "~seqstate:*", *rights)
            if without is None:
                use(url, plain)
            else:
                with pytest.raises(StoreError, match=r"refuses: .*user.*\n .*stores\.md"):
                    use(url, plain)


def use(url, plain):
    with open_store(url, "full") as store:
        plain.script_flush()  # as after a restart: then a script is sent whole
        assert store.put_many([("a", b"1", 0), ("b", b"1", 0)]) == [1, 1]
        plain.script_flush()
        assert store.get_many(["a"])[0].data == b"1"
        assert list(store.keys()) == ["a", "b"]
        assert store.delete(["a", "b"]) == 2
        assert store.put_many([("a", b"1", 0)]) == [2]


@pytest.mark.parametrize(
    ("settings", "change", "says"),
    [
        (("--requirepass", "word"), lambda url: url, "user and the password in the URL"),
        (("--requirepass", "word"), lambda url: url.replace("//", "//:w@"), "user and the pass"),
        (("--replicaof", "127.0.0.1", "1"), lambda url: url, "URL of the primary"),
        (("--maxmemory", "1"), lambda url: url, "Raise its maxmemory"),
        (("--min-replicas-to-write", "1"), lambda url: url, "Check its log, its settings"),
    ],
    ids=["no password", "another password", "a replica", "full", "no replica"],
)
def test_what_to_do_where_the_server_refuses(settings, change, says, own_server):
    url = change(own_server(*settings).url)
    refused = rf"refuses: .*[^.]\. Nothing was written\.\n  .*{says}"
    with pytest.raises(StoreError, match=refused), open_store(url) as store:
        store.put_many([("a", b"1", 0)])


def test_a_server_on_a_socket(own_server, tmp_path):
    own_server("--unixsocket", str(tmp_path / "socket"))
    with open_store(f"unix://{tmp_path}/socket?db=1&prefix=p:") as store:
        assert store.put_many([("a", b"1", 0)]) == [1]
        with pytest.raises(ConflictError, match=f"unix://{tmp_path}/socket"):
            store.put_many([("a", b"1", 0)])


def test_a_url_that_redis_can_not_read(redis_server):
    with pytest.raises(ArgumentError, match="redis-py can't read the URL"):
        open_store("redis://localhost:port/0")
    with pytest.raises(ArgumentError, match="which UTF-8 can't hold"):
        RedisStore(redis_server.url, "\ud800")


def test_the_package_is_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(MissingPackageError, match=r'pip install "seqstate\[redis\]"'):
        open_store("redis://localhost:6379/0")
