"""Bit for bit: however a run is cut, batched, spread over threads and asked for, it is the same."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.native_cases import (
    BUILDS,
    CELLS,
    FORMS,
    FUSED,
    LONG,
    PAIRS,
    WEIGHTS,
    assert_same_bits,
    cotangents_of,
    inputs_of,
    rows_of,
    spec_of,
    steps_of,
    threads,
)
from seqstate.kernels import native

pytestmark = pytest.mark.skipif(not native.available(), reason=str(native.reason()))

few = settings(max_examples=120)
SIZES = st.one_of(st.integers(1, 20), st.sampled_from([31, 32, 33, 50, 64, 129]))


@st.composite
def calls(draw, cells=tuple(CELLS), most_rows=9, most_steps=10):
    """Draw the spec and the inputs of a call."""
    activation, recurrent = draw(st.one_of(st.just(("tanh", "sigmoid")), st.sampled_from(PAIRS)))
    spec = spec_of(
        draw(st.sampled_from(cells)),
        activation=activation,
        recurrent_activation=recurrent,
        go_backwards=draw(st.booleans()),
    )
    shape = (
        draw(st.integers(1, most_rows)),
        draw(st.integers(1, most_steps)),
        draw(st.integers(1, 40)),
        draw(SIZES),
    )
    form = FORMS[draw(st.sampled_from(list(FORMS)))]
    return spec, inputs_of(spec, shape, draw(st.integers(0, 99)), **form)


def in_pieces(spec, inputs, cuts, build=None):
    """Run a sequence piece after piece, each from the state of the one before it."""
    time = inputs["x"].shape[1]
    edges = sorted({0, time, *(cut for cut in cuts if cut < time)})
    state, found = {}, []
    for first, end in pairwise(edges):
        steps = slice(time - end, time - first) if spec.go_backwards else slice(first, end)
        results = native.forward(spec, {**steps_of(inputs, steps), **state}, build=build)
        state = {f"initial_{name}": results[f"last_{name}"] for name in spec.names.states}
        found.append(results)
    whole = {
        name: np.concatenate([piece[name] for piece in found], axis=0 if name == "kept" else 1)
        for name in found[-1]
        if not name.startswith("last_")
    }
    return {**found[-1], **whole}


@pytest.mark.parametrize("build", BUILDS)
@few
@given(call=calls(), cuts=st.sets(st.integers(1, 9)))
def test_whole_is_in_chunks_is_step_by_step(build, call, cuts):
    spec, inputs = call
    whole = native.forward(spec, inputs, build=build)
    assert_same_bits(in_pieces(spec, inputs, cuts, build), whole)
    assert_same_bits(in_pieces(spec, inputs, range(1, 10), build), whole)


@pytest.mark.parametrize("build", BUILDS)
@few
@given(call=calls(most_rows=14), data=st.data())
def test_a_row_alone_is_a_row_in_any_batch(build, call, data):
    spec, inputs = call
    whole = native.forward(spec, inputs, build=build)
    rows = data.draw(st.permutations(range(len(inputs["x"]))))
    for chosen in (rows, rows[:3], rows[:1]):
        part = native.forward(spec, rows_of(inputs, chosen), build=build)
        assert_same_bits(part, rows_of(whole, chosen))


@pytest.mark.parametrize("form", ["plain", "mask", "mask and reset", "a dropout mask a block"])
@pytest.mark.parametrize("cell", CELLS)
def test_any_number_of_threads(cell, form):
    for i, shape in enumerate(LONG):
        spec = spec_of(cell, go_backwards=i % 2 == 1)
        inputs = inputs_of(spec, shape, seed=i, **FORMS[form])
        with threads(1):
            results = native.forward(spec, inputs)
            cotangents = cotangents_of(spec, results)
            gradients = native.gradient(spec, inputs, results, cotangents)
        for count in (1, 2, 3, 5, 8):
            with threads(count):
                assert_same_bits(native.forward(spec, inputs), results)
                again = native.gradient(spec, inputs, results, cotangents)
            assert_same_bits(again, gradients)


@pytest.mark.parametrize("form", ["plain", "mask and reset", "a dropout mask a block"])
@pytest.mark.parametrize("cell", CELLS)
def test_very_many_rows_are_those_of_smaller_batches(cell, form):
    """Each thread takes one block of rows after the other, and the last block is a row alone."""
    spec, rows = spec_of(cell), 40_021
    inputs = inputs_of(spec, (rows, 1, 3, 9), **FORMS[form])
    with threads(2):
        whole = native.forward(spec, inputs)
        for first in range(0, rows, 7000):
            part = range(first, min(first + 7000, rows))
            assert_same_bits(native.forward(spec, rows_of(inputs, part)), rows_of(whole, part))


@pytest.mark.parametrize("cell", CELLS)
def test_long_runs_in_pieces_on_threads(cell):
    for shape in LONG:
        spec = spec_of(cell)
        inputs = inputs_of(spec, shape, **FORMS["initial state"])
        with threads(2):
            whole = native.forward(spec, inputs)
            assert_same_bits(in_pieces(spec, inputs, (1, 7, 11)), whole)
            alone = native.forward(spec, rows_of(inputs, [-1]))
        assert_same_bits(alone, rows_of(whole, [-1]))


@pytest.mark.parametrize("build", FUSED[1:])
@few
@given(call=calls())
def test_every_build_with_fused_products_gives_the_same(build, call):
    spec, inputs = call
    expected = native.forward(spec, inputs, build=FUSED[0])
    assert_same_bits(native.forward(spec, inputs, build=build), expected)


@pytest.mark.skipif(not FUSED, reason="no build with fused products runs here")
@pytest.mark.parametrize("build", [name for name in BUILDS if name not in FUSED])
def test_the_build_without_fused_products_is_exempt(build):
    # It says so itself, and does round in another way.
    spec = spec_of("LSTM")
    inputs = inputs_of(spec, (3, 4, 50, 50))
    a, b = (native.forward(spec, inputs, build=name)["states_h"] for name in (build, FUSED[0]))
    assert not native.module().fused(build)
    assert (a != b).any()


@pytest.mark.skipif(not FUSED, reason="no build with fused products runs here")
@pytest.mark.parametrize("shape", [(1, 1, 9, 40), (5, 1, 30, 129), (3, 1, 300, 7)])
def test_sums_are_in_the_promised_order(shape):
    spec = spec_of("SimpleRNN", activation="linear")
    inputs = inputs_of(spec, shape, initial=True)
    sums = np.broadcast_to(inputs["bias"], inputs["initial_h"].shape)
    for values, weights in (
        (inputs["x"][:, 0], inputs["kernel"]),
        (inputs["initial_h"], inputs["recurrent_kernel"]),
    ):
        for k, row in enumerate(weights.astype(np.float64)):
            # A product of two float32 is exact in float64, so only the sum is rounded.
            sums = (sums + values[:, k, None] * row).astype(np.float32)
    for build in FUSED:
        found = native.forward(spec, inputs, build=build)
        assert_same_bits({"h": found["last_h"]}, {"h": sums})


# What is asked for


@few
@given(call=calls())
def test_asking_for_more_changes_nothing(call):
    spec, inputs = call
    every = native.forward(spec, inputs)
    for every_step, keep in ((False, False), (True, False), (False, True)):
        less = spec._replace(every_step=every_step, keep=keep)
        found = native.forward(less, inputs)
        assert_same_bits(found, {name: every[name] for name in found})


@few
@given(call=calls())
def test_a_mask_that_skips_nothing_is_none(call):
    spec, inputs = call
    plain = {k: v for k, v in inputs.items() if k not in ("mask", "reset_mask")}
    batch, time, _ = inputs["x"].shape
    counts = np.ones((batch, time), bool)
    masked = {**plain, "mask": counts, "reset_mask": ~counts}
    results = native.forward(spec, plain)
    assert_same_bits(native.forward(spec, masked), results)
    cotangents = cotangents_of(spec, results)
    expected = native.gradient(spec, plain, results, cotangents)
    assert_same_bits(native.gradient(spec, masked, results, cotangents), expected)


@few
@given(call=calls())
def test_backwards_is_forward_over_the_turned_input(call):
    spec, inputs = call
    backwards, forwards = (spec._replace(go_backwards=b) for b in (True, False))
    turned = steps_of(inputs, slice(None, None, -1))
    results = native.forward(backwards, inputs)
    assert_same_bits(results, native.forward(forwards, turned))
    cotangents = cotangents_of(spec, results)
    found = native.gradient(backwards, inputs, results, cotangents)
    expected = native.gradient(forwards, turned, results, cotangents)
    expected["x"] = expected["x"][:, ::-1]
    assert_same_bits(found, expected)


@few
@given(call=calls())
def test_a_run_and_its_gradient_are_the_same_again(call):
    spec, inputs = call
    results = native.forward(spec, inputs)
    assert_same_bits(native.forward(spec, inputs), results)
    cotangents = cotangents_of(spec, results)
    gradients = native.gradient(spec, inputs, results, cotangents)
    # Memory that was used before holds other numbers now.
    native.gradient(spec, {**inputs, "x": inputs["x"] + 1}, results, cotangents)
    assert_same_bits(native.gradient(spec, inputs, results, cotangents), gradients)


# The cell that keeps its weights


@pytest.mark.parametrize("build", BUILDS)
@few
@given(call=calls())
def test_a_packed_cell_and_a_stepper_give_the_bits_of_a_run(build, call):
    spec, inputs = call
    weights = {k: v for k, v in inputs.items() if k in WEIGHTS}
    rest = {k: v for k, v in inputs.items() if k not in WEIGHTS}
    cell = native.module().Cell(*spec.static()[:4], weights, build)
    expected = native.forward(spec, inputs, build=build)
    results = native.empty_results(spec, inputs)
    cell.run(rest, results, spec.go_backwards)
    assert_same_bits(results, expected)

    plain = {k: v for k, v in inputs.items() if k == "x" or k in WEIGHTS}
    plain |= {k: v for k, v in inputs.items() if k.startswith("initial_")}
    expected = native.forward(spec, plain, build=build)
    time = inputs["x"].shape[1]
    zeros = np.zeros(expected["last_h"].shape, np.float32)
    state = {n: inputs.get(f"initial_{n}", zeros).copy() for n in spec.names.states}
    stepper = native.module().Stepper(cell, *state.values())
    for t in range(time):
        stepper.step(inputs["x"][:, time - 1 - t if spec.go_backwards else t])
        assert_same_bits(state, {n: expected[f"states_{n}"][:, t] for n in state})
