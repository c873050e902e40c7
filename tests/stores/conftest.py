"""The stores that one contract holds for, and the server that one of them needs."""

import subprocess
from itertools import count
from subprocess import PIPE

import pytest

from stores.redis_server import PROGRAM, RedisServer, needs_redis

KINDS = [
    "memory",
    "sqlite",
    pytest.param("redis", marks=needs_redis),
]
LASTING = [kind for kind in KINDS if kind != "memory"]
_number = count()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory):
    """A server that keeps nothing on disk."""
    if PROGRAM is None:
        pytest.skip("redis-server is not installed")
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture
def new_url(tmp_path, request):
    """Make the URL of a store that is empty."""

    def make(kind):
        if kind == "redis":
            server = request.getfixturevalue("redis_server")
            return f"{server.url}?prefix=test-{next(_number)}:"
        return "memory:" if kind == "memory" else f"sqlite:///{tmp_path}/{next(_number)}.db"

    return make


@pytest.fixture
def start():
    """Start processes that don't outlive the test."""
    started = []

    def start(command):
        process = subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
