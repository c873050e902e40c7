"""The command line: what it says, its exit codes, and that it starts without a framework."""

import subprocess
import sys

import pytest
import typer.main

import seqstate
from seqstate import cli
from seqstate.errors import DataError
from seqstate.tour import packages


def run(monkeypatch, *arguments):
    """Run the command line and give its exit code."""
    monkeypatch.setattr(sys, "argv", ["seqstate", *arguments])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    return stopped.value.code


def test_importing_the_command_line_imports_no_framework():
    heavy = ["keras", "jax", "torch", "tensorflow", "matplotlib", "bokeh", "pandas"]
    code = f"import seqstate.cli, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "code", "stream", "text"),
    [
        (["--version"], 0, "out", f"seqstate {seqstate.__version__}"),
        (["--help"], 0, "out", "tour"),
        (["tour", "--help"], 0, "out", "--quick"),
        (["trace", "--help"], 0, "out", "--layer"),
        (["doctor", "--help"], 0, "out", "[MODEL]"),
        (["forecast", "--help"], 0, "out", "--horizon"),
        (["state", "--help"], 0, "out", "migrate"),
        (["state", "migrate", "--help"], 0, "out", "--dry-run"),
        (["state", "ls"], 2, "err", "URL"),
        (["state", "migrate", "sqlite:///s.db"], 2, "err", "--to"),
        (["forecast", "x.csv"], 2, "err", "--time"),
        (["doctor", "a.keras", "b.keras"], 2, "err", "b.keras"),
        (["trace", "model.keras"], 2, "err", "DATA"),
        (["trace", "model.keras", "x.npy"], 2, "err", "--out"),
        (["nonsense"], 2, "err", "nonsense"),
        (["tour", "--fast"], 2, "err", "--fast"),
    ],
)
def test_exit_codes(monkeypatch, capsys, arguments, code, stream, text):
    assert run(monkeypatch, *arguments) == code
    assert text in getattr(capsys.readouterr(), stream)


def test_every_command_and_option_is_documented():
    commands = [typer.main.get_command(cli.app)]
    for command in commands:
        assert command.help, command.name
        for option in command.params:
            assert option.help, f"{command.name} {option.name}"
        commands += getattr(command, "commands", {}).values()
    names = {command.name for command in commands}
    assert names > {"doctor", "forecast", "state", "tour", "trace"}
    assert names > {"ls", "get", "rm", "export", "import", "migrate"}


def test_an_error_of_seqstate_is_a_message_and_exit_code_1(monkeypatch, capsys):
    def fail(*_):
        raise DataError('a "thing" [batch, units]: is wrong\n  Do this.')

    monkeypatch.setattr(packages, "require_packages", fail)
    assert run(monkeypatch, "tour") == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == 'Error: a "thing" [batch, units]: is wrong\n  Do this.\n'


def test_other_errors_are_not_swallowed(monkeypatch):
    def fail():
        raise ZeroDivisionError

    monkeypatch.setattr(packages, "require_packages", fail)
    monkeypatch.setattr(sys, "argv", ["seqstate", "tour"])
    with pytest.raises(ZeroDivisionError):
        cli.main()


@pytest.mark.parametrize(
    ("absent", "backend", "says"),
    [
        ({"matplotlib"}, "", 'not installed: matplotlib.\n  Run: pip install "seqstate[tour]"'),
        ({"matplotlib", "vega_datasets"}, "", "not installed: matplotlib, vega_datasets."),
        ({"jax", "torch", "tensorflow"}, "", 'pip install "seqstate[jax]"'),
        ({"torch"}, "torch", "KERAS_BACKEND=torch, and torch is not installed.\n  Installed: jax"),
        (set(), "numpy", "KERAS_BACKEND=numpy; expected one that can train"),
    ],
)
def test_a_missing_package_is_named_with_what_to_install(
    monkeypatch, capsys, tmp_path, absent, backend, says
):
    def find_spec(name):
        return None if name in absent else object()

    monkeypatch.setattr(packages, "find_spec", find_spec)
    monkeypatch.setenv("KERAS_BACKEND", backend)
    assert run(monkeypatch, "tour", "--out", str(tmp_path / "out")) == 1
    assert says in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("below", [(), ("deeper",)])
def test_out_that_is_a_file_is_refused_and_left_alone(monkeypatch, capsys, tmp_path, below):
    file = tmp_path / "notes.txt"
    file.write_text("mine")
    assert run(monkeypatch, "tour", "--quick", "--out", str(file.joinpath(*below))) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "notes.txt" in shown.err
    assert "Pass a directory" in shown.err
    assert "Traceback" not in shown.err
    assert file.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [file]
