"""What JAX's transformations make of a native call."""

import numpy as np
import pytest

from seqstate.errors import ArgumentError

jax = pytest.importorskip("jax")
native = pytest.importorskip("seqstate._native")
if not hasattr(native, "xla_targets"):
    pytest.skip("built without the headers of XLA", allow_module_level=True)

import native_jax as t  # noqa: E402
from seqstate.kernels import jax as kernels  # noqa: E402

both = pytest.mark.parametrize("kind", t.KINDS)


def test_checkpoint_gives_the_same_gradients():
    spec = t.spec_of("GRU")
    inputs = t.arrays(spec, "mask")
    remade = jax.checkpoint(kernels.run, static_argnums=0)
    t.same(t.gradients(spec, inputs, run=remade), t.gradients(spec, inputs))


def test_a_gradient_through_a_scan_of_chunks():
    spec = t.spec_of("LSTM")
    inputs = t.arrays(spec, "initial", time=6)

    def in_chunks(_, inputs):
        x = inputs["x"].reshape(t.BATCH, 3, 2, t.FEATURES).swapaxes(0, 1)
        weights = {k: v for k, v in inputs.items() if k != "x" and not k.startswith("initial")}

        def chunk(state, x):
            made = kernels.run(spec, {**weights, **state, "x": x})
            return {f"initial_{n}": made[f"last_{n}"] for n in "hc"}, {
                f"states_{n}": made[f"states_{n}"] for n in "hc"
            }

        first = {name: inputs[name] for name in ("initial_h", "initial_c")}
        last, made = jax.lax.scan(chunk, first, x)
        whole = {k: v.swapaxes(0, 1).reshape(t.BATCH, 6, t.UNITS) for k, v in made.items()}
        return {**whole, **{f"last_{n}": last[f"initial_{n}"] for n in "hc"}}

    t.near(t.gradients(spec, inputs, run=in_chunks), t.exact_gradients(spec, inputs), 2e-6)


def each_alone(spec, inputs, mapped, gradient=False):
    """Give what vmap must give, from one call for each index."""
    count = len(inputs[mapped[0]])
    one = t.gradients if gradient else kernels.run
    made = [
        one(spec, {k: v[i] if k in mapped else v for k, v in inputs.items()}) for i in range(count)
    ]
    return jax.tree.map(lambda *values: np.stack(values), *made)


def several(inputs, mapped, count=3):
    """Give inputs of which those in `mapped` have an axis more: the same numbers, shuffled."""
    rng = np.random.default_rng(9)

    def shuffled(value):
        return np.stack([rng.permutation(value.ravel()).reshape(value.shape) for _ in range(count)])

    return {k: shuffled(v) if k in mapped else v for k, v in inputs.items()}


@both
def test_vmap_with_shared_weights_is_one_larger_batch(kind):
    spec = t.spec_of(kind, keep=True)
    mapped = ("x", "mask", "initial_h", "recurrent_dropout")
    inputs = several(t.arrays(spec, "mask", "initial", "dropout blocks"), mapped)
    axes = ({k: 0 if k in mapped else None for k in inputs},)
    function = jax.vmap(lambda i: kernels.run(spec, i), axes)
    assert " scan[" not in str(jax.make_jaxpr(function)(inputs))
    t.same(function(inputs), each_alone(spec, inputs, mapped))


def test_vmap_of_vmap():
    spec = t.spec_of("GRU")
    inputs = t.arrays(spec)
    x = np.random.default_rng(1).normal(size=(2, 3, t.BATCH, t.TIME, t.FEATURES)).astype("float32")

    def last(x):
        return kernels.run(spec, inputs | {"x": x})["last_h"]

    found = jax.vmap(jax.vmap(last), in_axes=1, out_axes=1)(x)
    expected = [[last(one) for one in row] for row in x]
    np.testing.assert_array_equal(found, expected)


@both
def test_vmap_with_weights_of_their_own(kind):
    spec = t.spec_of(kind, keep=True)
    inputs = several(t.arrays(spec, "initial"), ("kernel", "x"))
    axes = ({k: 0 if k in ("kernel", "x") else None for k in inputs},)
    found = jax.vmap(lambda i: kernels.run(spec, i), axes)(inputs)
    t.same(found, each_alone(spec, inputs, ("kernel", "x")))


@both
def test_vmap_of_a_gradient(kind):
    spec = t.spec_of(kind)
    inputs = several(t.arrays(spec, "initial"), ("x",))
    axes = ({k: 0 if k == "x" else None for k in inputs},)
    found = jax.vmap(lambda i: t.gradients(spec, i), axes)(inputs)
    t.near(found, each_alone(spec, inputs, ("x",), gradient=True), 1e-6)


@both
def test_a_gradient_of_vmap(kind):
    spec = t.spec_of(kind)
    inputs = several(t.arrays(spec, "initial"), ("x",))
    axes = (None, {k: 0 if k == "x" else None for k in inputs})

    def mapped(run):
        return lambda spec, inputs: jax.vmap(lambda _, i: run(spec, i), axes)(None, inputs)

    expected = t.exact_gradients(spec, inputs, run=mapped(t.plain))
    t.near(t.gradients(spec, inputs, run=mapped(kernels.run)), expected, 2e-6)


def test_a_second_gradient_is_refused():
    spec = t.spec_of("LSTM")
    inputs = t.arrays(spec)

    def slope(x):
        return jax.grad(lambda x: kernels.run(spec, inputs | {"x": x})["last_h"].sum())(x).sum()

    with pytest.raises(ArgumentError, match=r'(?s)gradient of their gradient.*kernel="portable"'):
        jax.grad(slope)(inputs["x"])


def test_forward_mode_is_refused_by_jax():
    spec = t.spec_of("LSTM")
    inputs = t.arrays(spec)
    with pytest.raises(TypeError, match="forward-mode"):
        jax.jvp(lambda x: kernels.run(spec, inputs | {"x": x}), (inputs["x"],), (inputs["x"],))


def test_a_gradient_by_a_dropout_mask_is_refused():
    spec = t.spec_of("GRU")
    inputs = t.arrays(spec, "dropout 1")

    def number(mask):
        return kernels.run(spec, inputs | {"input_dropout": mask})["last_h"].sum()

    with pytest.raises(ArgumentError, match=r"gradient by input_dropout"):
        jax.grad(number)(inputs["input_dropout"])


def test_an_export_is_refused_by_jax():
    from jax import export

    spec = t.spec_of("LSTM")
    inputs = t.arrays(spec)
    with pytest.raises(ValueError, match="seqstate_forward"):
        export.export(jax.jit(lambda x: kernels.run(spec, inputs | {"x": x})))(inputs["x"])


# Two runs that are one call


def two(*what):
    specs = [t.spec_of("LSTM"), t.spec_of("GRU", go_backwards=True)]
    return specs, [t.arrays(specs[0], *what), t.arrays(specs[1], *what, units=7, seed=1)]


def loss(specs, given, run_all):
    made = run_all(list(zip(specs, given, strict=True)))
    return sum((value**2).sum() for own in made for value in own.values())


def one_by_one(calls):
    return [kernels.run(*call) for call in calls]


@pytest.mark.parametrize("mapped", [("x",), ("x", "kernel", "initial_h")])
def test_vmap_of_two_is_vmap_of_each(mapped):
    specs, given = two("initial")
    many = [several(inputs, mapped) for inputs in given]
    axes = [{name: 0 if name in mapped else None for name in inputs} for inputs in given]

    def run(given):
        return kernels.run_all(list(zip(specs, given, strict=True)))

    found = jax.vmap(run, in_axes=(axes,))(many)
    for spec, inputs, own in zip(specs, many, found, strict=True):
        t.same(own, each_alone(spec, inputs, mapped))

    def slopes(given, run_all):
        return jax.grad(lambda given: loss(specs, given, run_all))(given)

    by_both = jax.vmap(lambda given: slopes(given, kernels.run_all), in_axes=(axes,))(many)
    by_each = jax.vmap(lambda given: slopes(given, one_by_one), in_axes=(axes,))(many)
    for own, alone in zip(by_both, by_each, strict=True):
        t.same(own, alone)


def test_the_second_gradient_of_two_is_refused_too():
    specs, given = two()

    def slope(scale):
        scaled = [{**inputs, "x": scale * inputs["x"]} for inputs in given]
        return loss(specs, scaled, kernels.run_all)

    with pytest.raises(ArgumentError, match="GRU and LSTM: the native kernels have no gradient"):
        jax.grad(jax.grad(slope))(1.0)


def test_runs_of_other_lengths_and_more_than_two_are_calls_of_their_own():
    specs, given = two()
    longer = t.arrays(specs[0], time=9)
    for calls in (
        [(specs[0], longer), (specs[1], given[1])],
        [*zip(specs, given, strict=True), (specs[0], longer)],
    ):
        for own, call in zip(kernels.run_all(calls), calls, strict=True):
            t.same(own, kernels.run(*call))
