"""What the explorer refuses, and that it leaves no file behind when it does."""

import datetime

import numpy as np
import pytest

from seqstate.errors import ArgumentError, InputError, MissingPackageError, UnknownLayerError
from seqstate.plots import explorer
from seqstate.plots.explorer import writing
from seqstate.traces import LayerTrace, Trace

SAMPLES, STEPS = 10, 6
H = np.random.default_rng(0).uniform(-1, 1, (SAMPLES, STEPS, 3)).astype(np.float32)
LAYERS = {
    "encoder/lstm": LayerTrace("encoder/lstm", "LSTM", {"states": {"h": H}}),
    "decoder": LayerTrace("decoder", "GRU", {"states": {"h": H[:, :4]}}),
    "last": LayerTrace("last", "GRU", {"state": {"h": H[:, 0]}}),
}


def trace(**layers):
    outputs = np.zeros((SAMPLES, STEPS, 2))
    return Trace("some", np.zeros((SAMPLES, STEPS, 1)), outputs, layers or LAYERS)


def layer(array, mask=None):
    return trace(lstm=LayerTrace("lstm", "LSTM", {"states": {"h": H, "c": array}}, mask))


# what is asked for, the error, what it says
ARGUMENTS = [
    ({"samples": [10]}, ArgumentError, r"samples is \[10\]; expected numbers .* from 0 to 9"),
    ({"samples": [-1]}, ArgumentError, r"samples is \[-1\]"),
    ({"samples": []}, ArgumentError, r"Pass a list such as samples=\[0, 1\]"),
    ({"samples": [0.5]}, ArgumentError, "samples is"),
    ({"samples": "all"}, ArgumentError, "samples is 'all'"),
    ({"samples": [True]}, ArgumentError, "samples is"),
    ({"layers": "encoder/lstn"}, UnknownLayerError, 'Did you mean "encoder/lstm"'),
    ({"layers": ["decoder", "code"]}, UnknownLayerError, "'code'"),
    ({"layers": []}, ArgumentError, "there is no layer to show"),
    ({"layers": "last"}, ArgumentError, r'Trace with what=\("states", "gates"\)'),
    ({"time": np.arange(5)}, ArgumentError, "time has 5 entries; .* have 4 and 6 time steps"),
    ({"features": ["a", "b"]}, ArgumentError, r"input are 2, \['a', 'b'\]; expected 1 text"),
    ({"outputs": ["a", "b", "c"]}, ArgumentError, "of the output are 3, .* expected 2 texts"),
    ({"path": "states.htm"}, ArgumentError, 'Write ".*states.html"'),
    ({"path": "missing/states.html"}, ArgumentError, "No such file or directory"),
]


@pytest.mark.parametrize(("asked", "error", "says"), ARGUMENTS)
def test_a_wrong_argument_is_refused_with_what_to_do(tmp_path, asked, error, says):
    path = tmp_path / asked.pop("path", "states.html")
    with pytest.raises(error, match=says) as caught:
        trace().to_html(path, **asked)
    assert "\n  " in str(caught.value)
    assert list(tmp_path.iterdir()) == []


ARRAYS = [
    (layer(H[:, :3]), r'"lstm" states/c has shape \(10, 3, 3\); expected .* and 6 time steps'),
    (layer(H[:4]), "with 10 samples"),
    (layer(H[:, :, :0]), r"shape \(10, 6, 0\)"),
    (layer(H, np.ones((10, 5), bool)), r"the mask of \"lstm\" has shape \(10, 5\)"),
]


@pytest.mark.parametrize(("given", "says"), ARRAYS)
def test_arrays_that_can_not_be_shown_are_refused(tmp_path, given, says):
    with pytest.raises(InputError, match=says):
        given.to_html(tmp_path / "states.html")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_would_be_too_large_says_how_to_make_it_smaller(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "MOST_BYTES", 400)
    path = tmp_path / "states.html"
    path.write_text("as it was")
    with pytest.raises(ArgumentError, match="at most 0 MB") as caught:
        trace().to_html(path)
    for word in ("8 samples, 2 layers", "samples=", "layers=", "what="):
        assert word in str(caught.value)
    assert path.read_text() == "as it was"
    assert list(tmp_path.iterdir()) == [path]


def test_bokeh_is_asked_for_where_it_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(explorer, "find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r'pip install "seqstate\[plots\]"'):
        trace().to_html(tmp_path / "states.html")


def test_the_first_eight_samples_are_taken_and_the_file_says_so(tmp_path):
    page = trace().to_html(tmp_path / "a.html").read_text()
    assert '"samples":[0,1,2,3,4,5,6,7],"total":10' in page
    assert "8 of 10 samples in this file" in page
    page = trace().to_html(tmp_path / "a.html", samples=np.array([9, 2, 9])).read_text()
    assert '"samples":[9,2],"total":10' in page


def test_dates_of_python_are_times(tmp_path):
    days = [datetime.datetime(2024, 2, day) for day in range(25, 29)]
    page = trace().to_html(tmp_path / "a.html", time=days).read_text()
    first = datetime.datetime(2024, 2, 25, tzinfo=datetime.UTC).timestamp() * 1000
    assert f'"start":{first}' in page


def test_nothing_in_the_file_is_taken_from_elsewhere(tmp_path):
    page = trace().to_html(tmp_path / "a.html").read_text()
    for call in ("src=", "@import", "url(", '<link rel="stylesheet"'):
        assert call not in page.partition("<body>")[0]
