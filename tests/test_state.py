"""The nested dict: paths, order, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqstate import state
from seqstate.errors import StateMismatchError

names = st.text("abch_0", min_size=1, max_size=4)
trees = st.recursive(
    st.dictionaries(names, st.integers(), min_size=1, max_size=3),
    lambda inner: st.dictionaries(names, inner, min_size=1, max_size=3),
    max_leaves=8,
)
SPEC = {"forward": {"h": (2,), "c": (2,)}, "backward": {"h": (3,)}}


@given(trees)
def test_flatten_and_unflatten_are_inverse(tree):
    flat = state.flatten(tree)
    assert state.unflatten(flat) == tree
    assert list(state.flatten(state.unflatten(flat))) == list(flat)


@given(trees)
def test_nest_restores_the_order_of_the_spec(tree):
    flat = dict(sorted(state.flatten(tree).items(), reverse=True))
    nested = state.nest(tree, flat)
    assert nested == tree
    assert list(state.flatten(nested)) == list(state.flatten(tree))


@given(trees)
def test_map_leaves_keeps_names_and_order(tree):
    doubled = state.map_leaves(lambda a, b: a + b, tree, tree)
    assert list(state.leaves(doubled)) == [(path, 2 * v) for path, v in state.leaves(tree)]


NAMED = {
    "whole dict": ({"forward": {"h": 1, "c": 2}, "backward": {"h": 3}}, [1, 2, 3]),
    "other order": ({"backward": {"h": 3}, "forward": {"c": 2, "h": 1}}, [1, 2, 3]),
    "flat list": ([1, 2, 3], [1, 2, 3]),
    "nested list": ([[1, 2], [3]], [1, 2, 3]),
    "list below a name": ({"forward": (1, 2)}, [1, 2, None]),
    "value below a name": ({"backward": 3}, [None, None, 3]),
    "nothing": ({}, [None, None, None]),
    "None": ({"forward": None, "backward": {"h": None}}, [None, None, None]),
}


@pytest.mark.parametrize("form", NAMED)
def test_every_form_gets_its_names(form):
    given_state, values = NAMED[form]
    paths = ["forward/h", "forward/c", "backward/h"]
    expected = {p: v for p, v in zip(paths, values, strict=True) if v is not None}
    assert state.name_leaves(SPEC, given_state, "here") == expected


WRONG = {
    "unknown": ({"left": 1}, r"^here: initial_state has the unknown name 'left'"),
    "unknown below": ({"forward": {"x": 1}}, r"initial_state\[\"forward\"\] has the unknown name"),
    "too few": (
        [1, 2],
        "has 2 values; expected 3, in this order: forward/h, forward/c, backward/h",
    ),
    "too many": ([1, 2, 3, 4], "has 4 values"),
    "too few below": ({"forward": [1]}, r"initial_state\[\"forward\"\] has 1 value; expected 2"),
}


@pytest.mark.parametrize("form", WRONG)
def test_wrong_names_and_lengths_are_refused(form):
    given_state, text = WRONG[form]
    with pytest.raises(StateMismatchError, match=text):
        state.name_leaves(SPEC, given_state, "here")


FITS = [((), True), ((3,), True), ((1, 3), True), ((4, 3), True), ((None, 3), True)]
MISFITS = [((4,), False), ((5, 3), False), ((4, 4), False), ((4, 1, 3), False), ((0, 3), False)]


class Shaped:
    def __init__(self, shape):
        self.shape, self.dtype = shape, np.dtype("float32")


@pytest.mark.parametrize(("shape", "fits"), FITS + MISFITS)
def test_which_shapes_can_become_a_leaf(shape, fits):
    def check():
        state.check_leaf(Shaped(shape), (3,), 4, "here", "h", "initial_state")

    if fits:
        check()
    else:
        with pytest.raises(StateMismatchError, match="here: initial_state"):
            check()
