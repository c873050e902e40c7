import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seqstate.errors import ArgumentError, InputError
from seqstate.plots.units import order_of_units, saturation

RNG = np.random.default_rng(0)
VALUES = RNG.uniform(-1, 1, (40, 6))

shapes = st.tuples(st.integers(1, 12), st.integers(1, 8))
traces = arrays(np.float32, shapes, elements=st.floats(-1, 1, width=32))


@given(traces, st.sampled_from(["stored", "correlation", "saturation"]))
def test_every_order_names_each_unit_once(values, order):
    assert sorted(order_of_units(values, order)) == list(range(values.shape[1]))


def test_units_as_stored_and_a_permutation_stay_as_given():
    assert order_of_units(VALUES, "stored") == [0, 1, 2, 3, 4, 5]
    assert order_of_units(VALUES, np.array([5, 0, 4, 1, 3, 2])) == [5, 0, 4, 1, 3, 2]


@given(st.permutations(range(9)))
def test_units_that_are_alike_stand_together(places):
    time = np.linspace(0, 6, 50)
    kinds = [np.sin(time), np.cos(3 * time), -np.sin(time)]
    noise = np.random.default_rng(1).normal(scale=0.02, size=(50, 9))
    units = np.stack([kinds[unit // 3] for unit in range(9)], axis=1) + noise
    shown = [places[row] // 3 for row in order_of_units(units[:, places], "correlation")]
    assert len(list(itertools.groupby(shown))) == 3


def test_units_that_never_move_come_last():
    values = VALUES.copy()
    values[:, [1, 4]] = 0.7
    assert order_of_units(values, "correlation")[-2:] == [1, 4]


def test_the_order_does_not_hang_on_the_scale_of_a_unit():
    assert order_of_units(VALUES * [1, 0.1, 7, 3, 0.5, 2], "correlation") == order_of_units(
        VALUES, "correlation"
    )


def test_the_most_saturated_unit_comes_first_and_equals_stay_in_order():
    values = np.zeros((4, 5))
    values[:3, 3] = 1.0
    values[:1, 1] = -1.0
    assert order_of_units(values, "saturation") == [3, 1, 0, 2, 4]


# quantity, values that are not saturated, values at the low end, values at the high end
ENDS = [
    ("states/h", [-0.989, 0, 0.989], [-0.991, -1, -2], [0.991, 1]),
    ("states/forward/h", [-0.989, 0, 0.989], [-0.991], [0.991]),
    ("gates/candidate", [-0.5, 0.001], [-0.995], [0.995]),
    ("sequence", [-0.5, 0.001], [-0.995], [0.995]),
    ("gates/forget", [0.011, 0.5, 0.989], [0.009, 0], [0.991, 1]),
    ("gates/backward/update", [0.011, 0.5, 0.989], [0.009, 0], [0.991, 1]),
    ("states/c", [-2.6, 0, 2.6], [-2.7], [2.7, 80]),
    ("states/memory", [-5, 0, 99], [], []),
]


@pytest.mark.parametrize(("quantity", "free", "low", "high"), ENDS)
def test_the_ends_of_each_quantity(quantity, free, low, high):
    values = np.array([*free, *low, *high], dtype=np.float32)[:, None]
    found = saturation(values, quantity)
    assert found.low[0] == len(low) / len(values)
    assert found.high[0] == len(high) / len(values)
    assert found.share[0] == (len(low) + len(high)) / len(values)
    assert (found.least[0], found.greatest[0]) == (values.min(), values.max())


def test_dead_is_what_never_moves_wherever_it_stands():
    values = np.array([[0.5, 1.0, 0.0, 0.2], [0.5, 1.0, 0.0009, 0.202]])
    assert saturation(values, "gates/forget").dead.tolist() == [True, True, True, False]


@given(traces, st.integers(0, 2**12 - 1))
def test_masked_steps_do_not_count(values, bits):
    counts = np.array([bool(bits >> step & 1) for step in range(len(values))])
    masked = values.copy()
    masked[~counts] = np.nan
    seen = saturation(masked, counts=counts)
    bare = saturation(values[counts])
    for name in ("low", "high", "least", "greatest", "dead"):
        np.testing.assert_array_equal(getattr(seen, name), getattr(bare, name))
    for order in ("correlation", "saturation"):
        assert order_of_units(masked, order, counts=counts) == order_of_units(values[counts], order)


@given(traces, st.integers(0, 2**31 - 1), st.sampled_from([np.nan, np.inf, -np.inf]))
def test_what_is_not_finite_does_not_count(values, seed, wrong):
    broken = values.copy()
    broken[np.random.default_rng(seed).uniform(size=values.shape) < 0.3] = wrong
    found = saturation(broken)
    for unit in range(values.shape[1]):
        alone = broken[np.isfinite(broken[:, unit]), unit : unit + 1]
        expected = saturation(alone)
        for name in ("low", "high", "least", "greatest", "dead"):
            np.testing.assert_array_equal(getattr(found, name)[unit], getattr(expected, name)[0])
    for order in ("correlation", "saturation"):
        assert sorted(order_of_units(broken, order)) == list(range(values.shape[1]))


def test_units_that_are_alike_stand_together_also_where_they_are_not_all_known():
    time = np.linspace(0, 6, 50)
    values = np.stack([np.sin(time), np.cos(3 * time)] * 3, axis=1)
    values[10:14, 2] = np.nan
    values[40:] = np.inf
    rows = order_of_units(values, "correlation")
    assert len(list(itertools.groupby(row % 2 for row in rows))) == 2


def test_nothing_is_said_of_a_unit_that_is_never_finite():
    found = saturation(np.array([[0.5, np.nan], [0.9, np.inf]]))
    assert (found.least[0], found.greatest[0]) == (0.5, 0.9)
    assert np.isnan([found.least[1], found.greatest[1]]).all()
    assert not found.dead[1]
    assert found.share[1] == 0


@pytest.mark.parametrize("steps", [0, 1])
def test_no_unit_is_dead_where_fewer_than_two_steps_count(steps):
    found = saturation(np.full((3, 2), 0.5), counts=np.arange(3) < steps)
    assert not found.dead.any()


@pytest.mark.parametrize(
    "order", ["size", [0, 1], [0, 0, 1, 2, 3, 4], [0, 1, 2, 3, 4, 5.5], 7, None, [None] * 6]
)
def test_a_wrong_order_is_refused_with_the_orders_that_there_are(order):
    with pytest.raises(ArgumentError, match='expected "stored", "correlation", "saturation" or'):
        order_of_units(VALUES, order)


@pytest.mark.parametrize(
    ("values", "counts", "says"),
    [
        (VALUES[0], None, r"shape \(6,\)"),
        (VALUES[None], None, r"shape \(1, 40, 6\)"),
        (np.zeros((3, 2), int), None, "type int64"),
        (VALUES, np.ones(3, bool), r"the mask has shape \(3,\)"),
        (VALUES, np.ones(40), "the mask has shape"),
    ],
)
def test_arrays_that_can_not_be_read_are_refused(values, counts, says):
    for ask in (saturation, order_of_units):
        with pytest.raises(InputError, match=says):
            ask(values, counts=counts)
