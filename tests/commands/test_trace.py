"""`seqstate trace` as it is typed."""

import sys

import keras
import numpy as np
import pytest

import seqstate
from cases import data
from seqstate import cli
from seqstate.traces import Trace

K = keras.layers
STEPS = 6
X = data(3, STEPS, 2)


def run(*arguments):
    """Type a command; give its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["seqstate", "trace", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
    return stopped.value.code


@pytest.fixture(scope="module")
def model():
    below = K.LSTM(3, return_sequences=True, name="below")
    return keras.Sequential([keras.Input((None, 2)), below, K.GRU(2, name="above")])


@pytest.fixture
def folder(model, tmp_path):
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "x.npy", X)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "write", "wanted"),
    [
        ("samples.npy", lambda path: np.save(path, X), X),
        ("one series.npy", lambda path: np.save(path, X[1]), X[1:2]),
        ("alone.npz", lambda path: np.savez(path, series=X), X),
        ("named.npz", lambda path: np.savez(path, x=X, y=X[:, 0]), X),
        (
            "series.csv",
            lambda path: path.write_text(
                "a,b\n" + "".join(f"{float(a)!r},{float(b)!r}\n" for a, b in X[0])
            ),
            X[:1],
        ),
        (
            "no header.csv",
            lambda path: path.write_text("".join(f"{float(a)!r},{float(b)!r}\n" for a, b in X[0])),
            X[:1],
        ),
    ],
)
def test_what_it_writes_is_the_trace_of_the_data(model, folder, capsys, name, write, wanted):
    write(folder / name)
    out = folder / "out.npz"
    assert run(folder / "model.keras", folder / name, "--out", out) == 0
    got, expected = Trace.from_npz(out), seqstate.trace(model, wanted)
    for layer, seen in expected.items():
        for path, values in seen.over_time().items():
            np.testing.assert_allclose(got[layer].over_time()[path], values, atol=1e-6)
    shown = capsys.readouterr().out
    assert f"[sample, time, unit] {(len(wanted), STEPS, 3)}" in shown
    assert "out.npz: all arrays" in shown


def test_a_column_can_be_the_time_and_layers_can_be_chosen(folder):
    days = [f"2020-01-{day:02d}" for day in range(1, STEPS + 1)]
    rows = "".join(f"{a},{day},{b}\n" for day, (a, b) in zip(days, X[0], strict=True))
    (folder / "dated.csv").write_text("a,day,b\n" + rows)
    out = folder / "out.npz"
    given = (folder / "model.keras", folder / "dated.csv", "--time", "day", "--out", out)
    assert run(*given, "--layer", "above") == 0
    trace = Trace.from_npz(out)
    assert list(trace) == ["above"]
    np.testing.assert_allclose(trace.inputs, X[:1], atol=1e-6)
    for kind, start in ((".png", b"\x89PNG"), (".html", b"<!DOCTYPE html>")):
        out = folder / f"out{kind}"
        assert run(*given[:-1], out) == 0
        assert out.read_bytes()[: len(start)].lower() == start.lower()


@pytest.mark.parametrize("kind", [".html", ".png"])
def test_the_columns_of_a_csv_are_the_names_of_the_features(folder, monkeypatch, kind):
    rows = "".join(f"{a},{step},{b}\n" for step, (a, b) in enumerate(X[0]))
    (folder / "named.csv").write_text('"warmth, °C",t,rain\n' + rows, encoding="utf-8")
    called = []
    for method in ("plot", "to_html"):
        shown = getattr(Trace, method)

        def keep(*given, shown=shown, **named):
            called.append(named["features"])
            return shown(*given, **named)

        monkeypatch.setattr(Trace, method, keep)
    out = folder / f"out{kind}"
    assert run(folder / "model.keras", folder / "named.csv", "--time", "t", "--out", out) == 0
    assert called == [("warmth, °C", "rain")]
    if kind == ".html":
        assert '"lines":["warmth, \\u00b0C","rain"]' in out.read_text()


def test_inputs_are_found_by_their_names(tmp_path):
    a, b = keras.Input((None, 2), name="a"), keras.Input((2,), name="b")
    keras.Model([a, b], K.GRU(2, name="gru")(a, initial_state=b)).save(tmp_path / "model.keras")
    np.savez(tmp_path / "x.npz", b=X[:, 0], a=X)
    out = tmp_path / "out.npz"
    assert run(tmp_path / "model.keras", tmp_path / "x.npz", "--out", out) == 0
    np.testing.assert_allclose(Trace.from_npz(out).inputs["b"], X[:, 0])


NAN = X.copy()
NAN[2, 1, 0] = np.nan
BAD = {
    "no model": (["missing.keras", "x.npy"], '"missing.keras" is not there'),
    "a model that is none": (["x.npy", "x.npy"], "can't be loaded as a Keras model"),
    "no data": (["model.keras", "missing.npy"], "is not there"),
    "other data": (["model.keras", "x.txt"], "ends in .txt; expected .npy, .npz, .csv"),
    "damaged data": (["model.keras", "cut.npy"], "can't be read"),
    "pickled data": (["model.keras", "objects.npy"], "can't be read"),
    "other out": (["model.keras", "x.npy", "--out", "out.pdf"], "ends in .pdf"),
    "no folder": (["model.keras", "x.npy", "--out", "no/out.npz"], "can't be written to"),
    "no layer": (["model.keras", "x.npy", "--layer", "abov"], 'Did you mean "above"'),
    "nan": (["model.keras", "nan.npy"], "the first at sample 2, time 1, feature 0"),
    "width": (["model.keras", "wide.npy"], "reads 2 features a step"),
    "text in csv": (["model.keras", "text.csv"], "line 3, column 'b': 'x' is no number"),
    "empty in csv": (["model.keras", "gap.csv"], "line 2, column 'a': '' is no number"),
    "lines of csv": (["model.keras", "long.csv"], "line 2: 3 values; expected 2"),
    "columns of one name": (["model.keras", "twice.csv"], "more than one column 'a'"),
    "empty csv": (["model.keras", "empty.csv"], "has no rows of data"),
    "no such column": (["model.keras", "ok.csv", "--time", "t"], "no column 't'; it has a, b"),
    "time of npy": (["model.keras", "x.npy", "--time", "t"], "--time names a column of a .csv"),
    "several arrays": (["model.keras", "two.npz"], "has the arrays one, two"),
    "sample": (["model.keras", "x.npy", "--sample", "9", "--out", "out.png"], "sample"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_a_tired_person_types_gets_a_message_and_leaves_no_file(
    folder, capsys, monkeypatch, case
):
    monkeypatch.chdir(folder)
    (folder / "x.txt").write_text("1 2 3")
    (folder / "cut.npy").write_bytes((folder / "x.npy").read_bytes()[:90])
    np.save(folder / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.save(folder / "nan.npy", NAN)
    np.save(folder / "wide.npy", data(1, 3, 5))
    np.savez(folder / "two.npz", one=X, two=X)
    texts = {
        "text": "a,b\n1,2\n3,x\n",
        "gap": "a,b\n,2\n",
        "long": "a,b\n1,2,3\n",
        "twice": "a,a\n1,2\n",
    }
    for name, text in {**texts, "empty": "a,b\n", "ok": "a,b\n1,2\n"}.items():
        (folder / f"{name}.csv").write_text(text)
    before = sorted(path.name for path in folder.iterdir())
    arguments, says = BAD[case]
    out = [] if "--out" in arguments else ["--out", "out.html"]
    assert run(*arguments, *out) == 1
    shown = capsys.readouterr()
    assert says in shown.err
    assert shown.err.count("\n") >= 2
    assert shown.out == ""
    assert sorted(path.name for path in folder.iterdir()) == before
