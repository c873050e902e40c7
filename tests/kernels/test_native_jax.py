"""The native kernels within JAX: values, gradients, and what is refused."""

import threading

import numpy as np
import pytest

from seqstate.errors import InputError

jax = pytest.importorskip("jax")
native = pytest.importorskip("seqstate._native")
if not hasattr(native, "xla_targets"):
    pytest.skip("built without the headers of XLA", allow_module_level=True)

import jax.numpy as jnp  # noqa: E402

import native_jax as t  # noqa: E402
from seqstate.kernels import jax as kernels  # noqa: E402
from seqstate.kernels import jax_call  # noqa: E402

both = pytest.mark.parametrize("kind", t.KINDS)


@pytest.fixture
def targets(monkeypatch):
    """Give the list of the calls that are traced from here on."""
    seen = []
    mapped = jax_call.mapped
    jax.clear_caches()
    monkeypatch.setattr(jax_call, "mapped", lambda target: seen.append(target) or mapped(target))
    yield seen
    jax.clear_caches()


# Numbers


@both
@pytest.mark.parametrize("case", t.CASES)
def test_values_are_those_of_a_plain_loop(kind, case):
    made, what = t.CASES[case]
    spec = t.spec_of(kind, keep=True, **made)
    inputs = t.arrays(spec, *what)
    t.near(kernels.run(spec, inputs), t.exact(t.plain, spec, inputs), 1e-6)


@both
@pytest.mark.parametrize("case", t.CASES)
def test_gradients_are_those_of_a_plain_loop(kind, case):
    made, what = t.CASES[case]
    spec = t.spec_of(kind, keep=True, **made)
    inputs = t.arrays(spec, *what)
    expected = t.exact_gradients(spec, inputs)
    t.near(t.gradients(spec, inputs), expected, 2e-6)


@both
def test_each_result_has_a_cotangent_of_its_own(kind):
    spec = t.spec_of(kind, keep=True)
    inputs = t.arrays(spec, "mask", "reset_mask", "fresh", "initial")
    for name in spec.results():
        expected = t.exact_gradients(spec, inputs, only=name)
        t.near(t.gradients(spec, inputs, only=name), expected, 2e-6)


@both
def test_a_larger_run_on_several_threads(kind):
    spec = t.spec_of(kind, keep=True)
    inputs = t.arrays(spec, "mask", "initial", batch=33, time=9, features=17, units=50)
    inputs["kernel"] /= 3
    inputs["recurrent_kernel"] /= 3
    t.near(kernels.run(spec, inputs), t.exact(t.plain, spec, inputs), 1e-6)
    t.near(t.gradients(spec, inputs), t.exact_gradients(spec, inputs), 2e-6)
    t.same(t.gradients(spec, inputs), t.gradients(spec, inputs))


@both
def test_no_rows_give_no_rows_and_gradients_of_zero(kind):
    spec = t.spec_of(kind, keep=True)
    inputs = t.arrays(spec, "initial", batch=0)
    assert kernels.run(spec, inputs)["states_h"].shape == (0, t.TIME, t.UNITS)
    found = t.gradients(spec, inputs)
    assert found["x"].shape == (0, t.TIME, t.FEATURES)
    assert not np.asarray(found["kernel"]).any()


def test_eager_and_compiled_and_alone_and_in_chunks_are_the_same_bits():
    spec = t.spec_of("LSTM")
    inputs = t.arrays(spec)
    whole = kernels.run(spec, inputs)
    t.same(jax.jit(lambda i: kernels.run(spec, i))(inputs), whole)
    alone = kernels.run(spec, inputs | {"x": inputs["x"][2:3]})
    t.same(alone, {name: value[2:3] for name, value in whole.items()})
    weights = {k: v for k, v in inputs.items() if k != "x"}

    def step(state, x):
        made = kernels.run(spec, {**weights, **state, "x": x[:, None]})
        return {f"initial_{n}": made[f"last_{n}"] for n in "hc"}, made["states_h"][:, 0]

    zeros = {f"initial_{n}": jnp.zeros((t.BATCH, t.UNITS)) for n in "hc"}
    last, states = jax.jit(lambda xs: jax.lax.scan(step, zeros, xs))(inputs["x"].swapaxes(0, 1))
    np.testing.assert_array_equal(states.swapaxes(0, 1), whole["states_h"])
    np.testing.assert_array_equal(last["initial_c"], whole["last_c"])


def test_python_threads_may_run_at_once():
    spec = t.spec_of("GRU")
    inputs = t.arrays(spec, batch=16, time=30, features=8, units=32)
    compiled = jax.jit(lambda i: kernels.run(spec, i))
    expected = compiled(inputs)
    found = [None] * 4

    def work(i):
        for _ in range(20):
            found[i] = jax.block_until_ready(compiled(inputs))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for each in found:
        t.same(each, expected)


def test_a_donated_buffer_may_be_overwritten():
    spec = t.spec_of("SimpleRNN", every_step=False)
    inputs = t.arrays(spec, "initial")
    state = jnp.asarray(inputs.pop("initial_h"))
    expected = kernels.run(spec, {**inputs, "initial_h": state})

    def step(state):
        return kernels.run(spec, {**inputs, "initial_h": state})["last_h"]

    found = jax.jit(step, donate_argnums=0)(state)
    assert state.is_deleted()
    np.testing.assert_array_equal(found, expected["last_h"])


# What is asked for


def test_without_a_gradient_nothing_is_kept(targets):
    spec = t.spec_of("LSTM", every_step=False)
    made = kernels.run(spec, t.arrays(spec))
    assert sorted(made) == ["last_c", "last_h"]
    assert [target.results for target in targets] == [("last_h", "last_c")]


def test_only_the_gradients_that_are_wanted_are_computed(targets):
    spec = t.spec_of("LSTM", keep=True)
    inputs = t.arrays(spec, "initial")

    def number(kernel):
        return kernels.run(spec, inputs | {"kernel": kernel})["states_c"].sum()

    jax.jit(jax.grad(number))(inputs["kernel"])
    (backward,) = [target for target in targets if target.name == "gradient"]
    assert backward.results == ("d_kernel",)
    assert [name for name in backward.operands if name.startswith("d_")] == ["d_states_c"]


def test_results_that_do_not_count_cost_no_gradient(targets):
    spec = t.spec_of("LSTM")
    inputs = t.arrays(spec)

    def number(kernel):
        made = kernels.run(spec, inputs | {"kernel": kernel})
        return jax.lax.stop_gradient(made["last_h"]).sum() + kernel.sum()

    np.testing.assert_array_equal(jax.jit(jax.grad(number))(inputs["kernel"]), 1.0)
    assert {target.name for target in targets} == {"forward"}


@pytest.mark.parametrize(
    "within",
    [
        lambda run: run,
        jax.jit,
        jax.checkpoint,
        lambda run: lambda inputs: jax.lax.scan(lambda _, i: (0, run(i)), 0, inputs)[1],
        lambda run: lambda inputs: jax.vmap(run)(inputs),
        lambda run: lambda inputs: jax.lax.cond(True, run, run, inputs),
    ],
    ids=["plain", "jit", "checkpoint", "scan", "vmap", "cond"],
)
def test_one_call_is_differentiated_by_other_inputs_each_time(within, request):
    spec = t.spec_of("LSTM")
    inputs = t.arrays(spec, "initial")
    if {"scan", "vmap"} & {request.node.callspec.id}:
        inputs = jax.tree.map(lambda value: jnp.stack([value, -value]), inputs)
    run = within(lambda inputs: kernels.run(spec, inputs))

    def number(some, others):
        return sum(made.sum() for made in run({**others, **some}).values())

    def slopes(names):
        some = {name: inputs.pop(name) for name in names}
        found = jax.grad(number)(some, inputs)
        inputs.update(some)
        return found

    every = slopes(("x", "kernel", "bias", "initial_c"))
    for names in [("kernel", "bias"), tuple(every), ("x",), tuple(every), ("kernel", "bias")]:
        t.near(slopes(names), {name: every[name] for name in names}, 1e-6)


# What is refused


def zeros(*shape, dtype="float32"):
    return np.zeros(shape, dtype)


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("x", zeros(4, 6), r"x has shape \(4, 6\); expected \[batch, time, features\]"),
        ("x", zeros(4, 6, 3, dtype="float16"), "x has dtype float16; expected float32"),
        ("x", zeros(4, 0, 3), "no axis but batch of size 0"),
        ("kernel", None, "kernel is missing"),
        ("kernel", zeros(4, 20), r"shape \(4, 20\); expected \[features=3, blocks \* units=20\]"),
        ("recurrent_kernel", zeros(5, 15), r"\(5, 15\); expected \[units=5, blocks \* units=20\]"),
        ("recurrent_kernel", zeros(), r"recurrent_kernel has shape \(\); expected \[units"),
        ("bias", zeros(5), r"bias has shape \(5,\); expected \[blocks \* units=20\]"),
        ("initial_h", zeros(1, 5), r"\(1, 5\); expected \[batch=4, units=5\]"),
        ("mask", zeros(4, 6), "mask has dtype float32; expected bool"),
        ("input_dropout", zeros(2, 4, 3), "another number of blocks than 4"),
        ("initial", zeros(4, 5), "initial is no input"),
        ("recurrent_bias", zeros(20), "recurrent_bias is no input"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(name, value, what):
    spec = t.spec_of("LSTM")
    inputs = t.arrays(spec) | {name: value}
    with pytest.raises(InputError, match=what):
        kernels.run(spec, inputs)


def test_a_state_that_the_cell_has_not_is_refused():
    spec = t.spec_of("GRU")
    with pytest.raises(InputError, match="initial_c is no input"):
        kernels.run(spec, t.arrays(spec) | {"initial_c": zeros(4, 5)})
