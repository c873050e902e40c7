"""Dense layers and elementwise functions: the values, and the same bits however they are asked."""

import gc
import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import as_strided

from kernels.native_cases import BUILDS, FUSED, threads
from seqstate.errors import ArgumentError, InputError
from seqstate.kernels import dense as subject
from seqstate.kernels import native
from seqstate.kernels.call import ACTIVATIONS
from seqstate.kernels.dense import FUNCTIONS, Dense, activate, finite

few = settings(max_examples=40, deadline=None)
needs_native = pytest.mark.skipif(not native.available(), reason=str(native.reason()))

# Rows, features and units: one of each, tails of a vector, more rows than a tile or a block has,
# panels of every width, a panel that is cut, more features than a panel keeps at hand.
SHAPES = [
    (1, 1, 1), (1, 16, 1), (2, 3, 7), (5, 7, 33), (1, 9, 300), (7, 40, 50), (13, 5, 17),
    (50, 3, 100), (100, 64, 64), (3, 2000, 9), (60, 700, 130),
]  # fmt: skip

ORACLE = {
    "linear": lambda x: x,
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "relu": lambda x: np.maximum(x, 0),
    "hard_sigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "exp": np.exp,
}


def numbers(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).uniform(-1, 1, shape).astype(np.float32)


def weights(features, units):
    return numbers(features, units, seed=1), numbers(units, seed=2)


def same(a, b):
    np.testing.assert_array_equal(
        np.ascontiguousarray(a).view(np.int32), np.ascontiguousarray(b).view(np.int32)
    )


@pytest.fixture(params=["native", "portable"])
def path(request, monkeypatch):
    """Either path; the layers that a test makes take it."""
    if request.param == "portable":
        monkeypatch.setattr(native, "usable", lambda: False)
    elif not native.available():
        pytest.skip(str(native.reason()))


def in_order(x, kernel, bias):
    """Sum in the promised order, each product and sum rounded once."""
    sums = np.broadcast_to(bias, (len(x), len(bias)))
    for k, row in enumerate(kernel.astype(np.float64)):
        # A product of two float32 is exact in float64.
        sums = (sums + x[:, k, None] * row).astype(np.float32)
    return sums


# The values


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.usefixtures("path")
def test_the_values_are_those_of_float64(shape, activation):
    rows, features, units = shape
    kernel, bias = weights(features, units)
    x = numbers(rows, features)
    sums = x.astype(np.float64) @ kernel.astype(np.float64) + bias
    found = Dense(kernel, bias, activation)(x)
    assert found.dtype == np.float32
    # What the roundings of a sum can amount to; no activation has a slope above 1.
    size = np.abs(x).astype(np.float64) @ np.abs(kernel) + np.abs(bias)
    bound = (features + 2) * 2**-24 * size + 3e-7
    assert (np.abs(found - ORACLE[activation](sums)) <= bound).all()


@pytest.mark.usefixtures("path")
def test_without_a_bias_it_starts_from_zero():
    kernel = numbers(5, 9)
    x = numbers(4, 5)
    same(Dense(kernel)(x), Dense(kernel, np.zeros(9, "f"))(x))


@needs_native
@pytest.mark.parametrize("build", FUSED)
@pytest.mark.parametrize("shape", SHAPES)
def test_sums_are_in_the_promised_order(shape, build):
    rows, features, units = shape
    kernel, bias = weights(features, units)
    x = numbers(rows, features)
    found = native.module().Dense(kernel, bias, "linear", build)(x)
    same(found, in_order(x, kernel, bias))


@pytest.mark.skipif("baseline" not in BUILDS, reason="there is no build without fused products")
def test_the_portable_sums_are_those_of_the_build_without_fused_products(monkeypatch):
    kernel, bias = weights(30, 21)
    x = numbers(11, 30)
    expected = native.module().Dense(kernel, bias, "linear", "baseline")(x)
    monkeypatch.setattr(native, "usable", lambda: False)
    same(Dense(kernel, bias)(x), expected)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.usefixtures("path")
def test_functions_are_those_of_float64(function):
    x = np.concatenate([np.linspace(-30, 30, 4001), np.geomspace(1e-30, 1, 999)]).astype("f")
    expected = ORACLE[function](x.astype(np.float64))
    np.testing.assert_allclose(activate(function, x), expected, rtol=3e-7, atol=1.5e-7)


@needs_native
@pytest.mark.parametrize("build", BUILDS)
def test_exp_to_the_ends_of_float32(build):
    x = np.concatenate([np.linspace(-86.99, 88.72, 20011), [0, 88, 88.0001]]).astype("f")
    found = np.empty_like(x)
    native.module().activate("exp", x, found, build)
    np.testing.assert_allclose(found, np.exp(x.astype(np.float64)), rtol=2e-7)
    ends = np.float32([-np.inf, -1e30, -87.5, 88.73, 1e30, np.inf, np.nan])
    found = np.empty_like(ends)
    native.module().activate("exp", ends, found, build)
    np.testing.assert_array_equal(found, [0, 0, 0, np.inf, np.inf, np.inf, np.nan])


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.usefixtures("path")
def test_nan_stays_nan(function):
    assert np.isnan(activate(function, np.full(37, np.nan, "f"))).all()


# The same bits


@few
@given(data=st.data())
def test_a_row_alone_is_a_row_in_any_batch_with_any_strides(data):
    rows, features, units = (data.draw(st.integers(1, most)) for most in (70, 40, 90))
    kernel, bias = weights(features, units)
    dense = Dense(kernel, bias, data.draw(st.sampled_from(ACTIVATIONS)))
    x = numbers(rows, features)
    whole = dense(x)
    row = data.draw(st.integers(0, rows - 1))
    same(dense(x[row : row + 1]), whole[row : row + 1])
    same(dense(x[row:]), whole[row:])
    same(dense(np.asfortranarray(x)), whole)
    same(dense(x[::-1]), whole[::-1])
    same(dense(np.repeat(x, 2, axis=1)[:, ::2]), whole)
    same(dense(np.broadcast_to(x[row], x.shape))[0], whole[row])
    room = np.full((rows, units + 5), 7, np.float32)
    assert dense(x, room[:, 2:-3]).base is room
    same(room[:, 2:-3], whole)
    assert (room[:, :2] == 7).all()
    assert (room[:, -3:] == 7).all()


@pytest.mark.usefixtures("path")
def test_a_row_alone_is_a_row_on_either_path():
    kernel, bias = weights(19, 23)
    dense = Dense(kernel, bias, "tanh")
    x = numbers(41, 19)
    whole = dense(x)
    for first in range(41):
        same(dense(x[first : first + 1]), whole[first : first + 1])


@needs_native
@pytest.mark.parametrize("shape", [(1024, 64, 64), (701, 90, 70), (1, 1500, 1100), (3, 900, 700)])
def test_any_number_of_threads(shape):
    rows, features, units = shape
    kernel, bias = weights(features, units)
    dense, x = Dense(kernel, bias, "sigmoid"), numbers(rows, features)
    with threads(1):
        expected = dense(x)
    for count in (2, 3, 8):
        with threads(count):
            same(dense(x), expected)


@needs_native
@pytest.mark.parametrize("build", FUSED[1:])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_build_with_fused_products_gives_the_same(build, activation):
    for rows, features, units in SHAPES:
        kernel, bias = weights(features, units)
        x = numbers(rows, features)
        a, b = (native.module().Dense(kernel, bias, activation, of) for of in (FUSED[0], build))
        same(b(x), a(x))


@needs_native
@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_gives_the_same_in_every_build(function):
    x = 8 * numbers(3001)
    found = [np.empty_like(x) for _ in FUSED]
    for build, out in zip(FUSED, found, strict=True):
        native.module().activate(function, x, out, build)
        same(out, found[0])


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.usefixtures("path")
def test_a_function_gives_the_same_at_any_place(function):
    x = 5 * numbers(6, 7, 11)
    expected = activate(function, x)
    for i, value in enumerate(x.reshape(-1)[:90]):
        same(activate(function, np.float32([value])), expected.reshape(-1)[i : i + 1])
    for count in range(1, 70):
        part = x.reshape(-1)[3 : 3 + count]  # not aligned to a vector
        same(activate(function, part), expected.reshape(-1)[3 : 3 + count])
    same(activate(function, np.asfortranarray(x)), expected)
    same(activate(function, x.transpose(2, 0, 1)), expected.transpose(2, 0, 1))
    same(activate(function, x[::-2, :, ::3]), expected[::-2, :, ::3])
    same(activate(function, x.reshape(1, 2, 3, 7, 11)), expected.reshape(1, 2, 3, 7, 11))
    same(activate(function, x[0, 0, 0]), expected[0, 0, 0])
    out = np.empty((11, 7, 6), np.float32).T
    assert activate(function, x, out) is out
    same(out, expected)
    shifted = np.zeros(len(x.reshape(-1)) + 1, np.float32)
    shifted[1:] = x.reshape(-1)
    activate(function, shifted[1:], shifted[:-1])
    same(shifted[:-1], expected.reshape(-1))
    assert activate(function, x, x) is x
    same(x, expected)


@pytest.mark.usefixtures("path")
def test_a_prepared_call_does_what_the_layer_does_on_what_is_there():
    kernel, bias = weights(6, 10)
    dense = Dense(kernel, bias, "relu")
    x, out = np.zeros((2, 6), "f"), np.empty((2, 10), "f")
    run = dense.prepare(x, out)
    for seed in range(3):
        x[...] = numbers(2, 6, seed=seed)
        assert run() is None
        same(out, dense(x))


@needs_native
def test_a_prepared_call_keeps_its_layer_and_its_arrays():
    kernel, bias = weights(6, 10)
    dense, out = Dense(kernel, bias), np.zeros((3, 10), "f")
    expected = dense(numbers(3, 6))
    run = dense.prepare(numbers(3, 6), out)
    before = sys.getrefcount(out)
    del dense
    gc.collect()
    run()
    same(out, expected)
    del run
    gc.collect()
    assert sys.getrefcount(out) == before - 1


@pytest.mark.usefixtures("path")
def test_the_weights_are_its_own():
    kernel, bias = weights(6, 10)
    x = numbers(3, 6)
    dense = Dense(kernel, bias)
    expected = dense(x)
    kernel[...] = bias[...] = np.nan
    same(dense(x), expected)
    assert (dense.features, dense.units) == (6, 10)


@pytest.mark.usefixtures("path")
def test_no_rows_are_no_work():
    dense = Dense(*weights(6, 10))
    assert dense(np.empty((0, 6), "f")).shape == (0, 10)
    assert activate("tanh", np.empty((0, 3), "f")).shape == (0, 3)


@needs_native
def test_several_threads_at_once_get_the_numbers_of_one():
    dense, x = Dense(*weights(128, 130), "tanh"), numbers(600, 128)
    expected, found = dense(x), []

    def work():
        found.extend(dense(x) for _ in range(10))

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(found) == 30
    for each in found:
        same(each, expected)


# What is refused

BAD_WEIGHTS = {
    "kernel has dtype float64": (np.ones((2, 3)), None),
    "kernel has shape": (np.ones(3, "f"), None),
    "bias has shape": (np.ones((2, 3), "f"), np.ones(2, "f")),
    "bias has dtype int64": (np.ones((2, 3), "f"), np.ones(3, "int64")),
    "no features or no units": (np.ones((0, 3), "f"), None),
}


@pytest.mark.parametrize("said", BAD_WEIGHTS)
@pytest.mark.usefixtures("path")
def test_bad_weights_are_refused(said):
    with pytest.raises(InputError, match=said):
        Dense(*BAD_WEIGHTS[said])


X, OUT = np.ones((4, 2), "f"), np.empty((4, 3), "f")
SHARED = np.empty((4, 5), "f")
BAD_CALLS = {
    "x has dtype float64": (np.ones((4, 2)), None),
    r"x has shape \(4, 3\)": (np.ones((4, 3), "f"), None),
    r"x has shape \(2,\)": (np.ones(2, "f"), None),
    r"out has shape \(3, 3\)": (X, OUT[:3]),
    r"out has shape \(4, 2\)": (X, OUT[:, :2]),
    "out has dtype float64": (X, np.empty((4, 3))),
    "out shares memory with x": (SHARED[:, :2], SHARED[:, 1:4]),
}


@pytest.mark.parametrize("said", BAD_CALLS)
@pytest.mark.usefixtures("path")
def test_a_bad_call_is_refused(said):
    dense = Dense(np.ones((2, 3), "f"))
    x, out = BAD_CALLS[said]
    with pytest.raises(InputError, match=said):
        dense(x, out)
    if out is not None:
        with pytest.raises(InputError, match=said):
            dense.prepare(x, out)


@needs_native
def test_what_can_not_be_written_is_refused():
    dense, frozen = Dense(np.ones((2, 3), "f")), np.empty((4, 3), "f")
    frozen.flags.writeable = False
    with pytest.raises(InputError, match="out is read-only"):
        dense(X, frozen)
    with pytest.raises(InputError, match="out can't take results"):
        dense(X, np.empty((3, 4), "f").T)
    with pytest.raises(InputError, match="out can't take results"):
        dense(X, as_strided(np.empty(3, "f"), (4, 3), (0, 4)))


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
@pytest.mark.usefixtures("path")
def test_one_number_that_is_not_finite_is_found_anywhere(odd):
    largest = np.finfo("f").max
    x = np.tile(np.float32([largest, -largest, 0, 1e-45]), (3, 2500))
    for array in (x, x[:, ::3], x[0, ::-2], x.reshape(3, 5, -1, 4).swapaxes(1, 3), x[:0]):
        assert finite(array)
    for at in ((0, 0), (1, 4999), (2, 9999)):
        x[at] = odd
        assert not finite(x)
        assert not finite(x[at[0]])
        assert not finite(x[:, ::-1])
        x[at] = 0
    with pytest.raises(InputError, match="float64"):
        finite(x.astype("d"))


@pytest.mark.usefixtures("path")
def test_a_function_that_is_not_known_is_refused():
    with pytest.raises(ArgumentError, match=r"gelu.*is not known to the"):
        Dense(np.ones((2, 3), "f"), None, "gelu")
    with pytest.raises(ArgumentError, match=r"gelu.*is not known to the"):
        activate("gelu", X)
    with pytest.raises(InputError, match="x has dtype float64"):
        activate("tanh", np.ones(3))
    with pytest.raises(InputError, match="out has dtype float64"):
        activate("tanh", X, np.ones((4, 2)))
    with pytest.raises(InputError, match=r"out has shape \(4, 3\)"):
        activate("tanh", X, OUT)


@needs_native
def test_the_module_itself_refuses_what_is_not_one_block():
    module = native.module()
    with pytest.raises(InputError, match="x is not contiguous"):
        module.activate("tanh", OUT[:, :2], np.empty((4, 2), "f"))
    with pytest.raises(InputError, match="out is a part of the memory of x"):
        module.activate("tanh", SHARED.reshape(-1)[1:], SHARED.reshape(-1)[:-1])
    with pytest.raises(InputError, match=r"out has shape \(4, 3\); expected that of x"):
        module.activate("tanh", X, OUT)
    with pytest.raises(ArgumentError, match='"abacus" is not a build'):
        module.Dense(OUT, None, "linear", "abacus")


def test_the_module_knows_these_functions():
    assert subject.FUNCTIONS[:-1] == ACTIVATIONS
