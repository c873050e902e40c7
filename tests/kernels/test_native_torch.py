import shutil
import types
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest

import calls
import plain_loop
from cases import TOLERANCE
from seqstate.errors import ArgumentError, InputError
from seqstate.kernels.call import DIFFERENTIABLE, Spec

if keras.backend.backend() != "torch":
    pytest.skip("runs with the backend torch", allow_module_level=True)
torch = pytest.importorskip("torch")
pytest.importorskip("seqstate._native")

from seqstate import _native  # noqa: E402
from seqstate.kernels import torch as native  # noqa: E402

F = types.SimpleNamespace(
    tanh=torch.tanh,
    sigmoid=torch.sigmoid,
    relu=torch.relu,
    clip=torch.clamp,
    where=torch.where,
    stack=torch.stack,
)


def tensors(inputs, wanted=DIFFERENTIABLE, dtype=torch.float32):
    """Give NumPy arrays as tensors, those with the names in `wanted` to differentiate by."""
    made = {}
    for name, value in inputs.items():
        tensor = torch.tensor(value)
        if tensor.is_floating_point():
            tensor = tensor.to(dtype).requires_grad_(name in wanted)
        made[name] = tensor
    return made


def gradients(results, given, cotangents):
    """Give the gradients by all that requires one, by name."""
    names = [name for name, tensor in given.items() if tensor.requires_grad]
    loss = sum(
        (results[name] * torch.tensor(value).to(results[name].dtype)).sum()
        for name, value in cotangents.items()
    )
    found = torch.autograd.grad(loss, [given[name] for name in names])
    return dict(zip(names, found, strict=True))


def run_and_differentiate(run, spec, inputs, cotangents, **how):
    given = tensors(inputs, **how)
    results = run(spec, given)
    return results, gradients(results, given, cotangents)


def plain(spec, given):
    results = plain_loop.run(F, spec, given)
    return {name: results[name] for name in spec.results()}


def assert_close(found, expected):
    assert list(found) == list(expected)
    for name, value in expected.items():
        scale = max(1.0, float(value.detach().abs().max()))
        difference = (found[name].double() - value).detach().abs().max()
        assert float(difference) <= TOLERANCE["float32"] * scale, name


def assert_same_bits(found, expected):
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


@pytest.fixture
def everything():
    spec, inputs = calls.one("LSTM", "everything")
    return spec, inputs, calls.cotangents(spec, inputs)


@pytest.fixture
def asked(monkeypatch):
    """Give the names of the results and of the gradients that the kernels were asked for."""
    names = {}
    for function, argument in (("forward", 6), ("gradient", 8)):
        true = getattr(_native, function)

        def spy(*arguments, true=true, function=function, argument=argument):
            names[function] = list(arguments[argument])
            true(*arguments)

        monkeypatch.setattr(_native, function, spy)
    return names


@pytest.mark.parametrize(("spec", "inputs"), calls.calls(), ids=calls.ids())
def test_values_and_gradients_are_those_of_a_plain_loop_in_float64(spec, inputs):
    cotangents = calls.cotangents(spec, inputs)
    results, found = run_and_differentiate(native.run, spec, inputs, cotangents)
    truth, expected = run_and_differentiate(plain, spec, inputs, cotangents, dtype=torch.float64)
    assert_close(results, truth)
    assert_close(found, expected)


@pytest.mark.parametrize("cell", calls.SPECS)
def test_each_result_passes_its_own_cotangent_on(cell):
    spec, inputs = calls.one(cell, "everything, backwards")
    for name, cotangent in calls.cotangents(spec, inputs).items():
        given, exact = tensors(inputs), tensors(inputs, dtype=torch.float64)
        weight = torch.tensor(cotangent)
        wanted = [n for n, tensor in given.items() if tensor.requires_grad]
        found = torch.autograd.grad(
            (native.run(spec, given)[name] * weight).sum(), [given[n] for n in wanted]
        )
        expected = torch.autograd.grad(
            (plain(spec, exact)[name] * weight.double()).sum(),
            [exact[n] for n in wanted],
            materialize_grads=True,
        )
        assert_close(
            dict(zip(wanted, found, strict=True)), dict(zip(wanted, expected, strict=True))
        )


def test_only_the_wanted_gradients_are_computed(everything, asked):
    spec, inputs, cotangents = everything
    _, every = run_and_differentiate(native.run, spec, inputs, cotangents)
    for wanted in (("x",), ("kernel", "bias"), ("initial_c",), ("fresh_h",)):
        _, found = run_and_differentiate(native.run, spec, inputs, cotangents, wanted=wanted)
        assert asked["gradient"] == [name for name in inputs if name in wanted]
        assert_same_bits(found, {name: every[name] for name in found})


def test_nothing_is_kept_where_no_gradient_can_follow(everything, asked):
    spec = everything[0]._replace(every_step=False, keep=False)
    given = tensors(everything[1])
    with torch.no_grad():
        without = native.run(spec, given)
    assert asked["forward"] == ["last_h", "last_c"]
    with torch.inference_mode():
        inferred = native.run(spec, given)
    assert asked["forward"] == ["last_h", "last_c"]
    recorded = native.run(spec, given)
    assert asked["forward"] == ["last_h", "last_c", "states_h", "states_c", "kept"]
    assert list(recorded) == ["last_h", "last_c"]
    assert_same_bits(without, recorded)
    assert_same_bits(inferred, recorded)
    assert not any(tensor.requires_grad for tensor in without.values())


def test_a_second_gradient_is_refused(everything):
    spec, inputs, _ = everything
    given = tensors(inputs)
    last = native.run(spec, given)["last_h"].sum()
    (by_kernel,) = torch.autograd.grad(last, given["kernel"], create_graph=True)
    with pytest.raises(ArgumentError, match="no gradient of their gradient"):
        by_kernel.sum().backward()


def test_a_gradient_by_a_dropout_mask_is_refused(everything):
    spec, inputs, _ = everything
    given = tensors(inputs)
    given["input_dropout"].requires_grad_()
    with pytest.raises(ArgumentError, match="input_dropout requires a gradient"):
        native.run(spec, given)


def test_an_input_changed_before_the_gradient_is_an_error(everything):
    spec, inputs, _ = everything
    given = tensors(inputs)
    last = native.run(spec, given)["last_h"].sum()
    with torch.no_grad():
        given["kernel"].mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        last.backward()


@pytest.mark.parametrize("name", ["x", "kernel", "mask"])
def test_a_wrong_dtype_is_an_error(everything, name):
    spec, inputs, _ = everything
    given = tensors(inputs)
    given[name] = given[name].detach().to(torch.float64)
    with pytest.raises(InputError, match=f"{name} has dtype .*float64"):
        native.run(spec, given)


def test_a_wrong_shape_is_an_error(everything):
    spec, inputs, _ = everything
    with pytest.raises(InputError, match="initial_h"):
        native.run(spec, tensors({**inputs, "initial_h": inputs["initial_h"][:, 1:]}))


def strided(name, tensor):
    """Give the same values in another layout of memory."""
    if name == "x":
        return tensor.detach().permute(2, 0, 1).contiguous().permute(1, 2, 0)
    wide = torch.zeros(*tensor.shape[:-1], 3 * tensor.shape[-1], dtype=tensor.dtype)
    wide[..., 1::3] = tensor.detach()
    return wide[..., 1::3]


def test_any_strides_give_the_same_bits(everything):
    spec, inputs, cotangents = everything
    expected, by = run_and_differentiate(native.run, spec, inputs, cotangents)
    given = {
        name: strided(name, tensor).requires_grad_(tensor.requires_grad)
        for name, tensor in tensors(inputs).items()
    }
    assert not any(tensor.is_contiguous() for tensor in given.values())
    results = native.run(spec, given)
    assert_same_bits(results, expected)
    names = list(by)
    found = torch.autograd.grad(
        [results[name] for name in cotangents],
        [given[name] for name in names],
        [strided("", torch.tensor(value)) for value in cotangents.values()],
    )
    assert_same_bits(dict(zip(names, found, strict=True)), by)


def test_a_broadcast_cotangent_counts_for_every_element(everything):
    spec, inputs, _ = everything
    ones = {"states_h": np.ones((calls.BATCH, calls.TIME, calls.UNITS), "float32")}
    _, expected = run_and_differentiate(native.run, spec, inputs, ones)
    given = tensors(inputs)
    # The gradient of a sum is one number, seen through strides of zero.
    native.run(spec, given)["states_h"].sum().backward()
    assert_same_bits({name: given[name].grad for name in expected}, expected)


def test_threads_at_once_give_the_same_bits(everything):
    spec, inputs, cotangents = everything
    expected, by = run_and_differentiate(native.run, spec, inputs, cotangents)

    def work(_):
        for _ in range(10):
            results, found = run_and_differentiate(native.run, spec, inputs, cotangents)
            assert_same_bits(results, expected)
            assert_same_bits(found, by)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))


def test_shapes_are_known_on_the_device_meta():
    given = {
        "x": torch.empty(2, 5, 3, device="meta"),
        "kernel": torch.empty(3, 12, device="meta", requires_grad=True),
        "recurrent_kernel": torch.empty(4, 12, device="meta"),
    }
    results = native.run(Spec("GRU", keep=True), given)
    assert {name: tuple(tensor.shape) for name, tensor in results.items()} == {
        "last_h": (2, 4),
        "states_h": (2, 5, 4),
        "kept": (5, 2, 4, 4),
    }
    assert {tensor.device.type for tensor in results.values()} == {"meta"}
    results["last_h"].sum().backward()
    assert given["kernel"].grad.shape == (3, 12)


@pytest.mark.parametrize("cell", calls.SPECS)
def test_the_operators_keep_what_torch_expects_of_one(cell):
    spec, inputs = calls.one(cell, "everything")
    given = tensors(inputs)
    text = native._text(native._recorded(spec), tuple(given))
    arguments = list(given.values()), text
    torch.library.opcheck(native._run, arguments)
    made = native._run(*arguments)
    asked = native._text(spec, tuple(given), ("last_h",), ("x", "kernel"))
    record = [made[i].detach() for i in native._record(spec)]
    torch.library.opcheck(
        native._gradient,
        ([t.detach() for t in given.values()], record, [torch.ones_like(made[0])], asked),
    )


def two_calls():
    """Give the calls of two directions that share the input, and a cotangent for each result."""
    (spec, inputs), (other, more) = calls.one("LSTM", "everything"), calls.one("GRU", "plain")
    given = tensors(inputs), tensors(more)
    given[1]["x"] = given[0]["x"]
    weights = [calls.cotangents(spec, inputs), calls.cotangents(other, more)]
    return [(spec, given[0]), (other, given[1])], weights


def run_both_and_differentiate(run_all):
    both, weights = two_calls()
    made = run_all(both)
    loss = sum(
        (own[name] * torch.tensor(value)).sum()
        for own, weight in zip(made, weights, strict=True)
        for name, value in weight.items()
    )
    names = [(i, n) for i, (_, own) in enumerate(both) for n in own if own[n].requires_grad]
    found = torch.autograd.grad(loss, [both[i][1][n] for i, n in names])
    return made, dict(zip(names, found, strict=True))


def one_by_one(both):
    return [native.run(*call) for call in both]


def test_two_runs_at_once_are_what_each_is_alone():
    made, found = run_both_and_differentiate(native.run_all)
    expected, by = run_both_and_differentiate(one_by_one)
    for own, alone in zip(made, expected, strict=True):
        assert_same_bits(own, alone)
    assert_same_bits(found, by)


def test_an_operator_of_two_runs_keeps_what_torch_expects_of_one():
    both, _ = two_calls()
    every = [tensor for _, given in both for tensor in given.values()]
    specs = [native._recorded(spec) for spec, _ in both]
    texts = [native._text(s, tuple(given)) for s, (_, given) in zip(specs, both, strict=True)]
    torch.library.opcheck(native._run, (every, native._SEVERAL.join(texts)))


# torch's compiler itself uses what torch has deprecated.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_two_runs_at_once_are_compiled_whole_to_the_same_bits():
    compiled = torch.compile(native.run_all, fullgraph=True, backend="aot_eager")
    made, found = run_both_and_differentiate(compiled)
    expected, by = run_both_and_differentiate(native.run_all)
    for own, alone in zip(made, expected, strict=True):
        assert_same_bits(own, alone)
    assert_same_bits(found, by)


def test_a_dropout_mask_of_either_run_is_refused_a_gradient():
    both, _ = two_calls()
    both[0][1]["input_dropout"].requires_grad_()
    for order in (both, both[::-1]):
        with pytest.raises(ArgumentError, match="input_dropout requires a gradient"):
            native.run_all(order)


def test_a_run_that_no_gradient_follows_keeps_nothing_beside_one_that_a_gradient_follows(asked):
    (spec, given), (other, more) = two_calls()[0]
    still = {name: tensor.detach() for name, tensor in given.items()}
    spec = spec._replace(every_step=False, keep=False)
    made = native.run_all([(other, more), (spec, still)])
    assert asked["forward"] == ["last_h", "last_c"]
    assert made[0]["last_h"].requires_grad
    assert not made[1]["last_h"].requires_grad


COMPILERS = ["aot_eager"] + (["inductor"] if shutil.which("g++") else [])


# torch's compiler itself uses what torch has deprecated.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("compiler", COMPILERS)
def test_compiled_gives_the_same_bits(everything, compiler, tmp_path, monkeypatch):
    # Among its files, torch does not tell apart graphs whose operators gave other shapes.
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    spec, inputs, cotangents = everything
    compiled = torch.compile(native.run, fullgraph=True, backend=compiler)
    expected, by = run_and_differentiate(native.run, spec, inputs, cotangents)
    results, found = run_and_differentiate(compiled, spec, inputs, cotangents)
    assert_same_bits(results, expected)
    assert_same_bits(found, by)
    longer = {**inputs, "x": np.concatenate([inputs["x"]] * 2, axis=1)}
    del longer["mask"], longer["reset_mask"], longer["fresh_h"], longer["fresh_c"]
    with torch.no_grad():
        given = tensors(longer)
        assert_same_bits(compiled(spec, given), native.run(spec, given))
