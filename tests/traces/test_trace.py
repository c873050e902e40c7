"""A trace in a file, and as a tree of xarray."""

import sys

import numpy as np
import pytest

from cases import data
from seqstate import state as states
from seqstate.errors import ArgumentError, DataError, MissingPackageError, UnknownLayerError
from seqstate.traces import LayerTrace, Trace

ROWS, STEPS = 3, 4


def of_units(*sizes, seed=0):
    return data(ROWS, *sizes, seed=seed)


LSTM = LayerTrace(
    "encoder/lstm",
    "LSTM",
    {
        "sequence": of_units(STEPS, 2),
        "state": {"h": of_units(2), "c": of_units(2, seed=1)},
        "states": {"h": of_units(STEPS, 2), "c": of_units(STEPS, 2, seed=3)},
        "gates": {"input": of_units(STEPS, 2, seed=4)},
    },
    mask=np.arange(ROWS * STEPS).reshape(ROWS, STEPS) % 3 > 0,
)
BOTH = LayerTrace(
    "both",
    "Bidirectional",
    {
        "sequence": of_units(STEPS, 6, seed=5),
        "states": {"forward": {"h": of_units(STEPS, 3)}, "backward": {"h": of_units(STEPS, 3)}},
        "gates": {},
    },
)
BACK = LayerTrace(
    "each/rnn@2", "SimpleRNN", {"states": {"h": of_units(2, STEPS, 5)}}, None, True, parts=True
)
LAYERS = {one.name: one for one in (LSTM, BOTH, BACK)}
TRACES = {
    "one array": Trace("m", of_units(STEPS, 1), of_units(2), LAYERS),
    "lists and dicts": Trace(
        "m", [of_units(1), {"a": of_units(2)}], {"x": of_units(1), "y": [of_units(3)]}, LAYERS
    ),
}


def arrays_of(trace):
    return trace.inputs, trace.outputs, {name: one.found for name, one in trace.items()}


@pytest.mark.parametrize("name", TRACES)
def test_what_is_written_comes_back(name, tmp_path):
    trace = TRACES[name]
    path = trace.to_npz(tmp_path / "t.npz")
    again = Trace.from_npz(path)
    np.testing.assert_equal(arrays_of(again), arrays_of(trace))
    assert again.model == "m"
    assert list(again) == list(LAYERS)
    for one, other in zip(again.values(), trace.values(), strict=True):
        assert (one.kind, one.backwards, one.parts) == (other.kind, other.backwards, other.parts)
        assert list(one.found) == list(other.found)
        np.testing.assert_equal(one.mask, other.mask)
    assert again["both"].gates == {}


def test_numpy_reads_the_file_by_names_that_say_what_it_holds(tmp_path):
    path = TRACES["lists and dicts"].to_npz(tmp_path / "t.npz")
    with np.load(path) as file:
        np.testing.assert_array_equal(file["encoder/lstm:states/c"], LSTM.states["c"])
        np.testing.assert_array_equal(file["encoder/lstm:mask"], LSTM.mask)
        np.testing.assert_array_equal(file["outputs/y/0"], of_units(3))


@pytest.mark.parametrize(
    "how", [lambda b: b"", lambda b: b[: len(b) // 2], lambda b: b[:-30], lambda b: b"x" + b[200:]]
)
def test_a_damaged_file_is_refused(how, tmp_path):
    path = TRACES["one array"].to_npz(tmp_path / "t.npz")
    path.write_bytes(how(path.read_bytes()))
    with pytest.raises(DataError, match="is no trace, or it is damaged"):
        Trace.from_npz(path)


def test_another_file_of_numpy_is_refused(tmp_path):
    np.savez(tmp_path / "t.npz", x=np.ones(3))
    with pytest.raises(DataError, match="is no trace"):
        Trace.from_npz(tmp_path / "t.npz")
    np.save(tmp_path / "t.npy", np.ones(3))
    with pytest.raises(DataError, match="is no trace"):
        Trace.from_npz(tmp_path / "t.npy")


@pytest.mark.parametrize("name", ["t.csv", "missing/t.npz"])
def test_a_path_that_can_not_be_written_leaves_nothing(name, tmp_path):
    with pytest.raises(ArgumentError, match="to_npz"):
        TRACES["one array"].to_npz(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_layers_are_found_by_name_and_misspellings_get_a_hint():
    trace = TRACES["one array"]
    assert trace["both"] is BOTH
    assert "encoder/lstm" in trace
    assert "lstm" not in trace
    with pytest.raises(UnknownLayerError, match='Did you mean "encoder/lstm"'):
        trace["lstm"]
    with pytest.raises(KeyError, match="there are: encoder/lstm, both, each/rnn@2"):
        trace["zzz"]


def test_all_that_has_a_time_axis_comes_once():
    assert list(LSTM.over_time()) == ["states/h", "states/c", "gates/input"]
    assert list(BOTH.over_time()) == ["states/forward/h", "states/backward/h", "sequence"]


def test_an_array_that_is_missing_in_the_file_is_missed(tmp_path):
    path = TRACES["one array"].to_npz(tmp_path / "t.npz")
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files if name != "both:sequence"}
    np.savez(path, **arrays)
    with pytest.raises(DataError, match="the arrays of 'both' are not those"):
        Trace.from_npz(path)


# Some of the steps

ALONE = Trace("m", of_units(STEPS, 1), of_units(2), {LSTM.name: LSTM})


@pytest.mark.parametrize(
    ("start", "stop", "has_state"), [(1, None, True), (None, 2, False), (-2, -1, False)]
)
def test_a_cut_has_the_same_steps_of_everything(start, stop, has_state):
    cut, steps = ALONE.cut(start, stop), slice(start, stop)
    np.testing.assert_array_equal(cut.inputs, ALONE.inputs[:, steps])
    np.testing.assert_array_equal(cut.outputs, ALONE.outputs)
    layer = cut[LSTM.name]
    np.testing.assert_array_equal(layer.mask, LSTM.mask[:, steps])
    for path, values in LSTM.over_time().items():
        np.testing.assert_array_equal(layer.over_time()[path], values[:, steps])
    assert ("state" in layer.found) == has_state


@pytest.mark.parametrize(
    ("trace", "start", "says"),
    [
        (ALONE, STEPS, r"can't be cut to \[4:None\]; it has 4 time steps"),
        (
            Trace("m", None, None, {**LAYERS, "short": LSTM.cut(slice(1, None))}),
            1,
            "3 and 4 time steps",
        ),
    ],
)
def test_a_cut_that_leaves_nothing_is_refused(trace, start, says):
    with pytest.raises(ArgumentError, match=says):
        trace.cut(start)


def test_a_cut_of_states_with_several_axes_cuts_the_time():
    state = of_units(STEPS, 4, 3)
    layer = LayerTrace("own", "RNN", {"states": {"a": state, "b": of_units(STEPS, 5)}})
    cut = Trace("m", of_units(1), of_units(1), {"own": layer}).cut(1, 3)["own"]
    np.testing.assert_array_equal(cut.states["a"], state[:, 1:3])
    np.testing.assert_array_equal(cut.over_time()["states/a"], state[:, 1:3].reshape(ROWS, 2, 12))
    tree = Trace("m", of_units(1), of_units(1), {"own": layer}).to_xarray()
    assert tree["own/states/a"].dims == ("sample", "time", "size_4", "size_3")
    parts = TRACES["one array"]["each/rnn@2"].cut(slice(0, 3))
    np.testing.assert_array_equal(parts.states["h"], BACK.states["h"][:, :, :3])


# xarray

AXES = {
    "encoder/lstm/sequence": ("sample", "time", "unit"),
    "encoder/lstm/mask": ("sample", "time"),
    "encoder/lstm/state/c": ("sample", "unit"),
    "encoder/lstm/states/c": ("sample", "time", "unit"),
    "encoder/lstm/gates/input": ("sample", "time", "unit"),
    "both/sequence": ("sample", "time", "output"),
    "both/states/backward/h": ("sample", "time", "unit"),
    "each/rnn@2/states/h": ("sample", "part", "time", "unit"),
}


def test_a_tree_has_every_array_with_named_axes():
    tree = TRACES["one array"].to_xarray()
    flat = {
        f"{name}/{path}": leaf
        for name, one in LAYERS.items()
        for path, leaf in [*states.leaves(one.found), ("mask", one.mask)]
        if leaf is not None
    }
    for path, axes in AXES.items():
        assert tree[path].dims == axes, path
    for path, leaf in flat.items():
        np.testing.assert_array_equal(tree[path].values, leaf)
    assert tree["both"].attrs["kind"] == "Bidirectional"


def test_without_xarray_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(MissingPackageError, match=r"seqstate\[xarray\]"):
        TRACES["one array"].to_xarray()
