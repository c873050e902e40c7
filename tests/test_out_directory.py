from pathlib import Path

import pytest

from seqstate.errors import ArgumentError
from seqstate.out_directory import make_directory, write


def test_files_replace_those_that_were_there(tmp_path):
    (tmp_path / "a").write_text("old")
    (tmp_path / "other").write_text("mine")
    files = {"a": lambda path: path.write_text("new"), "b": lambda path: path.write_text("two")}
    assert write(tmp_path, files, "here") == [tmp_path / "a", tmp_path / "b"]
    found = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert found == {"a": "new", "b": "two", "other": "mine"}


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_where_one_file_fails_none_is_changed(tmp_path, error):
    (tmp_path / "a").write_text("old")

    def fail(path: Path):
        path.write_text("half")
        raise error

    expected = ArgumentError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        write(tmp_path, {"a": lambda path: path.write_text("new"), "b": fail}, "here")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "old")]


def test_a_new_directory_is_made_with_its_parents(tmp_path):
    make_directory(tmp_path / "one" / "two", "here")
    assert list((tmp_path / "one").iterdir()) == [tmp_path / "one" / "two"]
    assert not list((tmp_path / "one" / "two").iterdir())
