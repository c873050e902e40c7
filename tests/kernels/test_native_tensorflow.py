import types
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest

import calls
import plain_loop
from cases import TOLERANCE
from seqstate.errors import ArgumentError, InputError
from seqstate.kernels.call import DIFFERENTIABLE

if keras.backend.backend() != "tensorflow":
    pytest.skip("runs with the backend TensorFlow", allow_module_level=True)
tf = pytest.importorskip("tensorflow")
pytest.importorskip("seqstate._native")

from seqstate import _native  # noqa: E402
from seqstate.kernels import tensorflow_native as native  # noqa: E402

F = types.SimpleNamespace(
    tanh=tf.tanh,
    sigmoid=tf.sigmoid,
    relu=tf.nn.relu,
    clip=tf.clip_by_value,
    where=tf.where,
    stack=tf.stack,
)


def tensors(inputs, dtype=tf.float32):
    return {
        name: tf.constant(value) if value.dtype == bool else tf.constant(value, dtype)
        for name, value in inputs.items()
    }


def plain(spec, given):
    results = plain_loop.run(F, spec, given)
    return {name: results[name] for name in spec.results()}


def run_and_differentiate(run, spec, given, cotangents):
    """Give the results, and by name the gradients of their product with the cotangents."""
    names = [name for name in DIFFERENTIABLE if name in given]
    with tf.GradientTape() as tape:
        tape.watch([given[name] for name in names])
        results = run(spec, given)
        loss = tf.add_n(
            [
                tf.reduce_sum(results[n] * tf.cast(v, results[n].dtype))
                for n, v in cotangents.items()
            ]
        )
    found = tape.gradient(loss, [given[name] for name in names], unconnected_gradients="zero")
    return results, dict(zip(names, found, strict=True))


def assert_close(found, expected):
    assert list(found) == list(expected)
    for name, value in expected.items():
        scale = max(1.0, np.abs(value).max())
        difference = np.abs(found[name].numpy().astype("float64") - value.numpy()).max()
        assert difference <= TOLERANCE["float32"] * scale, name


def assert_same_bits(found, expected):
    assert list(found) == list(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


@pytest.fixture
def everything():
    spec, inputs = calls.one("LSTM", "everything")
    return spec, tensors(inputs), calls.cotangents(spec, inputs)


@pytest.fixture
def asked(monkeypatch):
    """Give what the kernels were asked for: a list of the names in each call."""
    made = []
    for function, argument in (("forward", 6), ("gradient", 7)):
        true = getattr(_native, function)

        def spy(*arguments, true=true, function=function, argument=argument):
            made.append((function, list(arguments[argument])))
            true(*arguments)

        monkeypatch.setattr(_native, function, spy)
    return made


@pytest.mark.parametrize(("spec", "inputs"), calls.calls(), ids=calls.ids())
def test_values_and_gradients_are_those_of_a_plain_loop_in_float64(spec, inputs):
    cotangents = calls.cotangents(spec, inputs)
    results, found = run_and_differentiate(native.run, spec, tensors(inputs), cotangents)
    exact = tensors(inputs, tf.float64)
    truth, expected = run_and_differentiate(plain, spec, exact, cotangents)
    assert_close(results, truth)
    assert_close(found, expected)


@pytest.mark.parametrize("cell", calls.SPECS)
def test_each_result_passes_its_own_cotangent_on(cell):
    spec, inputs = calls.one(cell, "everything, backwards")
    given, exact = tensors(inputs), tensors(inputs, tf.float64)
    for name, cotangent in calls.cotangents(spec, inputs).items():
        alone = {name: cotangent}
        _, found = run_and_differentiate(native.run, spec, given, alone)
        _, expected = run_and_differentiate(plain, spec, exact, alone)
        assert_close(found, expected)


def graph(function, signature=None):
    return tf.function(function, input_signature=signature, jit_compile=False, autograph=False)


@pytest.mark.parametrize("cell", calls.SPECS)
def test_a_graph_of_unknown_sizes_gives_the_same_bits(cell):
    spec, inputs = calls.one(cell, "everything")
    given, cotangents = tensors(inputs), calls.cotangents(spec, inputs)

    def loose(name, size):
        known = {"x": (2,), "kernel": (0, 1), "recurrent_kernel": (0, 1)}.get(name, ())
        return [n if axis in known else None for axis, n in enumerate(size)]

    signature = {
        name: tf.TensorSpec(loose(name, value.shape), value.dtype) for name, value in given.items()
    }
    known = {}

    def work(given):
        results, found = run_and_differentiate(native.run, spec, given, cotangents)
        known.update({name: value.shape.as_list() for name, value in results.items()})
        return results, found

    results, found = graph(work, [signature])(given)
    expected, by = run_and_differentiate(native.run, spec, given, cotangents)
    assert_same_bits(results, {name: expected[name] for name in results})
    assert_same_bits(found, {name: by[name] for name in found})
    assert known["last_h"] == [None, calls.UNITS]
    assert known["states_h"] == [None, None, calls.UNITS]


def test_nothing_is_kept_where_no_tape_watches(everything, asked):
    spec, given, _ = everything
    spec = spec._replace(every_step=False, keep=False)
    alone = native.run(spec, given)
    compiled = graph(lambda given: native.run(spec, given))(given)
    assert asked == [("forward", ["last_h", "last_c"])] * 2
    with tf.GradientTape():
        watched = native.run(spec, given)
    assert asked[-1] == ("forward", ["last_h", "last_c", "states_h", "states_c", "kept"])
    assert_same_bits(alone, watched)
    assert_same_bits(compiled, watched)


@pytest.mark.parametrize("how", [lambda f: f, graph], ids=["eager", "graph"])
@pytest.mark.parametrize("cell", ["SimpleRNN", "GRU"])
def test_a_run_may_have_a_single_result(cell, how):
    spec, inputs = calls.one(cell, "everything")
    given = tensors(inputs)
    expected = native.run(spec, given)["last_h"]
    alone = how(lambda given: native.run(spec._replace(every_step=False, keep=False), given))
    assert_same_bits(alone(given), {"last_h": expected})


def test_a_tape_around_a_graph_gets_the_same_gradients(everything):
    spec, given, cotangents = everything
    inner = graph(lambda given: native.run(spec, given))
    inner(given)  # traced where no tape watches
    _, expected = run_and_differentiate(native.run, spec, given, cotangents)
    _, found = run_and_differentiate(lambda _, given: inner(given), spec, given, cotangents)
    assert_same_bits(found, expected)


def test_results_that_are_not_used_bring_no_cotangents(everything, asked):
    spec, given, cotangents = everything
    used = {"states_h": cotangents["states_h"]}
    _, expected = run_and_differentiate(native.run, spec, given, used)
    _, found = graph(lambda given: run_and_differentiate(native.run, spec, given, used))(given)
    assert asked[-1] == ("gradient", ["states_h"])
    assert_same_bits({name: found[name] for name in expected}, expected)


@pytest.mark.parametrize("how", [lambda f: f, graph], ids=["eager", "graph"])
def test_the_gradient_by_x_is_computed_only_where_it_is_used(everything, monkeypatch, how):
    spec, given, cotangents = everything
    made = []

    def spy(*arguments):
        made.append("x" in arguments[8])
        true(*arguments)

    true = _native.gradient
    monkeypatch.setattr(_native, "gradient", spy)

    def by_kernel(given):
        with tf.GradientTape() as tape:
            tape.watch(given["kernel"])
            last = tf.reduce_sum(native.run(spec, given)["last_h"])
        return tape.gradient(last, given["kernel"])

    how(by_kernel)(given)
    assert made == [False]
    how(lambda given: run_and_differentiate(native.run, spec, given, cotangents)[1])(given)
    assert made == [False, True]


def test_a_tape_around_a_training_step_gets_the_gradient_by_x(everything):
    spec, given, cotangents = everything

    @graph
    def step(given):
        with tf.GradientTape() as tape:
            tape.watch(given["kernel"])
            results = native.run(spec, given)
            last = tf.reduce_sum(results["last_h"])
        return results, tape.gradient(last, given["kernel"])

    _, expected = run_and_differentiate(native.run, spec, given, cotangents)
    _, found = run_and_differentiate(lambda _, given: step(given)[0], spec, given, cotangents)
    assert_same_bits(found, expected)


@pytest.mark.parametrize(
    ("how", "error"),
    [(lambda f: f, ArgumentError), (graph, tf.errors.InvalidArgumentError)],
    ids=["eager", "graph"],
)
def test_a_second_gradient_is_refused(everything, how, error):
    spec, given, _ = everything

    def work(given):
        with tf.GradientTape() as second:
            second.watch(given["kernel"])
            with tf.GradientTape() as first:
                first.watch(given["kernel"])
                last = tf.reduce_sum(native.run(spec, given)["last_h"])
            by_kernel = first.gradient(last, given["kernel"])
        return second.gradient(by_kernel, given["kernel"])

    with pytest.raises(error, match="no gradient of their gradient"):
        how(work)(given)


def test_a_wrong_dtype_or_shape_is_an_error(everything):
    spec, given, _ = everything
    with pytest.raises(InputError, match="x has dtype float64"):
        native.run(spec, {**given, "x": tf.cast(given["x"], tf.float64)})
    short = {**given, "initial_h": given["initial_h"][:, 1:]}
    with pytest.raises(tf.errors.InvalidArgumentError, match="initial_h"):
        graph(lambda given: native.run(spec, given))(short)


def test_variables_get_gradients(everything):
    spec, given, _ = everything
    kernel = tf.Variable(given["kernel"])
    with tf.GradientTape() as tape:
        last = tf.reduce_sum(native.run(spec, {**given, "kernel": kernel})["last_h"])
    ones = {"last_h": np.ones((calls.BATCH, calls.UNITS), "float32")}
    _, expected = run_and_differentiate(native.run, spec, given, ones)
    np.testing.assert_array_equal(tape.gradient(last, kernel), expected["kernel"])


def test_threads_at_once_give_the_same_bits(everything):
    spec, given, cotangents = everything
    expected, by = run_and_differentiate(native.run, spec, given, cotangents)
    work = graph(lambda given: run_and_differentiate(native.run, spec, given, cotangents))
    work(given)

    def often(_):
        for _ in range(10):
            results, found = work(given)
            assert_same_bits({name: results[name] for name in expected}, expected)
            assert_same_bits({name: found[name] for name in by}, by)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(often, range(4)))
