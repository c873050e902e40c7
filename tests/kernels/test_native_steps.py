"""Single steps of a packed cell: functional, prepared, and on rows of packed states."""

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
    threads,
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


@pytest.mark.parametrize("build", BUILDS)
@few
@given(call=calls(), data=st.data())
def test_rows_of_packed_states_are_a_gather_a_step_and_a_scatter(build, call, data):
    spec, inputs = call
    x, states = inputs["x"][:, 0], states_of(spec, inputs)
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    capacity = len(x) + data.draw(st.integers(0, 50))
    packed = [rng.normal(size=(capacity, s.shape[1] + 3)).astype("f")[:, 1:-2] for s in states]
    before = [each.copy() for each in packed]
    rows = rng.permutation(capacity)[: len(x)]
    cell = cell_of(spec, inputs, build)
    expected = cell.step(x, *(each[rows] for each in packed))

    assert_same([cell.step_rows(x, rows, *packed, moves=False)], expected[:1])
    assert_same(packed, before)
    assert_same([cell.step_rows(x, rows, *packed)], expected[:1])
    for was, new in zip(before, expected, strict=True):
        was[rows] = new
    assert_same(packed, before)


@pytest.mark.parametrize("cell", CELLS)
def test_many_rows_on_threads(cell):
    spec = spec_of(cell)
    inputs = inputs_of(spec, (2001, 1, 8, 64), initial=True)
    made, x = cell_of(spec, inputs), inputs["x"][:, 0]
    rng = np.random.default_rng(0)
    packed = [rng.normal(size=(5000, 64)).astype("f") for _ in spec.names.states]
    rows = rng.permutation(5000)[: len(x)]
    expected = made.step(x, *(each[rows] for each in packed))
    for count in (1, 2, 5):
        moved = [each.copy() for each in packed]
        with threads(count):
            assert_same([made.step_rows(x, rows, *moved)], expected[:1])
        assert_same([each[rows] for each in moved], expected)
        others = np.setdiff1d(np.arange(5000), rows)
        assert_same([each[others] for each in moved], [each[others] for each in packed])


def test_a_row_that_is_only_looked_at_may_be_there_twice():
    spec = spec_of("LSTM")
    inputs = inputs_of(spec, (3, 1, 4, 5), initial=True)
    cell, x, states = cell_of(spec, inputs), inputs["x"][:, 0], states_of(spec, inputs)
    rows = np.array([2, 0, 2])
    found = cell.step_rows(x, rows, *states, moves=False)
    assert_same([found], cell.step(x, *(state[rows] for state in states))[:1])
    with pytest.raises(InputError, match=r"rows\[2\] is 2, which is there twice"):
        cell.step_rows(x, rows, *states)


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
    rows = np.arange(3)
    before = h.copy(), c.copy()
    for step in (cell.step, lambda x, *states: cell.step_rows(x, rows, *states)):
        with pytest.raises(ArgumentError, match='the state "c" is missing'):
            step(x, h)
        with pytest.raises(InputError, match=r"x has shape \(3, 1, 4\)"):
            step(inputs["x"], h, c)
        with pytest.raises(InputError, match=r"x has shape \(3, 3\); expected \(any, 4\)"):
            step(x[:, :3], h, c)
        with pytest.raises(InputError, match="h has dtype float64"):
            step(x, h.astype("f8"), c)
        with pytest.raises(InputError, match=r"c has shape \(3, 4\)"):
            step(x, h, c[:, :4])
    with pytest.raises(InputError, match=r"h has shape \(2, 5\); expected \(3, 5\)"):
        cell.step(x, h[:2], c)
    refused = {
        r"c has shape \(2, 5\); expected \(3, 5\)": (x, rows, h, c[:2]),
        r"rows\[2\] is 3; there are 3 rows": (x, rows + 1, h, c),
        "there are 2 rows for an x of 3": (x, rows[:2], h, c),
        "rows has dtype int32": (x, rows.astype("int32"), h, c),
        "c shares memory with": (x, rows, h, h),
        "h can't take results": (x, rows, np.asfortranarray(h), c),
    }
    for said, call in refused.items():
        with pytest.raises(InputError, match=said) as error:
            cell.step_rows(*call)
        assert str(error.value).startswith("native LSTM: ")
    with pytest.raises(InputError, match="the last axis of h is not contiguous"):
        cell.step_rows(x, rows, np.asfortranarray(h), c, moves=False)
    with pytest.raises(InputError, match="last_c shares memory with last_h"):
        cell.prepare({"x": inputs["x"]}, {"last_h": h, "last_c": h})
    assert_same((h, c), before)


def test_a_cell_of_one_state_takes_one():
    spec = spec_of("GRU")
    inputs = inputs_of(spec, (3, 1, 4, 5), initial=True)
    cell, x, (h,) = cell_of(spec, inputs), inputs["x"][:, 0], states_of(spec, inputs)
    assert isinstance(cell.step(x, h), tuple)
    for step in (cell.step, lambda *call: cell.step_rows(call[0], np.arange(3), *call[1:])):
        with pytest.raises(ArgumentError, match='there is no state "c"'):
            step(x, h, h.copy())


def test_no_rows_are_no_work():
    spec = spec_of("LSTM")
    inputs = inputs_of(spec, (3, 1, 4, 5), initial=True)
    cell, x, (h, c) = cell_of(spec, inputs), inputs["x"][:, 0], states_of(spec, inputs)
    assert [each.shape for each in cell.step(x[:0], h[:0], c[:0])] == [(0, 5), (0, 5)]
    assert cell.step_rows(x[:0], np.arange(0), h, c).shape == (0, 5)
