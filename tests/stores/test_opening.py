"""A store by its URL."""

import subprocess
import sys

import pytest

from seqstate.errors import ArgumentError
from seqstate.stores import Entry, open_store
from seqstate.stores.memory import MemoryStore


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite:///states.db", "states.db"),
        ("sqlite:///folder/s.db?durability=full&timeout=1.5", "folder/s.db"),
        ("sqlite:///with%20space%3F.db", "with space?.db"),
    ],
)
def test_a_path_is_relative_after_three_slashes(url, file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with open_store(url) as store:
        store.put_many([("a", b"1", 0)])
    assert (tmp_path / file).is_file()
    with open_store(f"sqlite:///{tmp_path}/{file.replace('?', '%3F')}", create=False) as store:
        assert store.get_many(["a"]) == [Entry(b"1", 1)]


def test_a_store_comes_back_as_it_is():
    store = MemoryStore()
    assert open_store(store) is store
    with pytest.raises(ArgumentError, match="durability can't be changed"):
        open_store(store, "full")


@pytest.mark.parametrize(
    ("url", "durability", "says"),
    [
        ("states.db", None, "'states.db' is of no known kind"),
        ("postgres://x", None, "is of no known kind"),
        ("redis:", None, "is of no known kind"),
        ("sqlite://states.db", None, "names no file: three slashes"),
        ("sqlite:///", None, "names no file"),
        ("sqlite:///folder/", None, "names no file"),
        ("sqlite:///s.db?time=3", None, "the unknown option time"),
        ("sqlite:///s.db?timeout=soon", None, "timeout=soon; expected seconds"),
        ("sqlite:///s.db?timeout=nan", None, "timeout=nan; expected seconds"),
        ("sqlite:///s.db?durability=some", None, "durability=some; expected one of"),
        ("sqlite:///s.db?durability=full", "none", "Say it once"),
        ("sqlite:///s.db", "much", "durability is 'much'; expected one of"),
        ("memory:?x=1", None, "the unknown option x"),
        (None, "full", "what is kept in memory goes with the process"),
        ("memory:", "normal", "what is kept in memory goes with the process"),
        (7, None, "the URL is 7, a int"),
    ],
)
def test_what_names_no_store_is_refused(url, durability, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArgumentError, match=says):
        open_store(url, durability)
    assert not list(tmp_path.iterdir())


def test_a_store_in_a_file_loads_no_framework_and_no_client_of_redis(tmp_path):
    code = (
        "import sys; from seqstate.stores import open_store; "
        f"open_store('sqlite:///{tmp_path}/s.db').close(); "
        "print([m for m in ('keras', 'jax', 'torch', 'tensorflow', 'redis') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
