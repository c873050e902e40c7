"""`seqstate doctor` as it is typed, and `seqstate.doctor`."""

import io
import sys

import keras
import pytest

import seqstate
from cases import data
from frameworks import BACKEND
from seqstate import cli, config
from seqstate.errors import ArgumentError
from seqstate.kernels import frameworks, native
from seqstate.layers import GRU, LSTM, RNN, Bidirectional, GRUCell, LSTMCell
from seqstate.models.doctor import report_on

K = keras.layers


def run(*arguments):
    """Type a command; give its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["seqstate", "doctor", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
    return stopped.value.code


@pytest.fixture(scope="module")
def model():
    x = keras.Input((None, 2))
    y = LSTM(3, return_sequences=True, name="covered")(x)
    y = Bidirectional(GRU(3, activation="gelu", return_sequences=True), name="both")(y)
    y = LSTM(3, return_sequences=True, kernel="portable", name="chosen")(y)
    y = RNN([LSTMCell(3), GRUCell(2)], return_sequences=True, name="stack")(y)
    y = RNN(K.GRUCell(2), return_sequences=True, name="their_cell")(y)
    return keras.Model(x, K.GRU(2, name="theirs")(y))


PATHS = [
    ("covered", "LSTM", "native", ""),
    ("both/forward", "GRU", "portable", "activation is gelu"),
    ("both/backward", "GRU", "portable", "activation is gelu"),
    ("chosen", "LSTM", "portable", "the layer was made so"),
    ("stack", "RNN", "native", ""),
    ("their_cell", "RNN", "portable", "GRUCell is not one of seqstate's cells"),
    ("theirs", "GRU", "Keras's own", "it is a keras layer"),
]


def test_each_recurrent_layer_is_told_with_its_path_and_why(model):
    layers = report_on(model).layers
    assert [(one.name, one.kind, one.path, one.why) for one in layers] == PATHS
    assert all(bool(one.why) == bool(one.todo) for one in layers)


def test_what_is_told_of_a_layer_is_what_it_does(model, monkeypatch):
    ran = []
    original = frameworks.run_all

    def run_all(calls):
        ran.extend(spec.kind for spec, _ in calls)
        return original(calls)

    monkeypatch.setattr(frameworks, "run_all", run_all)
    model(data(2, 4, 2))
    assert ran == ["LSTM", "LSTM", "GRU"]


def test_what_holds_for_all_layers_is_told():
    with config.using_kernel("portable"):
        report = report_on(keras.Sequential([keras.Input((None, 2)), GRU(2)]))
    assert report.facts["kernel"].startswith('"portable"')
    assert report.layers[0].why == "seqstate.config was set so"
    assert report.facts["seqstate"] == seqstate.__version__
    assert f"on {BACKEND} " in report.facts["Keras"]
    assert report.facts["native code"].startswith(native.module().build_name())
    assert report.facts["threads"].startswith(str(native.module().threads()))
    assert report.facts["used"] == "yes"


def test_the_number_of_threads_that_was_set_is_the_one_that_is_told(monkeypatch):
    threads = native.module().threads()
    monkeypatch.setattr(config._Chosen, "threads", None)
    try:
        config.set_num_threads(threads + 1)
        assert report_on().facts["threads"].startswith(str(threads + 1))
    finally:
        config.set_num_threads(threads)


def test_a_layer_that_insists_on_what_is_not_covered_is_refused(model):
    layer = GRU(2, activation="gelu", kernel="native", name="strict")
    strict = keras.Sequential([layer])
    (found,) = report_on(strict).layers
    assert (found.path, found.why) == ("refused", "activation is gelu")


def test_without_the_native_code_that_is_what_it_says(monkeypatch):
    monkeypatch.setattr(native, "_load", lambda: "seqstate was installed without a C++ compiler")
    monkeypatch.setattr(native, "usable", lambda: False)
    monkeypatch.setattr(frameworks, "_FOUND", {})
    report = report_on(keras.Sequential([keras.Input((None, 2)), GRU(2)]))
    assert report.facts["native code"] == "none: seqstate was installed without a C++ compiler"
    assert report.layers[0].path == "portable"
    assert "C++ compiler" in report.layers[0].why


def test_the_python_function_prints_its_report_and_gives_it(model, capsys):
    report = seqstate.doctor(model)
    assert capsys.readouterr().out == f"{report}\n"
    file = io.StringIO()
    seqstate.doctor(model, file)
    assert file.getvalue() == f"{report}\n"
    lines = str(report).splitlines()
    assert len(lines) == len(report.facts) + 2 + len(PATHS)
    for line, (name, kind, path, why) in zip(lines[-len(PATHS) :], PATHS, strict=True):
        assert line.startswith(name)
        assert f" {kind} " in line
        assert f" {path} " in f"{line} "
        assert why in line


@pytest.mark.parametrize("given", [None, "model", keras.Sequential([K.Dense(2)])])
def test_what_is_no_model_with_recurrent_layers_is_refused(given):
    if given is None:
        assert seqstate.doctor(given, io.StringIO()).layers == ()
        return
    with pytest.raises(ArgumentError, match="doctor"):
        seqstate.doctor(given, io.StringIO())


def test_the_command_needs_no_model(capsys):
    assert run() == 0
    shown = capsys.readouterr()
    assert f"seqstate              {seqstate.__version__}" in shown.out
    assert native.module().build_name() in shown.out
    assert shown.err == ""


def test_the_command_shows_the_layers_of_a_saved_model(model, tmp_path, capsys):
    model.save(tmp_path / "model.keras")
    assert run(tmp_path / "model.keras") == 0
    out = capsys.readouterr().out
    for name, kind, path, _ in PATHS:
        assert any(line.split()[:2] == [name, kind] and path in line for line in out.splitlines())


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "is not there"), (b"PK\x03\x04 cut off", "can't be loaded as a Keras model")],
)
def test_a_file_that_is_no_model_is_an_error(tmp_path, capsys, content, says):
    path = tmp_path / "model.keras"
    if content is not None:
        path.write_bytes(content)
    assert run(path) == 1
    shown = capsys.readouterr()
    assert shown.err.startswith("Error: seqstate doctor: ")
    assert says in shown.err
    assert shown.out == ""
