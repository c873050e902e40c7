"""The functions of `keras.ops` in a functional model, beyond what they compute."""

import keras
import numpy as np
import pytest
from keras import ops

import seqstate
from runtime.forging import load, with_config
from runtime.functions import ALONE, ROWS_MEET
from runtime.saved import both
from runtime.tables import FEATURES, ROWS, STEPS, X
from runtime.zoo import MODELS
from seqstate.errors import DataError, InputError
from seqstate.runtime.operations import OPERATIONS


def loaded(function, tmp_path, shape=(None, FEATURES), dtype="float32"):
    x = keras.Input(shape, dtype=dtype)
    model = keras.Model(x, function(x))
    model.save(tmp_path / "model.keras")
    return model, seqstate.load(tmp_path / "model.keras")


@pytest.mark.parametrize("function", ALONE.values(), ids=ALONE)
def test_what_needs_all_steps_says_so_and_runs_whole(function, tmp_path):
    model, fast = loaded(function, tmp_path, (STEPS, FEATURES))
    assert fast.why_no_step is not None
    for count in (ROWS, 1):
        made, _ = fast.run(X[:count])
        wanted = np.asarray(ops.convert_to_numpy(model(X[:count])))
        np.testing.assert_allclose(made, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("function", ROWS_MEET.values(), ids=ROWS_MEET)
def test_what_brings_rows_together_is_refused(function, tmp_path):
    x = keras.Input((STEPS, FEATURES), batch_size=1)
    keras.Model(x, function(x)).save(tmp_path / "model.keras")
    with pytest.raises(DataError, match=r"\brows\b.*\n  Leave the batch axis|the batch\.\n"):
        seqstate.load(tmp_path / "model.keras")


def test_every_function_that_is_known_is_in_a_model_here(tmp_path):
    seen = set()
    for name in MODELS:
        model, _, _ = both(name)
        if isinstance(model, keras.Sequential):
            continue
        seen |= {type(one).__name__ for one in model.operations}
    assert set(OPERATIONS) - seen == {"Abs"}  # of which Keras has two, and writes the other one


def test_a_sum_of_whole_numbers_is_no_state(tmp_path):
    _, fast = loaded(lambda x: ops.cumsum(x, axis=1), tmp_path, dtype="int32")
    with pytest.raises(InputError, match=r"Cumsum .*int32.*float32\.\n  Cast"):
        fast.run(np.ones((1, 3, FEATURES), "int32"))


def test_bits_of_fractions_are_none(tmp_path):
    def forge(config):
        cast = next(one for one in config["config"]["layers"] if one["class_name"] == "Cast")
        cast["config"]["dtype"] = "float32"

    _, fast = loaded(lambda x: ops.bitwise_not(ops.cast(x, "int32")), tmp_path)
    np.testing.assert_array_equal(fast.run(np.full((1, 1, FEATURES), 2.5))[0], -3)
    with pytest.raises(InputError, match="invert takes whole numbers, and float32 came"):
        changed(tmp_path, forge).run(X)


def changed(tmp_path, change):
    """Load the model again, with another config."""
    return load(with_config((tmp_path / "model.keras").read_bytes(), change), tmp_path)


def test_a_running_sum_is_a_state_that_can_be_set(tmp_path):
    _, fast = loaded(lambda x: ops.cumsum(x, axis=1), tmp_path)
    ((name, spec),) = fast.state_spec.items()
    assert spec == {"sum": (FEATURES,)}
    state = {name: {"sum": np.full((ROWS, FEATURES), 10, "float32")}}
    made, state = fast.step(X[:, 0], state)
    np.testing.assert_array_equal(made, X[:, 0] + np.float32(10))
    np.testing.assert_array_equal(state[name]["sum"], made)


def test_a_table_is_not_read_beyond_its_end(tmp_path):
    table = np.arange(12, dtype="float32").reshape(4, 3)
    _, fast = loaded(lambda x: ops.take(table, x, axis=0), tmp_path, (None,), "int32")
    np.testing.assert_array_equal(fast.run(np.array([[3, 0]]))[0], table[[[3, 0]]])
    with pytest.raises(InputError, match="out of bounds"):
        fast.run(np.array([[4, 0]]))


def test_one_over_zero_is_infinite_without_a_warning(tmp_path, recwarn):
    _, fast = loaded(lambda x: ops.stack([1 / x, ops.log(x)], axis=-1), tmp_path)
    made, _ = fast.run(np.zeros((1, 1, FEATURES)))
    assert set(made.ravel().tolist()) == {np.inf, -np.inf}
    assert [one for one in recwarn if one.category is RuntimeWarning] == []


FORGED = {
    "tile": (lambda x: ops.tile(x, [1, 1, 2]), {"repeats": [1, 1, 1 << 30]}, "numbers for each"),
    "tile less": (lambda x: ops.tile(x, [1, 1, 2]), {"repeats": [1, 1, -2]}, "its repeats is -2"),
    "tile more": (lambda x: ops.tile(x, [1, 1, 2]), {"repeats": [1] * 5}, "repeats the batch"),
    "repeat": (lambda x: ops.repeat(x, 2, 2), {"repeats": 1 << 30}, "numbers for each row"),
    "one_hot": (lambda x: ops.one_hot(x, 2), {"num_classes": 1 << 30}, "numbers for each row"),
    "pad": (
        lambda x: ops.pad(x, [[0, 0]] * 3),
        {"pad_width": [[0, 0], [0, 0], [1 << 30, 0]]},
        "numb",
    ),
    "pad how": (lambda x: ops.pad(x, [[0, 0]] * 3), {"mode": "empty"}, "mode is 'empty'; expected"),
    "pad two": (
        lambda x: ops.pad(x, [[0, 0]] * 3),
        {"pad_width": [[0, 0], [0, 0]]},
        "pads 2 axes of 3",
    ),
    "split": (lambda x: ops.split(x, 2, 2), {"indices_or_sections": 3}, "splits 4 numbers into 3"),
    "split none": (
        lambda x: ops.split(x, 2, 2),
        {"indices_or_sections": 0},
        "number of parts is 0",
    ),
    "axis": (lambda x: ops.sort(x, 2), {"axis": 3}, "its axis is 3; expected one from 1 to 2"),
    "text": (lambda x: ops.roll(x, 1, 2), {"shift": "a"}, "its shift is a; expected a whole"),
    "moved": (
        lambda x: ops.moveaxis(x, 2, 1),
        {"source": [1, 1], "destination": [1, 2]},
        "moves the ax",
    ),
    "top_k": (lambda x: ops.top_k(x, 2), {"k": 9}, "takes 9 of 4 numbers"),
    "glu": (lambda x: ops.glu(x), {"axis": 0}, "across the rows"),
    "equation": (
        lambda x: ops.einsum("btf->bft", x),
        {"subscripts": "btt->bt"},
        "equation btt->bt",
    ),
    "no arrow": (lambda x: ops.einsum("btf->bft", x), {"subscripts": "btf"}, "equation btf is not"),
    "axes": (lambda x: ops.einsum("btf->bft", x), {"subscripts": "bf->b"}, "given arrays of"),
    "norm": (lambda x: ops.norm(x, axis=-1), {"ord": 3}, "its ord=3 is not known"),
}


@pytest.mark.parametrize(("function", "given", "says"), FORGED.values(), ids=FORGED)
def test_arguments_that_no_keras_wrote(function, given, says, tmp_path):
    x = keras.Input((STEPS, FEATURES))
    keras.Model(x, function(x)).save(tmp_path / "model.keras")
    with pytest.raises(DataError, match=says):
        changed(tmp_path, lambda config: config["config"]["layers"][1]["config"].update(given))
