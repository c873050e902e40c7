"""A state in a file: what is written comes back; what is damaged or foreign is refused."""

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from seqstate import load_state, save_state
from seqstate import state as states
from seqstate.errors import ArgumentError, DataError, StateMismatchError

STATE = {
    "encoder": {"forward": {"h": np.ones((2, 3), "float32"), "c": np.zeros((2, 3), "float32")}},
    "a": {"h": np.arange(4.0)},
}
NAMES = st.text(
    st.characters(exclude_characters="/", exclude_categories=["Cs"]), min_size=1
).filter(lambda name: name != "__metadata__")  # it is refused, see below
LEAVES = arrays_of.arrays(
    st.sampled_from(["float32", "float64", "float16", "int64", "bool"]),
    arrays_of.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
)
STATES = st.recursive(
    st.dictionaries(NAMES, LEAVES, min_size=1, max_size=3),
    lambda inner: st.dictionaries(NAMES, inner, min_size=1, max_size=2),
    max_leaves=6,
)


@given(state=STATES)
def test_what_is_saved_comes_back_in_its_order(state, tmp_path_factory):
    path = tmp_path_factory.mktemp("state") / "s.safetensors"
    assert save_state(path, state) == path
    got, wanted = states.flatten(load_state(path)), states.flatten(state)
    assert list(got) == list(wanted)
    for name, value in wanted.items():
        np.testing.assert_array_equal(got[name], value)
        assert got[name].dtype == value.dtype


def test_the_names_in_the_file_are_paths(tmp_path):
    path = save_state(tmp_path / "s.safetensors", STATE)
    found = safetensors.numpy.load_file(path)
    assert sorted(found) == ["a/h", "encoder/forward/c", "encoder/forward/h"]
    np.testing.assert_array_equal(found["a/h"], STATE["a"]["h"])


def test_tensors_of_the_backend_are_taken(tmp_path):
    import keras

    tensor = keras.ops.cast(np.array([1.5, 2.5]), "bfloat16")
    path = save_state(tmp_path / "s.safetensors", {"h": tensor})
    np.testing.assert_array_equal(load_state(path)["h"].astype("float32"), [1.5, 2.5])


def test_a_file_of_another_program_is_read_too(tmp_path):
    path = tmp_path / "s.safetensors"
    safetensors.numpy.save_file({"lstm/h": np.ones(2), "lstm/c": np.zeros(2)}, path)
    assert list(states.flatten(load_state(path))) == ["lstm/c", "lstm/h"]


@pytest.mark.parametrize(
    ("state", "error", "says"),
    [
        (np.ones(3), StateMismatchError, "state is a ndarray; expected a dict"),
        ({}, StateMismatchError, "the state is empty"),
        ({"a/b": np.ones(1)}, StateMismatchError, "'a/b' can't be part of a path"),
        ({"a": {3: np.ones(1)}}, StateMismatchError, "the name 3 can't"),
        ({"a": {"": np.ones(1)}}, StateMismatchError, "the name '' can't"),
        ({"a": {"h": "text"}}, StateMismatchError, "a/h is a str"),
        ({"a": {"h": None}}, StateMismatchError, "a/h is a NoneType"),
        ({"a": {"h": [[1.0], [1.0, 2.0]]}}, StateMismatchError, "a/h is a list"),
        ({"a": {"h": np.ones(1, np.longdouble)}}, StateMismatchError, "up to 64 bits"),
        ({"__metadata__": np.ones(1)}, StateMismatchError, "can't be part of a path"),
    ],
)
def test_what_is_no_state_is_not_written(state, error, says, tmp_path):
    path = save_state(tmp_path / "s.safetensors", STATE)
    before = path.read_bytes()
    with pytest.raises(error, match=says):
        save_state(path, state)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("s.npz", "ends in .safetensors"),
        ("missing/s.safetensors", "can't be written to"),
        (".", "ends in|is a directory"),
    ],
)
def test_a_path_that_can_not_be_written_is_refused(name, says, tmp_path):
    with pytest.raises(ArgumentError, match=says):
        save_state(tmp_path / name, STATE)
    assert not list(tmp_path.iterdir())


def damaged(path, how):
    whole = path.read_bytes()
    path.write_bytes(how(whole))


@pytest.mark.parametrize(
    "how",
    [
        lambda b: b"",
        lambda b: b[:7],
        lambda b: b[: len(b) // 2],
        lambda b: b[:-1],
        lambda b: b + b"x",
        lambda b: b"\xff" * 8 + b[8:],
        lambda b: b.replace(b"encoder/forward/c", b"encoder/forward/x", 1),
    ],
    ids=["empty", "cut in the size", "half", "a byte short", "a byte more", "size", "name"],
)
def test_a_damaged_file_is_refused(how, tmp_path):
    path = save_state(tmp_path / "s.safetensors", STATE)
    damaged(path, how)
    with pytest.raises(DataError, match="is no state, or it is damaged"):
        load_state(path)


def test_names_that_make_no_tree_are_refused(tmp_path):
    path = tmp_path / "s.safetensors"
    safetensors.numpy.save_file({"lstm": np.ones(2), "lstm/c": np.zeros(2)}, path)
    with pytest.raises(DataError, match="lstm is an array and has names below it"):
        load_state(path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="is not there"):
        load_state(tmp_path / "s.safetensors")
    with pytest.raises(DataError, match="is a directory"):
        load_state(tmp_path)
