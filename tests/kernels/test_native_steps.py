"""Single steps of a packed cell, and prepared runs."""

import gc
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.native_cases import (
    BUILDS,
    CELLS,
    FORMS,
    PAIRS,
    WEIGHTS,
    assert_same_bits,
    inputs_of,
    spec_of,
)
from seqstate.errors import ArgumentError, InputError
from seqstate.kernels import native

pytestmark = pytest.mark.skipif(not native.available(), reason=str(native.reason()))

few = settings(max_examples=60, deadline=None)


def cell_of(spec, inputs, build=None):
    weights = {k: v for k, v in inputs.items() if k in WEIGHTS}
    return native.module().Cell(*spec.static()[:4], weights, build)


def rest_of(inputs):
    return {k: v for k, v in inputs.items() if k not in WEIGHTS}


def states_of(spec, inputs):
    return [inputs[f"initial_{name}"] for name in spec.names.states]


def last_of(spec, results):
    return [results[f"last_{name}"] for name in spec.names.states]


@st.composite
def calls(draw):
    """Draw a cell and one step from a state that is given."""
    activation, recurrent = draw(st.sampled_from(PAIRS))
    spec = spec_of(
        draw(st.sampled_from(list(CELLS))), activation=activation, recurrent_activation=recurrent
    )
    shape = [draw(st.integers(1, most)) for most in (40, 1, 20, 70)]
    return spec, inputs_of(spec, tuple(shape), draw(st.integers(0, 9)), initial=True)


def assert_same(found, expected):
    assert len(found) == len(expected)
    assert_same_bits(dict(enumerate(found)), dict(enumerate(expected)))


@pytest.mark.parametrize("build", BUILDS)
@few
@given(call=calls())
def test_a_step_gives_the_bits_of_a_run_and_changes_nothing(build, call):
    spec, inputs = call
    expected = last_of(spec, native.forward(spec, inputs, build=build))
    given_before = {name: value.copy() for name, value in inputs.items()}
    cell, states = cell_of(spec, inputs, build), states_of(spec, inputs)
    x = inputs["x"][:, 0]
    assert_same(cell.step(x, *states), expected)
    assert_same(cell.step(np.asfortranarray(x), *map(np.asfortranarray, states)), expected)
    assert_same_bits(inputs, given_before)
    alone = cell.step(x[-1:], *(state[-1:] for state in states))
    assert_same(alone, [state[-1:] for state in expected])


@pytest.mark.parametrize("form", ["plain", "mask and reset", "initial state"])
@pytest.mark.parametrize("cell", CELLS)
def test_a_prepared_run_does_what_a_run_does_on_what_is_there(cell, form):
    spec = spec_of(cell)
    inputs = inputs_of(spec, (2, 5, 4, 9), **FORMS[form])
    results = native.empty_results(spec, inputs)
    run = cell_of(spec, inputs).prepare(rest_of(inputs), results)
    for seed in range(3):
        inputs["x"][...] = inputs_of(spec, (2, 5, 4, 9), seed)["x"]
        assert run() is None
        assert_same_bits(results, native.forward(spec, inputs))


def test_a_prepared_run_keeps_its_cell_and_its_arrays():
    spec = spec_of("LSTM")
    inputs = inputs_of(spec, (2, 5, 4, 9))
    results = native.empty_results(spec, inputs)
    expected = native.forward(spec, inputs)
    cell = cell_of(spec, inputs)
    before = sys.getrefcount(results["last_h"])
    run = cell.prepare({"x": inputs["x"].copy()}, results)
    del cell
    gc.collect()
    run()
    assert_same_bits(results, expected)
    held = sys.getrefcount(results["last_h"])
    assert held == before + 1
    del run
    gc.collect()
    held = sys.getrefcount(results["last_h"])
    assert held == before


def test_what_does_not_fit_is_refused():
    spec = spec_of("LSTM")
    inputs = inputs_of(spec, (3, 1, 4, 5), initial=True)
    cell, x, (h, c) = cell_of(spec, inputs), inputs["x"][:, 0], states_of(spec, inputs)
    before = h.copy(), c.copy()
    with pytest.raises(ArgumentError, match='the state "c" is missing'):
        cell.step(x, h)
    refused = {
        r"x has shape \(3, 1, 4\)": (inputs["x"], h, c),
        r"x has shape \(3, 3\); expected \(any, 4\)": (x[:, :3], h, c),
        "h has dtype float64": (x, h.astype("f8"), c),
        r"h has shape \(2, 5\); expected \(3, 5\)": (x, h[:2], c),
        r"c has shape \(3, 4\); expected \(3, 5\)": (x, h, c[:, :4]),
    }
    for said, call in refused.items():
        with pytest.raises(InputError, match=f"^native LSTM: {said}"):
            cell.step(*call)
    with pytest.raises(InputError, match="last_c shares memory with last_h"):
        cell.prepare({"x": inputs["x"]}, {"last_h": h, "last_c": h})
    assert_same((h, c), before)


def test_a_cell_of_one_state_takes_one():
    spec = spec_of("GRU")
    inputs = inputs_of(spec, (3, 1, 4, 5), initial=True)
    cell, x, (h,) = cell_of(spec, inputs), inputs["x"][:, 0], states_of(spec, inputs)
    assert isinstance(cell.step(x, h), tuple)
    with pytest.raises(ArgumentError, match='there is no state "c"'):
        cell.step(x, h, h.copy())


def test_no_rows_are_no_work():
    spec = spec_of("LSTM")
    inputs = inputs_of(spec, (3, 1, 4, 5), initial=True)
    cell, x, (h, c) = cell_of(spec, inputs), inputs["x"][:, 0], states_of(spec, inputs)
    assert [each.shape for each in cell.step(x[:0], h[:0], c[:0])] == [(0, 5), (0, 5)]
