"""The native kernels give the numbers of the equations in float64, and their gradients."""

import numpy as np
import pytest

from kernels import oracle
from kernels.native_cases import (
    BUILDS,
    CELLS,
    FORMS,
    PAIRS,
    SHAPES,
    assert_same_bits,
    cotangents_of,
    inputs_of,
    spec_of,
)
from seqstate.kernels import native
from seqstate.kernels.call import DIFFERENTIABLE

pytestmark = pytest.mark.skipif(not native.available(), reason=str(native.reason()))

# Absolute, for data of unit scale; and in parts of the largest entry.
VALUES, GRADIENTS = 5e-7, 1e-6


def limit_of(name, spec, inputs):
    """Give how far a result may be off.

    A float32 sum of n products in the promised order is rounded n times, and errs with the root
    of n. The gates show that whole, and so does SimpleRNN; what is weighed by gates does not.
    """
    terms = len(inputs["kernel"]) + len(inputs["recurrent_kernel"])
    bare = name == "kept" or spec.kind == "SimpleRNN"
    return VALUES * max(1, terms / 32) ** 0.5 if bare else VALUES


def assert_values(spec, inputs, results, expected):
    assert set(results) == set(expected)
    for name, value in expected.items():
        atol = limit_of(name, spec, inputs) * max(1.0, np.abs(value).max())
        np.testing.assert_allclose(results[name], value, rtol=0, atol=atol, err_msg=name)


def largest(gradients):
    return max(np.abs(value).max() for value in gradients.values())


def assert_gradients(found, expected, scale=None):
    assert set(found) == set(expected)
    for name, value in expected.items():
        # Of a short sum all terms may cancel: then the rest of the gradient gives the scale.
        atol = GRADIENTS * (largest({name: value}) if scale is None else scale)
        np.testing.assert_allclose(found[name], value, rtol=0, atol=atol, err_msg=f"by {name}")


def check(spec, inputs, builds=BUILDS):
    expected, slopes = oracle.run(spec, inputs), None
    for build in builds:
        results = native.forward(spec, inputs, build=build)
        assert_values(spec, inputs, results, expected)
        cotangents = cotangents_of(spec, results)
        if slopes is None:
            slopes = oracle.gradient(spec, inputs, cotangents)
        found = native.gradient(spec, inputs, results, cotangents, build=build)
        assert_gradients(found, slopes, scale=largest(slopes))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("cell", CELLS)
def test_every_form_of_call_in_every_shape(cell, form):
    for i, shape in enumerate(SHAPES):
        # One after the other this way and that way round, and the other way in the next form.
        backwards = bool((i + list(FORMS).index(form)) % 2)
        spec = spec_of(cell, go_backwards=backwards)
        check(spec, inputs_of(spec, shape, seed=i, **FORMS[form]))


@pytest.mark.parametrize(("activation", "recurrent"), PAIRS)
def test_every_pair_of_activations(activation, recurrent):
    for cell in CELLS:
        spec = spec_of(cell, activation=activation, recurrent_activation=recurrent)
        inputs = inputs_of(spec, (4, 3, 5, 19), **FORMS["mask and reset"])
        if recurrent == "hard_sigmoid":
            inputs["bias"] *= 12  # on both sides of its corners
        check(spec, inputs)


@pytest.mark.parametrize("cell", CELLS)
def test_a_long_run_of_the_usual_size(cell):
    spec = spec_of(cell)
    inputs = inputs_of(spec, (32, 100, 64, 128))
    results = native.forward(spec, inputs)
    assert_values(spec, inputs, results, oracle.run(spec, inputs))
    cotangents = cotangents_of(spec, results)
    found = native.gradient(spec, inputs, results, cotangents)
    assert_gradients(found, oracle.gradient(spec, inputs, cotangents))


# Strides


def strange(array):
    """Give the same array in memory that is not dense: transposed, backwards, with holes."""
    transposed = np.asfortranarray(array)
    backwards = np.ascontiguousarray(array[..., ::-1])[..., ::-1]
    holes = np.full((*array.shape[:-1], 2 * array.shape[-1]), 1, array.dtype)[..., ::2]
    holes[...] = array
    upside_down = np.ascontiguousarray(array[::-1])[::-1]
    return [transposed, backwards, holes, upside_down]


@pytest.mark.parametrize("form", ["initial state", "mask and reset", "dropout of the input"])
@pytest.mark.parametrize("cell", CELLS)
def test_what_is_read_may_lie_anywhere(cell, form):
    for shape in [(4, 5, 6, 21), (1, 9, 5, 64)]:
        spec = spec_of(cell, go_backwards=form == "initial state")
        inputs = inputs_of(spec, shape, **FORMS[form])
        results = native.forward(spec, inputs)
        cotangents = cotangents_of(spec, results)
        gradients = native.gradient(spec, inputs, results, cotangents)
        for way in range(4):
            moved = {k: v if k in native.DENSE else strange(v)[way] for k, v in inputs.items()}
            pulled = {k: strange(v)[way] for k, v in cotangents.items()}
            assert_same_bits(native.forward(spec, moved), results)
            assert_same_bits(native.gradient(spec, moved, results, pulled), gradients)


@pytest.mark.parametrize("cell", CELLS)
def test_what_is_read_may_be_one_number_or_row_seen_many_times(cell):
    spec = spec_of(cell)
    inputs = inputs_of(spec, (6, 5, 4, 21), **FORMS["mask and reset"])
    whole = {k for k in inputs if k not in native.DENSE}
    few = {k: v[:1] if v.ndim == 2 else v[:, :1, :1] for k, v in inputs.items() if k in whole}
    spread = {k: np.broadcast_to(few[k], v.shape) if k in few else v for k, v in inputs.items()}
    copied = {k: v.copy() for k, v in spread.items()}
    results = native.forward(spec, copied)
    assert_same_bits(native.forward(spec, spread), results)
    cotangents = {
        k: np.broadcast_to(np.float32(0.5), v.shape) for k, v in results.items() if k != "kept"
    }
    dense = {k: v.copy() for k, v in cotangents.items()}
    expected = native.gradient(spec, copied, results, dense)
    assert_same_bits(native.gradient(spec, spread, results, cotangents), expected)


# Parts of a call


@pytest.mark.parametrize("cell", CELLS)
def test_the_gradients_that_are_wanted_do_not_depend_on_the_others(cell):
    spec = spec_of(cell)
    for shape in [(5, 6, 7, 20), (1, 9, 5, 64)]:
        inputs = inputs_of(spec, shape, **FORMS["mask and reset"])
        results = native.forward(spec, inputs)
        cotangents = cotangents_of(spec, results)
        every = native.gradient(spec, inputs, results, cotangents)
        names = [name for name in DIFFERENTIABLE if name in inputs]
        assert set(every) == set(names)
        alone = [[name] for name in names]
        for wanted in [[], *alone, names[1:], ["x", names[-1]]]:
            found = native.gradient(spec, inputs, results, cotangents, wanted)
            assert_same_bits(found, {name: every[name] for name in wanted})


@pytest.mark.parametrize("cell", CELLS)
def test_each_cotangent_alone_and_none(cell):
    spec = spec_of(cell)
    inputs = inputs_of(spec, (5, 6, 7, 20), **FORMS["mask and reset"])
    results = native.forward(spec, inputs)
    for name, cotangent in cotangents_of(spec, results).items():
        alone = {name: cotangent}
        found = native.gradient(spec, inputs, results, alone)
        slopes = oracle.gradient(spec, inputs, alone)
        assert_gradients(found, slopes, scale=largest(slopes))
    for name, value in native.gradient(spec, inputs, results, {}).items():
        assert not value.any(), name


@pytest.mark.parametrize("cell", CELLS)
def test_steps_that_do_not_count_leave_no_trace(cell):
    spec = spec_of(cell)
    inputs = inputs_of(spec, (3, 5, 4, 18), **FORMS["initial state"])
    inputs["mask"] = np.zeros((3, 5), bool)
    results = native.forward(spec, inputs)
    cotangents = cotangents_of(spec, results)
    found = native.gradient(spec, inputs, results, cotangents)
    for name in spec.names.states:
        np.testing.assert_array_equal(results[f"last_{name}"], inputs[f"initial_{name}"])
        for t in range(5):
            np.testing.assert_array_equal(
                results[f"states_{name}"][:, t], inputs[f"initial_{name}"]
            )
        through = cotangents[f"last_{name}"] + cotangents[f"states_{name}"].sum(axis=1)
        np.testing.assert_allclose(found[f"initial_{name}"], through, rtol=0, atol=1e-6)
    if "kept" in results:
        assert not results["kept"].any()
    for name in ("x", "kernel", "recurrent_kernel", "bias"):
        assert not found[name].any()


@pytest.mark.parametrize("cell", CELLS)
def test_rows_of_length_zero_among_others(cell):
    for backwards in (False, True):
        spec = spec_of(cell, go_backwards=backwards)
        inputs = inputs_of(spec, (6, 5, 4, 18), **FORMS["initial state"])
        inputs["mask"] = np.arange(5) < np.array([0, 5, 3, 0, 1, 0])[:, None]
        check(spec, inputs)


@pytest.mark.parametrize("cell", CELLS)
def test_the_last_state_alone(cell):
    for shape in [(5, 6, 7, 20), (1, 9, 5, 64), (40, 3, 4, 50)]:
        spec = spec_of(cell, every_step=False, keep=False)
        inputs = inputs_of(spec, shape, **FORMS["mask and reset"])
        results = native.forward(spec, inputs)
        assert set(results) == {f"last_{name}" for name in spec.names.states}
        assert_values(spec, inputs, results, oracle.run(spec, inputs))


# Without the oracle


@pytest.mark.parametrize("form", ["plain", "mask and reset", "a dropout mask a block"])
@pytest.mark.parametrize("cell", CELLS)
def test_the_gradient_is_the_slope_of_the_run_itself(cell, form):
    spec = spec_of(cell)
    inputs = inputs_of(spec, (4, 5, 6, 18), **FORMS[form])
    results = native.forward(spec, inputs)
    cotangents = cotangents_of(spec, results)
    found = native.gradient(spec, inputs, results, cotangents)
    rng = np.random.default_rng(2)

    def weighed(given):
        values = native.forward(spec, given)
        return sum(np.sum(values[k] * c, dtype=np.float64) for k, c in cotangents.items())

    for name, slope in found.items():
        # Along a direction of which the gradient has a good share: float32 leaves few digits.
        direction = rng.normal(size=slope.shape) + np.sqrt(slope.size) * slope / np.linalg.norm(
            slope
        )
        step = 2.0**-6 / np.abs(direction).max()

        def at(far, name=name, direction=direction):
            return weighed({**inputs, name: (inputs[name] + far * direction).astype(np.float32)})

        # The error of the first difference falls with the fourth power of the step.
        near, far = at(step) - at(-step), at(2 * step) - at(-2 * step)
        measured = (8 * near - far) / (12 * step)
        expected = np.sum(slope * direction, dtype=np.float64)
        assert measured == pytest.approx(expected, rel=1e-3), name
