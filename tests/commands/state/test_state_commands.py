"""`seqstate state` as it is typed."""

import io
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import seqstate
from seqstate import cli
from seqstate.stores import Entry, open_store
from seqstate.stores.blob import Layout
from stores.conftest import LASTING

OLD = Layout("0ld", {"lstm": {"h": (2,), "c": (2,)}})
SPEC = {"lstm": {"h": (2,), "c": (2,)}, "dense": {"h": (1,)}}
KEYS = ["pump-1", "pump-2", "valve\n3"]


def state(value, layout=OLD):
    return layout.pack(
        {"lstm": {"h": np.full(2, value, "f4"), "c": np.zeros(2, "f4")}}, {"n": value}
    )


@pytest.fixture
def store_url(new_url):
    """The URL of a store with three keys."""

    def make(kind="sqlite"):
        url = new_url(kind)
        with open_store(url) as store:
            store.put_many([(key, state(i), 0) for i, key in enumerate(KEYS)])
            store.put_many([("pump-2", state(9), 1)])
        return url

    return make


@pytest.fixture
def newer(monkeypatch):
    """A model that `seqstate.load` gives."""

    def initial_state(batch):
        return {
            "lstm": {"h": np.zeros((batch, 2)), "c": np.zeros((batch, 2))},
            "dense": {"h": np.full((batch, 1), 4.0)},
        }

    model = SimpleNamespace(fingerprint="n3w", state_spec=SPEC, initial_state=initial_state)
    monkeypatch.setattr(seqstate, "load", lambda path: model, raising=False)
    return Layout("n3w", SPEC)


@pytest.fixture
def run(capsys):
    def run(*arguments, typed=""):
        """Type a command; give its exit code and what it printed."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["seqstate", "state", *map(str, arguments)])
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(typed.encode())))
            with pytest.raises(SystemExit) as stopped:
                cli.main()
        return stopped.value.code, *capsys.readouterr()

    return run


def entries(url):
    with open_store(url) as store:
        keys = [*store.keys()]
        return dict(zip(keys, store.get_many(keys), strict=True))


@pytest.mark.parametrize("kind", LASTING)
def test_every_command_on_every_store(kind, store_url, new_url, run, newer):
    url, other = store_url(kind), new_url(kind)
    assert run("ls", url) == (0, 'pump-1\npump-2\n"valve\\n3"\n', "")
    code, lines, said = run("export", url)
    assert (code, said) == (0, "exported: 3\n")
    assert run("import", other, typed=lines) == (0, "", "imported: 3\n")
    assert {k: e.data for k, e in entries(other).items()} == {
        k: e.data for k, e in entries(url).items()
    }
    assert run("rm", other, "pump-1", "valve\n3") == (0, "removed: 2\n", "")
    assert run("migrate", other, "--to", "model.keras")[0] == 0
    (entry,) = entries(other).values()
    assert newer.unpack(entry.data)[0]["lstm"]["h"].tolist() == [9, 9]


def test_ls_long_shows_version_bytes_and_model(store_url, run):
    url = store_url()
    with open_store(url) as store:
        store.put_many([("odd", b"no state", 0)])
    size = len(state(0))
    code, out, _ = run("ls", url, "--long")
    assert code == 0
    assert [line.split("\t") for line in out.splitlines()] == [
        ["key", "version", "bytes", "model"],
        ["odd", "1", "8", "(damaged)"],
        ["pump-1", "1", str(size), "0ld"],
        ["pump-2", "2", str(size), "0ld"],
        ['"valve\\n3"', "1", str(size), "0ld"],
    ]
    assert run("ls", url, "--prefix", "pump-")[1] == "pump-1\npump-2\n"


def test_get_prints_a_line_or_writes_a_state(store_url, run, tmp_path):
    url = store_url()
    code, out, _ = run("get", url, "pump-2")
    line = json.loads(out)
    assert (code, line["version"], line["extra"], line["state"]["lstm/h"]) == (
        0,
        2,
        {"n": 9},
        [9, 9],
    )
    path = tmp_path / "one.safetensors"
    assert run("get", url, "pump-2", "--out", path) == (0, f"{path}\n", "")
    np.testing.assert_array_equal(seqstate.load_state(path)["lstm"]["h"], [[9, 9]])


def test_rm_removes_all_or_none(store_url, run):
    url = store_url()
    code, _, said = run("rm", url, "pump-1", "pump-9")
    assert code == 1
    assert "the store has no 'pump-9'. Nothing was changed." in said
    assert list(entries(url)) == KEYS
    assert run("rm", url, "--prefix", "pump-") == (0, "removed: 2\n", "")
    assert list(entries(url)) == ["valve\n3"]
    for arguments in ([], ["a", "--prefix", "b"], ["--prefix", ""]):
        assert "expected keys, or --prefix" in run("rm", url, *arguments)[2]


def test_export_into_a_file_and_import_with_and_without_replace(store_url, run, tmp_path):
    url, file = store_url(), tmp_path / "states.ndjson"
    assert run("export", url, "--out", file, "--prefix", "pump") == (0, "", "exported: 2\n")
    code, _, said = run("import", url, file)
    assert code == 1
    assert "the store has 'pump-1', 'pump-2' already." in said
    assert "--replace" in said
    assert run("import", url, file, "--replace") == (0, "", "imported: 2\n")
    assert entries(url)["pump-2"] == Entry(state(9), 3)


ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}


def test_lines_are_utf_8_whatever_the_locale_is(new_url):
    def typed(*arguments, given=b""):
        code = "from seqstate.cli import main; main()"
        command = [sys.executable, "-c", code, "state", *arguments]
        return subprocess.run(
            command, input=given, capture_output=True, env=os.environ | ASCII, check=False
        )

    url, other = new_url("sqlite"), new_url("sqlite")
    keys = ["é", "日本", "ö"]
    with open_store(url) as store:
        store.put_many([(key, state(i), 0) for i, key in enumerate(keys)])
    assert typed("ls", url).stdout.decode().split() == sorted(keys)
    lines = typed("export", url).stdout
    assert typed("import", other, given=lines).returncode == 0
    assert entries(other) == entries(url)
    one, *rest = lines.splitlines(keepends=True)
    done = typed("import", new_url("sqlite"), given=one + rest[0].decode().encode("latin-1"))
    assert done.returncode == 1
    assert b"seqstate state import, line 2: this is no line of a state" in done.stderr


def test_a_file_that_is_not_utf_8_is_an_error_that_names_the_line(
    store_url, new_url, run, tmp_path
):
    line, path = run("get", store_url(), "pump-1")[1], tmp_path / "states.ndjson"
    path.write_bytes(line.encode() + line.replace("pump-1", "é").encode("latin-1"))
    url = new_url("sqlite")
    code, _, said = run("import", url, path)
    assert code == 1
    assert "line 2: this is no line of a state: 'utf-8' codec can't decode" in said
    assert entries(url) == {}


def test_an_import_that_fails_says_what_was_written(store_url, new_url, run):
    line = run("get", store_url(), "pump-1")[1]
    lines = [line.replace("pump-1", f"k{i}") for i in range(1_200)]
    for last, says in (("{}\n", "line 1201: this is no line"), (lines[7], "'k7' comes again")):
        url = new_url("sqlite")
        code, _, said = run("import", url, typed="".join([*lines, last]))
        assert code == 1
        assert says in said
        assert "Written before: 1000 keys." in said
        assert len(entries(url)) == 1_000


def test_migrate_says_what_it_moves_and_a_dry_run_moves_nothing(store_url, run, newer):
    url = store_url()
    before = entries(url)
    code, out, _ = run("migrate", url, "--to", "model.keras", "--dry-run")
    assert code == 0
    assert "keys that would be moved: 3; of this model already: 0; left as they are: 0" in out
    assert entries(url) == before
    code, out, _ = run("migrate", url, "--to", "model.keras", "--prefix", "pump-")
    assert [line.rstrip().split(None, 2) for line in out.splitlines()] == [
        ["state", "keys", "what"],
        ["lstm/c", "2", "moved as it was"],
        ["lstm/h", "2", "moved as it was"],
        ["dense/h", "2", "new: as at the start"],
        ["keys", "moved:", "2; of this model already: 0; left as they are: 0"],
    ]
    row, extra = newer.unpack(entries(url)["pump-2"].data)
    assert (row["dense"]["h"].tolist(), extra) == ([4.0], {"n": 9})
    assert entries(url)["pump-2"].version == 3
    assert "moved: 1; of this model already: 2" in run("migrate", url, "--to", "model.keras")[1]


def test_migrate_leaves_what_does_not_fit_and_names_it(store_url, run, newer):
    url = store_url()
    stranger = Layout("x", {"gru": {"h": (5,)}}).pack({"gru": {"h": np.zeros(5)}}, {})
    with open_store(url) as store:
        store.put_many([("a", stranger, 0), ("b", b"damaged", 0)])
    code, out, said = run("migrate", url, "--to", "model.keras")
    assert code == 1
    assert "keys moved: 3; of this model already: 0; left as they are: 2" in out
    assert "2 keys stay as they are, such as 'a', 'b'." in said
    assert "nothing of the state fits: it has gru/h (5,)" in said
    assert entries(url)["a"].data == stranger


def test_migrate_gives_way_to_a_process_that_goes_on_writing(store_url, run, newer, monkeypatch):
    url = store_url()
    with open_store(url) as store:
        put, calls = type(store).put_many, []

        def busy(self, items):
            if not calls:
                calls.append(len(items))
                put(store, [("pump-1", state(5), 1)])
            return put(self, items)

        monkeypatch.setattr(type(store), "put_many", busy)
        assert "keys moved: 3;" in run("migrate", url, "--to", "model.keras")[1]
    assert newer.unpack(entries(url)["pump-1"].data)[1] == {"n": 5}


@pytest.mark.parametrize("command", ["ls", "get", "rm", "export", "migrate"])
def test_a_file_that_is_not_there_is_not_made(command, run, tmp_path, newer):
    more = {"get": ["k"], "rm": ["k"], "migrate": ["--to", "m.keras"]}.get(command, [])
    code, _, said = run(command, f"sqlite:///{tmp_path}/typo.db", *more)
    assert code == 1
    assert "is not there" in said
    assert not list(tmp_path.iterdir())


def test_a_key_that_is_not_there(store_url, run):
    code, out, said = run("get", store_url(), "pump-9")
    assert (code, out) == (1, "")
    assert "the store has no 'pump-9'" in said
