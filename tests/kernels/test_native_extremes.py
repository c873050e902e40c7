"""Inputs at the ends of what float32 holds, rows and steps that must not touch others, memory."""

import resource

import numpy as np
import pytest

from kernels import oracle
from kernels.native_cases import (
    BUILDS,
    CELLS,
    FORMS,
    PAIRS,
    WEIGHTS,
    assert_same_bits,
    cotangents_of,
    inputs_of,
    rows_of,
    spec_of,
)
from seqstate.errors import InputError
from seqstate.kernels import native

pytestmark = pytest.mark.skipif(not native.available(), reason=str(native.reason()))

SPECIAL = {"NaN": np.nan, "+Inf": np.inf, "-Inf": -np.inf}


def expected_of(spec, inputs):
    with np.errstate(all="ignore"):
        return oracle.run(spec, inputs)


def assert_same_values(found, expected, atol=5e-7):
    """Compare numbers, and see NaN and the infinities in the same places."""
    assert set(found) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=5e-7, atol=atol, err_msg=name)


# Gates at their ends


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("cell", CELLS)
def test_saturated_gates_have_their_limits_and_no_slope(cell, build):
    spec = spec_of(cell)
    inputs = inputs_of(spec, (5, 4, 1, 18))
    inputs["x"] = np.sign(inputs["x"]) * np.float32(3e4)
    inputs["kernel"] = inputs["kernel"] + np.sign(inputs["kernel"])
    results = native.forward(spec, inputs, build=build)
    assert_same_values(results, expected_of(spec, inputs))
    cotangents = cotangents_of(spec, results)
    found = native.gradient(spec, inputs, results, cotangents, build=build)
    assert_same_values(found, oracle.gradient(spec, inputs, cotangents), atol=1e-6)
    assert not np.abs(found["x"]).max() > 1e-30


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("cell", CELLS)
def test_sums_beyond_float32_saturate(cell, build):
    spec = spec_of(cell)
    inputs = inputs_of(spec, (5, 1, 1, 18), bias=False)
    inputs["kernel"] = np.sign(inputs["kernel"]) * np.float32(3e38)
    inputs["x"] = np.sign(inputs["x"]) * np.float32(1e10)
    assert_same_values(native.forward(spec, inputs, build=build), expected_of(spec, inputs))


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("activation", ["linear", "tanh", "relu"])
def test_denormal_numbers_are_numbers(activation, build):
    spec = spec_of("SimpleRNN", activation=activation)
    # Steps of the smallest float32, 2 ** -149.
    tiny = (np.arange(1, 20) * 2.0**-149).astype(np.float32)
    inputs = {
        "x": tiny.reshape(1, 1, 19),
        "kernel": np.eye(19, dtype=np.float32),
        "recurrent_kernel": np.zeros((19, 19), np.float32),
    }
    found = native.forward(spec, inputs, build=build)["last_h"][0]
    np.testing.assert_allclose(found, tiny, rtol=0, atol=2.0**-149 if activation == "tanh" else 0)


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("cell", CELLS)
def test_denormal_weights_and_inputs(cell, build):
    spec = spec_of(cell)
    inputs = inputs_of(spec, (5, 4, 3, 18), **FORMS["initial state"])
    for name in ("x", "kernel", "initial_h"):
        inputs[name] = (inputs[name] * 1e-39).astype(np.float32)
    results = native.forward(spec, inputs, build=build)
    assert_same_values(results, expected_of(spec, inputs))
    cotangents = cotangents_of(spec, results)
    found = native.gradient(spec, inputs, results, cotangents, build=build)
    assert_same_values(found, oracle.gradient(spec, inputs, cotangents), atol=1e-5)


# Rows


@pytest.mark.parametrize("special", SPECIAL)
@pytest.mark.parametrize("cell", CELLS)
def test_what_is_no_number_stays_in_its_row(cell, special):
    for shape in [(6, 5, 3, 18), (40, 3, 7, 50)]:
        spec = spec_of(cell)
        clean = inputs_of(spec, shape, **FORMS["initial state"])
        for name, place in (("x", (2, 1, 0)), ("initial_h", (2, 3)), ("initial_h", (2, -1))):
            inputs = {**clean, name: clean[name].copy()}
            inputs[name][place] = SPECIAL[special]
            others = [i for i in range(shape[0]) if i != 2]
            for build in BUILDS:
                results = native.forward(spec, inputs, build=build)
                assert_same_values(results, expected_of(spec, inputs), atol=2e-6)
                untouched = native.forward(spec, clean, build=build)
                assert_same_bits(rows_of(results, others), rows_of(untouched, others))
                cotangents = cotangents_of(spec, results)
                found, expected = (
                    native.gradient(spec, given, made, cotangents, ["x", "initial_h"], build=build)
                    for given, made in ((inputs, results), (clean, untouched))
                )
                assert_same_bits(rows_of(found, others), rows_of(expected, others))


@pytest.mark.parametrize("special", SPECIAL)
@pytest.mark.parametrize("cell", CELLS)
def test_the_gradient_is_no_number_where_that_of_the_equations_is_none(cell, special):
    spec = spec_of(cell)
    inputs = inputs_of(spec, (6, 5, 3, 18), **FORMS["initial state"])
    inputs["x"][2, 1, 0] = SPECIAL[special]
    results = native.forward(spec, inputs)
    cotangents = cotangents_of(spec, results)
    found = native.gradient(spec, inputs, results, cotangents)
    with np.errstate(all="ignore"):
        expected = oracle.gradient(spec, inputs, cotangents)
    for name, value in expected.items():
        np.testing.assert_array_equal(np.isnan(found[name]), np.isnan(value), err_msg=name)
    assert np.isnan(found["kernel"]).any()


@pytest.mark.parametrize(("activation", "recurrent"), PAIRS)
def test_no_activation_makes_a_number_of_nan(activation, recurrent):
    for cell in CELLS:
        spec = spec_of(cell, activation=activation, recurrent_activation=recurrent)
        inputs = inputs_of(spec, (3, 3, 2, 18))
        inputs["x"][1, 1, 0] = np.nan
        for build in BUILDS:
            results = native.forward(spec, inputs, build=build)
            assert_same_values(results, expected_of(spec, inputs), atol=2e-6)
            assert np.isnan(results["last_h"][1]).all()


# Steps


@pytest.mark.parametrize("special", SPECIAL)
@pytest.mark.parametrize("form", ["mask", "mask and reset", "one dropout mask"])
@pytest.mark.parametrize("cell", CELLS)
def test_what_stands_in_a_skipped_step_reaches_nothing(cell, form, special):
    # The last shape shares its steps between threads.
    for shape in [(5, 6, 7, 20), (33, 4, 3, 9), (1, 60, 9, 66)]:
        for backwards in (False, True):
            spec = spec_of(cell, go_backwards=backwards)
            clean = inputs_of(spec, shape, **FORMS[form])
            counts = clean["mask"][..., None]
            dirty = {**clean, "x": np.where(counts, clean["x"], np.float32(SPECIAL[special]))}
            results = native.forward(spec, clean)
            assert_same_bits(native.forward(spec, dirty), results)
            cotangents = cotangents_of(spec, results)
            expected = native.gradient(spec, clean, results, cotangents)
            found = native.gradient(spec, dirty, results, cotangents)
            assert_same_bits(found, expected)
            assert not found["x"][~clean["mask"]].any()


@pytest.mark.parametrize("cell", CELLS)
def test_a_row_that_starts_anew_forgets_what_was_no_number(cell):
    spec = spec_of(cell)
    clean = inputs_of(spec, (4, 6, 3, 18), fresh=True, initial=True)
    clean["reset_mask"] = np.zeros((4, 6), bool)
    clean["reset_mask"][2, 3] = True
    dirty = {**clean, "x": clean["x"].copy()}
    dirty["x"][2, 1] = np.nan
    expected, found = native.forward(spec, clean), native.forward(spec, dirty)
    for name in spec.names.states:
        states = found[f"states_{name}"]
        assert np.isnan(states[2, 1:3]).all()
        np.testing.assert_array_equal(states[2, 3:], expected[f"states_{name}"][2, 3:])
        assert not np.isnan(np.delete(states, 2, axis=0)).any()


@pytest.mark.parametrize("cell", CELLS)
def test_a_row_of_skipped_steps_keeps_even_what_is_no_number(cell):
    spec = spec_of(cell)
    inputs = inputs_of(spec, (4, 5, 3, 18), **FORMS["initial state"])
    inputs["mask"] = np.ones((4, 5), bool)
    inputs["mask"][1] = False
    inputs["initial_h"][1, :3] = [np.nan, np.inf, -0.0]
    results = native.forward(spec, inputs)
    for t in range(5):
        row = {"h": results["states_h"][1, t]}
        assert_same_bits(row, {"h": inputs["initial_h"][1]})
    assert not np.isnan(np.delete(results["states_h"], 1, axis=0)).any()
    if "kept" in results:
        assert not results["kept"][:, 1].any()


# Sizes of zero


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((2, 0, 3, 4), "x has no time step"),
        ((2, 3, 0, 4), "no features or no units"),
        ((2, 3, 4, 0), "no features or no units"),
    ],
)
def test_there_is_no_run_without_steps_or_features_or_units(cell, shape, said):
    spec = spec_of(cell)
    batch, time, features, units = shape
    columns = spec.names.blocks * units
    inputs = {
        "x": np.zeros((batch, time, features), np.float32),
        "kernel": np.zeros((features, columns), np.float32),
        "recurrent_kernel": np.zeros((units, columns), np.float32),
    }
    with pytest.raises(InputError, match=said):
        native.forward(spec, inputs)


# Memory


def most_memory():
    """Give the most bytes that this process ever held."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def growth_of(work):
    work()
    before = most_memory()
    work()
    return most_memory() - before


@pytest.mark.parametrize("cell", ["LSTM", "GRU, reset before"])
def test_a_million_steps_leave_no_memory_behind(cell):
    spec = spec_of(cell)
    inputs = inputs_of(spec, (1, 1, 2, 5))
    weights = {k: v for k, v in inputs.items() if k in WEIGHTS}
    packed = native.module().Cell(*spec.static()[:4], weights)
    state = {name: np.zeros((1, 5), np.float32) for name in spec.names.states}
    stepper = native.module().Stepper(packed, *state.values())
    x, step = inputs["x"][:, 0], stepper.step

    def work():
        for _ in range(500_000):
            step(x)

    # Eight bytes a step would be four million.
    assert growth_of(work) < 2_000_000
    assert np.isfinite(state["h"]).all()


def test_runs_and_gradients_and_packed_cells_leave_no_memory_behind():
    spec = spec_of("GRU")
    inputs = inputs_of(spec, (4, 5, 6, 20), **FORMS["mask and reset"])
    weights = {k: v for k, v in inputs.items() if k in WEIGHTS}

    def work():
        for _ in range(1_500):
            results = native.forward(spec, inputs)
            native.gradient(spec, inputs, results, {"last_h": results["last_h"]})
            native.module().Cell(*spec.static()[:4], weights)

    # The weights of one cell are 6 KB.
    assert growth_of(work) < 2_000_000
