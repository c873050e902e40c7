"""Inputs and outputs: which have a time axis, and how their features are called."""

import numpy as np
import pytest

from seqstate.errors import ArgumentError
from seqstate.plots.ends import read_ends
from seqstate.plots.series import over_time

S, T, P = 2, 5, 3
RUNS = {(None, T), (P, 4)}
X = np.random.default_rng(0).normal(size=(S, T, 3))


def ends(value, names=None):
    return read_ends("input", value, names, RUNS, "here")


# shape, type, the shape [sample, part, time, feature] that it is read as
SHAPES = [
    ((S, T, 3), "f4", (S, 1, T, 3)),
    ((S, 9, 3), "f4", (S, 1, 9, 3)),
    ((S, T, 2, 3), "f4", (S, 1, T, 6)),
    ((S, 9, 2, 3), "f4", None),
    ((S, P, 4, 2), "f4", (S, P, 4, 2)),
    ((S, P, 4), "i4", (S, P, 4, 1)),
    ((S, T), "i4", (S, 1, T, 1)),
    ((S, T), "u1", (S, 1, T, 1)),
    ((S, T), "f4", None),
    ((S, T), "?", None),
    ((S, 9), "i4", None),
    ((S, T, 3), "?", (S, 1, T, 3)),
    ((S, T, 3), "c8", None),
    ((S, T, 3), "U1", None),
    ((S,), "f4", None),
]


@pytest.mark.parametrize(("shape", "kind", "read"), SHAPES)
def test_what_is_read_as_a_series(shape, kind, read):
    array = np.arange(np.prod(shape)).reshape(shape).astype(kind)
    found = over_time(array, RUNS)
    assert (None if found is None else found.shape) == read
    if read is not None:
        np.testing.assert_array_equal(found.ravel(), array.ravel())


@pytest.mark.parametrize(
    ("array", "ids"),
    [
        (np.ones((S, T), int), True),
        (np.ones((S, P, 4), int), True),
        (np.ones((S, T, 1), int), False),
        (np.ones((S, T, 3), int), False),
        (np.ones((S, P, 4)), False),
    ],
)
def test_ids_are_whole_numbers_without_an_axis_of_features(array, ids):
    assert ends(array)[0].series.ids == ids


ABC, DE, NUMBERED = ["a", "b", "c"], ["d", "e"], ["feature 0", "feature 1"]
TWO, ONE = X[..., :2], X[..., :1]

# the arrays, the names given, the names of the features by array
NAMED = [
    (X, None, {"input": ["feature 0", "feature 1", "feature 2"]}),
    (ONE, None, {"input": ["input"]}),
    (X, ABC, {"input": ABC}),
    (X, tuple(ABC), {"input": ABC}),
    (X, np.array(ABC), {"input": ABC}),
    ([X], ABC, {"input 0": ABC}),
    ([X], [ABC], {"input 0": ABC}),
    ({"x": X}, ABC, {'input "x"': ABC}),
    ([X, TWO], [ABC, DE], {"input 0": ABC, "input 1": DE}),
    ([TWO, TWO], [None, DE], {"input 0": NUMBERED, "input 1": DE}),
    ({"x": TWO, "y": TWO}, {"y": DE}, {'input "x"': NUMBERED, 'input "y"': DE}),
    ({"x": [ONE, ONE]}, {"x": [["a"], ["b"]]}, {'input "x", 0': ["a"], 'input "x", 1': ["b"]}),
]


@pytest.mark.parametrize(("value", "names", "called"), NAMED)
def test_features_are_called_by_the_names_given(value, names, called):
    assert {end.name: list(end.series.features) for end in ends(value, names)} == called


# the arrays, the names given, what is said
REFUSED = [
    (X, ["a", "b"], "the names of the features of the input are 2, ['a', 'b']; expected 3 texts"),
    (X, ["a", "b", "c", "d"], "are 4, ['a', 'b', 'c', 'd']; expected 3 texts"),
    (X, "abc", "are 'abc'; expected 3 texts"),
    (X, ["a", "b", 3], "are 3, ['a', 'b', 3]; expected 3 texts"),
    (X, 3, "are 3; expected 3 texts"),
    (X, {"x": ["a", "b", "c"]}, "expected 3 texts"),
    (X[..., :1], [], "are 0, []; expected 1 text."),
    (np.ones((S, T), int), ["a", "b"], "expected 1 text."),
    (np.ones((S, 2)), ["a"], "expected 2 texts."),
    (
        [X, X],
        ["a", "b"],
        "expected a list of 2 sequences of texts.\n  Pass the names as the arrays",
    ),
    ([X, X], [["a", "b", "c"]], "expected a list of 2 sequences of texts"),
    ([X, X], {"x": ["a", "b", "c"]}, "expected a list of 2 sequences of texts"),
    ([X, X], [["a", "b", "c"], ["a"]], "the features of the input 1 are 1, ['a']; expected 3"),
    ({"x": X, "y": X}, {"z": ["a"]}, "expected a dict with the keys 'x', 'y'"),
    ({"x": X, "y": X}, [["a"], ["b"]], "expected a dict with the keys 'x', 'y'"),
    ({"x": X, "y": X}, {"y": ["a"]}, "the features of the input \"y\" are 1, ['a']; expected 3"),
]


@pytest.mark.parametrize(("value", "names", "says"), REFUSED)
def test_names_that_do_not_fit_are_refused(value, names, says):
    with pytest.raises(ArgumentError) as error:
        ends(value, names)
    assert says in str(error.value)
    assert str(error.value).startswith("here: ")
    assert "\n  Pass" in str(error.value)
