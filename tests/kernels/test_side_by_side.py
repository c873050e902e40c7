"""Several runs in one call: each with the bits that it has alone, and apart in memory."""

import numpy as np
import pytest

from kernels.native_cases import (
    CELLS,
    FORMS,
    assert_same_bits,
    cotangents_of,
    inputs_of,
    shapes,
    spec_of,
)
from kernels.native_cases import threads as using
from seqstate.errors import ArgumentError, InputError
from seqstate.kernels import native
from seqstate.kernels.call import DIFFERENTIABLE

pytestmark = pytest.mark.skipif(not native.available(), reason=str(native.reason()))

# Enough work for a thread each, on both sides of what are few rows.
SHAPES = shapes("1x100x16x64 3x40x7x50 16x20x8x33 40x20x8x33")


def two(cell="LSTM", shape=SHAPES[0], form="plain", other=None):
    """Give the calls of two directions: specs, and inputs that share x."""
    specs = [spec_of(cell), spec_of(other or cell, go_backwards=True)]
    given = [inputs_of(spec, shape, seed, **FORMS[form]) for seed, spec in enumerate(specs)]
    given[1]["x"] = given[0]["x"]
    return list(zip(specs, given, strict=True))


def differentiated(calls, results):
    return [
        (spec, given, made, cotangents_of(spec, made), DIFFERENTIABLE)
        for (spec, given), made in zip(calls, results, strict=True)
    ]


@pytest.mark.parametrize("count", [1, 2, 3, 8])
@pytest.mark.parametrize("form", ["plain", "mask and reset", "a dropout mask a block"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("cell", CELLS)
def test_two_runs_at_once_have_the_bits_of_each_alone(cell, shape, form, count):
    calls = two(cell, shape, form)
    with using(1):
        alone = [native.forward(*call) for call in calls]
        asked = differentiated(calls, alone)
        gradients = [native.gradient(*call) for call in asked]
    with using(count):
        for found, expected in zip(native.forward_all(calls), alone, strict=True):
            assert_same_bits(found, expected)
        for found, expected in zip(native.gradient_all(asked), gradients, strict=True):
            assert_same_bits(found, expected)


def test_runs_of_other_cells_and_sizes_and_any_number_of_them_go_together():
    calls = [*two("LSTM", SHAPES[0], other="GRU"), *two("SimpleRNN", SHAPES[1], "mask")]
    for count in range(5):
        alone = [native.forward(*call) for call in calls[:count]]
        together = native.forward_all(calls[:count])
        assert len(together) == count
        for found, expected in zip(together, alone, strict=True):
            assert_same_bits(found, expected)


def test_a_run_without_rows_stands_beside_one_with_rows():
    (spec, full), (other, empty) = two()
    batch = {"x", "initial_h", "initial_c"}
    empty = {name: value[:0] if name in batch else value for name, value in empty.items()}
    calls = [(other, empty), (spec, full)]
    made = native.forward_all(calls)
    assert_same_bits(made[1], native.forward(spec, full))
    asked = differentiated(calls, made)
    gradients = native.gradient_all(asked)
    assert_same_bits(gradients[1], native.gradient(*asked[1]))
    assert not gradients[0]["kernel"].any()
    assert gradients[0]["kernel"].shape == empty["kernel"].shape


def handed(calls, results):
    return [
        (*spec.static(), given, made) for (spec, given), made in zip(calls, results, strict=True)
    ]


def test_what_one_run_writes_no_other_may_read_or_write():
    calls = two()
    results = [native.empty_results(*call) for call in calls]
    module = native.module()
    shared = [results[0], {**results[1], "last_c": results[0]["last_h"]}]
    with pytest.raises(InputError, match="last_h shares memory with last_c of another run"):
        module.forward_all(handed(calls, shared))
    state = np.zeros((1, 64), "float32")
    for reader, writer in ((0, 1), (1, 0)):
        reads = list(calls)
        reads[reader] = (calls[reader][0], {**calls[reader][1], "initial_h": state})
        writes = list(results)
        writes[writer] = {**results[writer], "last_h": state}
        with pytest.raises(InputError, match="last_h shares memory with initial_h of another run"):
            module.forward_all(handed(reads, writes))
    asked = differentiated(calls, native.forward_all(calls))
    gradient = {"kernel": np.empty_like(calls[0][1]["kernel"])}
    record = [{k: v for k, v in made.items() if k[:4] != "last"} for _, _, made, _, _ in asked]
    with pytest.raises(InputError, match="kernel shares memory with kernel of another run"):
        module.gradient_all(
            [
                (*spec.static(), given, kept, cotangents, gradient)
                for (spec, given, _, cotangents, _), kept in zip(asked, record, strict=True)
            ]
        )


def test_what_is_wrong_with_one_run_is_an_error_before_any_of_them_runs():
    calls = two()
    results = [native.empty_results(*call) for call in calls]
    for made in results:
        for array in made.values():
            array.fill(7)
    calls[1] = (calls[1][0], {**calls[1][1], "bias": np.zeros(3, "float32")})
    with pytest.raises(InputError, match=r"bias has shape \(3,\)"):
        native.module().forward_all(handed(calls, results))
    assert all((array == 7).all() for made in results for array in made.values())
    with pytest.raises(ArgumentError, match="of_tomorrow"):
        native.forward_all(two(), build="of_tomorrow")
    with pytest.raises(TypeError, match="forward_all"):
        native.module().forward_all([("LSTM", "tanh")])
