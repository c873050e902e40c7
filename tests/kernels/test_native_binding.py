"""What the compiled module takes, what it refuses and with which words, and what it agrees on."""

import subprocess
import sys
import threading
import types

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided

from cases import BATCH, FEATURES, LAYERS, TIME, UNITS, data
from seqstate.cells import KINDS
from seqstate.errors import ArgumentError, InputError, MissingPackageError
from seqstate.kernels import native, reference
from seqstate.kernels.call import ACTIVATIONS, Spec
from subprocesses import python

pytestmark = pytest.mark.skipif(not native.available(), reason=str(native.reason()))


def inputs(kind, batch=BATCH, time=TIME, features=FEATURES, units=UNITS):
    columns = KINDS[kind].blocks * units
    return {
        "x": data(batch, time, features),
        "kernel": data(features, columns, seed=1) * 0.5,
        "recurrent_kernel": data(units, columns, seed=2) * 0.5,
        "bias": data(columns, seed=3) * 0.5,
    }


def weights(given):
    return {k: v for k, v in given.items() if k in ("kernel", "recurrent_kernel", "bias")}


def call(spec, given, results=None, **how):
    """Call the module itself, with what `native.forward` would make where nothing is passed."""
    made = native.empty_results(spec, given) if results is None else results
    native.module().forward(
        spec.kind,
        how.get("activation", spec.activation),
        spec.recurrent_activation,
        spec.reset_after,
        spec.go_backwards,
        given,
        made,
        how.get("build"),
    )
    return made


def same(a, b):
    assert set(a) == set(b)
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


# The constants


def test_the_cells_are_those_of_cells_py():
    facts = native.module().facts()
    assert facts["activations"] == ACTIVATIONS
    assert set(facts["kinds"]) == set(KINDS)
    for name, kind in KINDS.items():
        of = facts["kinds"][name]
        assert of["states"] == kind.states
        assert of["gates"] == len(kind.gates)
        assert of["blocks"] == kind.blocks
        assert of["kept"] == Spec(name, reset_after=False).kept
        assert of["kept_reset_after"] == Spec(name, reset_after=True).kept


@pytest.mark.parametrize("kind", LAYERS)
def test_the_gates_lie_in_the_order_of_cells_py(kind):
    spec = Spec(kind, keep=True)
    given = inputs(kind)
    got = native.forward(spec, given)
    expected = reference.run(kind, given["x"], weights(given))
    for i, gate in enumerate(KINDS[kind].gates):
        kept = got["kept"][:, :, i].swapaxes(0, 1)
        np.testing.assert_allclose(kept, expected["gates"][gate], rtol=0, atol=5e-7)
    for name, states in expected["states"].items():
        np.testing.assert_allclose(got[f"states_{name}"], states, rtol=0, atol=5e-7)
        np.testing.assert_array_equal(got[f"last_{name}"], got[f"states_{name}"][:, -1])


# The builds


def test_the_build_is_one_that_runs_here():
    module = native.module()
    assert module.build_name() in module.builds()
    assert module.runs_here(module.build_name())
    assert not module.runs_here("abacus")


def test_an_unknown_build_is_named_with_those_that_there_are():
    with pytest.raises(ArgumentError, match='"abacus" is not a build') as error:
        native.forward(Spec("LSTM"), inputs("LSTM"), build="abacus")
    assert all(f'"{name}"' in str(error.value) for name in native.module().builds())


@pytest.mark.parametrize("name", native.module().builds() if native.available() else ())
def test_a_build_is_forced_by_the_environment(name, tmp_path):
    if not native.module().runs_here(name):
        pytest.skip("this machine can't run it")
    code = "from seqstate.kernels import native; print(native.module().build_name())"
    assert python(code, tmp_path, SEQSTATE_ISA=name) == name


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("SEQSTATE_ISA", "abacus", 'SEQSTATE_ISA: "abacus" is not a build'),
        ("SEQSTATE_NUM_THREADS", "many", "SEQSTATE_NUM_THREADS"),
        ("SEQSTATE_NUM_THREADS", "0", "SEQSTATE_NUM_THREADS"),
    ],
)
def test_a_setting_that_can_not_be_is_a_clear_error(variable, value, said, tmp_path):
    code = "from seqstate.kernels import native; native.module().threads()"
    with pytest.raises(AssertionError, match=said) as error:
        python(code, tmp_path, **{variable: value})
    assert "seqstate.errors.ArgumentError" in str(error.value)


def test_the_number_of_threads_is_set_and_checked():
    module = native.module()
    before = module.threads()
    try:
        module.set_threads(3)
        assert module.threads() == 3
        with pytest.raises(ArgumentError):
            module.set_threads(0)
        assert module.threads() == 3
    finally:
        module.set_threads(before)


def test_the_peak_is_measured_in_this_machines_range():
    assert 0.01 < native.module().peak(1, 0.01) < 10_000
    with pytest.raises(ArgumentError, match="out of range"):
        native.module().peak(0, 0.01)


# What arrays may be


@pytest.mark.parametrize("kind", LAYERS)
def test_x_and_masks_and_states_may_have_any_strides(kind):
    spec, given = Spec(kind, keep=True), inputs(kind)
    mask = data(BATCH, TIME, seed=4) > 0
    given |= {"mask": mask, "reset_mask": ~mask, "initial_h": data(BATCH, UNITS, seed=5)}
    strange = dict(
        given,
        x=np.asfortranarray(given["x"]),
        mask=np.repeat(mask, 2, axis=1)[:, ::2],
        reset_mask=np.ascontiguousarray(~mask[:, ::-1])[:, ::-1],
        initial_h=np.asfortranarray(given["initial_h"]),
    )
    same(call(spec, strange), call(spec, given))


def test_x_may_be_one_row_seen_many_times():
    given = inputs("LSTM")
    row = given["x"][:1]
    spread = np.broadcast_to(row, given["x"].shape)
    same(
        call(Spec("LSTM"), dict(given, x=spread)),
        call(Spec("LSTM"), dict(given, x=spread.copy())),
    )


def test_results_may_be_parts_of_larger_arrays():
    spec, given = Spec("LSTM"), inputs("LSTM")
    expected = call(spec, given)
    whole = np.full((BATCH, TIME, 2 * UNITS), 7, np.float32)
    made = call(spec, given, dict(native.empty_results(spec, given), states_h=whole[..., :UNITS]))
    same(made, expected)
    assert (whole[..., UNITS:] == 7).all()


def test_an_address_with_shape_and_strides_is_an_array():
    spec, given = Spec("LSTM"), dict(inputs("LSTM"), mask=data(BATCH, TIME) > 0)

    def address(array):
        strides = tuple(s // array.itemsize for s in array.strides)
        return array.ctypes.data, array.dtype.name, array.shape, strides

    made = native.empty_results(spec, given)
    call(spec, {k: address(v) for k, v in given.items()}, {k: address(v) for k, v in made.items()})
    same(made, call(spec, given))


def test_what_speaks_dlpack_is_an_array():
    class Foreign:
        def __init__(self, array):
            self.array = array

        def __dlpack__(self, **how):
            return self.array.__dlpack__(**how)

        def __dlpack_device__(self):
            return self.array.__dlpack_device__()

    spec, given = Spec("LSTM"), inputs("LSTM")
    results = native.empty_results(spec, given)
    same(call(spec, {k: Foreign(v) for k, v in given.items()}, results), call(spec, given))


def test_no_rows_are_no_work():
    spec, given = Spec("LSTM", keep=True), inputs("LSTM", batch=0)
    results = native.forward(spec, given)
    assert results["states_h"].shape == (0, TIME, UNITS)
    got = native.gradient(spec, given, results, {"last_h": results["last_h"]})
    assert not got["kernel"].any()
    assert got["x"].shape == given["x"].shape


# What is refused

BAD_INPUTS = {
    "x has dtype float64; expected float32": {"x": data(BATCH, TIME, FEATURES).astype("float64")},
    "x has dtype int32": {"x": np.ones((BATCH, TIME, FEATURES), "int32")},
    r"x has shape \(3, 4\); expected \(any, any, 4\), \[batch, time, features\]": {
        "x": data(BATCH, FEATURES)
    },
    r"x has shape \(3, 5, 7\)": {"x": data(BATCH, TIME, 7)},
    "x has no time step": {"x": data(BATCH, 0, FEATURES)},
    "x is a str that is no array in memory": {"x": "x"},
    "x is a NoneType": {"x": None},
    "x is not aligned": {"x": (3, "float32", (BATCH, TIME, FEATURES), (20, 4, 1))},
    "x has no memory": {"x": (0, "float32", (BATCH, TIME, FEATURES), (20, 4, 1))},
    "x is a tuple, but not of an address": {"x": (1, 2)},
    "x has a shape of 3 axes and 2 strides": {"x": (64, "float32", (1, 1, 4), (4, 1))},
    "x has dtype float16": {"x": (64, "float16", (1, 1, 4), (4, 4, 1))},
    "kernel is not contiguous": {"kernel": np.asfortranarray(data(FEATURES, 4 * UNITS))},
    r"kernel has shape \(4, 11\)": {"kernel": data(FEATURES, 11)},
    r"kernel has shape \(4, 12\); expected \(any, 20\)": {"recurrent_kernel": data(5, 20)},
    r"recurrent_kernel has shape \(3, 9\)": {"recurrent_kernel": data(UNITS, 3 * UNITS)},
    r"bias has shape \(2, 12\)": {"bias": data(2, 4 * UNITS)},
    r"initial_h has shape \(1, 3\)": {"initial_h": data(1, UNITS)},
    r"mask has shape \(3, 4\)": {"mask": np.ones((BATCH, TIME - 1), bool)},
    "mask has dtype uint8; expected bool": {"mask": np.ones((BATCH, TIME), "uint8")},
    r"input_dropout has shape \(3, 3, 4\); expected \(4, 3, 4\)": {
        "input_dropout": data(3, BATCH, FEATURES)
    },
    r'hold "recurrent_bias", which has no use': {"recurrent_bias": data(4 * UNITS)},
    r'hold "initial_state", which has no use': {"initial_state": data(BATCH, UNITS)},
}


@pytest.mark.parametrize("said", BAD_INPUTS)
def test_a_bad_input_is_refused(said):
    given = inputs("LSTM")
    results = native.empty_results(Spec("LSTM"), given)
    with pytest.raises(InputError, match=said) as error:
        call(Spec("LSTM"), given | BAD_INPUTS[said], results)
    where, todo = str(error.value).split("\n")
    assert where.startswith("native LSTM: ")
    assert todo.strip().endswith(".")


@pytest.mark.parametrize("name", ["x", "kernel", "recurrent_kernel"])
def test_an_input_that_is_not_there_is_refused(name):
    given = inputs("LSTM")
    results = native.empty_results(Spec("LSTM"), given)
    del given[name]
    with pytest.raises(InputError, match=f'the inputs lack "{name}"'):
        call(Spec("LSTM"), given, results)


def test_a_kind_or_activation_that_is_not_known_is_refused():
    with pytest.raises(ArgumentError, match='"gelu" is not known to the native kernels'):
        call(Spec("LSTM"), inputs("LSTM"), activation="gelu")


def bad_results(given, results):
    frozen = np.empty((BATCH, UNITS), np.float32)
    frozen.flags.writeable = False
    both = np.empty((BATCH, TIME, UNITS), np.float32)
    return {
        "last_h is read-only": {"last_h": frozen},
        "last_h can't take results": {
            "last_h": as_strided(np.empty(UNITS, "f"), (BATCH, UNITS), (0, 4))
        },
        "states_h can't take results": {"states_h": np.empty((BATCH, UNITS, TIME), "f").mT},
        "states_c shares memory with states_h": {"states_h": both, "states_c": both},
        "last_c shares memory with states_h": {"states_h": both, "last_c": both[:, 1]},
        "states_h shares memory with x": {"states_h": given["x"][..., :UNITS]},
        "last_h shares memory with kernel": {"last_h": given["kernel"][:BATCH, :UNITS]},
        r"states_h has shape \(3, 4, 3\)": {"states_h": both[:, 1:]},
        "last_h has dtype float64": {"last_h": np.empty((BATCH, UNITS))},
        'the results hold "gates"': {"gates": np.empty((4, BATCH, TIME, UNITS), "f")},
    }


@pytest.mark.parametrize("said", bad_results({"x": data(3, 5, 4), "kernel": data(4, 12)}, {}))
def test_a_bad_result_is_refused(said):
    given = inputs("LSTM")
    results = native.empty_results(Spec("LSTM"), given)
    with pytest.raises(InputError, match=said):
        call(Spec("LSTM"), given, results | bad_results(given, results)[said])


def test_the_gradient_needs_what_the_run_kept():
    spec, given = Spec("LSTM", keep=True), inputs("LSTM")
    results = native.forward(spec, given)
    cotangents = {"last_h": results["last_h"]}
    for name in ("states_h", "states_c", "kept"):
        part = {k: v for k, v in results.items() if k != name}
        with pytest.raises(InputError, match=f'the results lack "{name}"'):
            native.gradient(spec, given, part, cotangents)
    with pytest.raises(InputError, match=r"last_h has shape \(1, 3\)"):
        native.gradient(spec, given, results, {"last_h": results["last_h"][:1]})
    masked = given | {"mask": np.ones((BATCH, TIME), bool)}
    with pytest.raises(InputError, match="no gradient for \\['mask'\\]"):
        native.gradient(spec, masked, results, cotangents, ["mask"])


# The cell that keeps its weights


@pytest.mark.parametrize("kind", LAYERS)
def test_a_packed_cell_gives_the_same_bits_and_keeps_its_own_weights(kind):
    spec, given = Spec(kind), inputs(kind)
    expected = native.forward(spec, given)
    own = {name: value.copy() for name, value in weights(given).items()}
    cell = native.module().Cell(kind, "tanh", "sigmoid", True, own)
    for value in own.values():
        value[...] = np.nan
    results = native.empty_results(spec, given)
    cell.run({"x": given["x"]}, results)
    same(results, expected)


@pytest.mark.parametrize("kind", LAYERS)
def test_steps_give_the_bits_of_the_whole(kind):
    given = inputs(kind, batch=2, time=9)
    expected = native.forward(Spec(kind), given)
    cell = native.module().Cell(kind, "tanh", "sigmoid", True, weights(given))
    state = {name: np.zeros((2, UNITS), np.float32) for name in KINDS[kind].states}
    stepper = native.module().Stepper(cell, *state.values())
    for t in range(9):
        assert stepper.step(given["x"][:, t]) is state["h"]
        for name, value in state.items():
            np.testing.assert_array_equal(value, expected[f"states_{name}"][:, t])


def test_a_stepper_refuses_what_it_can_not_use():
    module, given = native.module(), inputs("LSTM")
    cell = module.Cell("LSTM", "tanh", "sigmoid", True, weights(given))
    h, c = np.zeros((2, 1, UNITS), np.float32)
    with pytest.raises(ArgumentError, match='the state "c" is missing'):
        module.Stepper(cell, h)
    with pytest.raises(InputError, match="h and c share memory"):
        module.Stepper(cell, h, h)
    with pytest.raises(InputError, match="c is not contiguous"):
        module.Stepper(cell, h, np.zeros((1, 2 * UNITS), "f")[:, ::2])
    stepper = module.Stepper(cell, h, c)
    with pytest.raises(InputError, match=r"x has shape \(2, 4\); expected \(1, 4\)"):
        stepper.step(data(2, FEATURES))
    with pytest.raises(InputError, match="x has dtype float64"):
        stepper.step(np.zeros((1, FEATURES)))
    assert not h.any()
    assert not c.any()


# Threads and memory


def test_two_threads_at_once_get_the_numbers_of_one():
    spec, given = Spec("LSTM"), inputs("LSTM", batch=33, time=40, features=16, units=48)
    expected = native.forward(spec, given)
    found = []

    def work():
        found.extend(native.forward(spec, given)["states_c"] for _ in range(20))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 40
    assert all((states == expected["states_c"]).all() for states in found)


def test_calls_and_refusals_keep_nothing():
    spec, given = Spec("LSTM"), inputs("LSTM")
    results = native.empty_results(spec, given)
    cell = native.module().Cell("LSTM", "tanh", "sigmoid", True, weights(given))
    arrays = [*given.values(), *results.values()]
    before = [sys.getrefcount(array) for array in arrays]
    for _ in range(10):
        call(spec, given, results)
        cell.run({"x": given["x"]}, results)
        with pytest.raises(InputError):
            call(spec, given, results | {"last_c": results["last_h"]})
    assert [sys.getrefcount(array) for array in arrays] == before


# Without the module


def test_without_the_module_there_is_one_warning(monkeypatch):
    monkeypatch.setattr(native, "_load", lambda: "it was not built")
    for cached in (native.usable, native.module):
        cached.cache_clear()
    try:
        assert not native.available()
        with pytest.warns(RuntimeWarning, match="not used: it was not built") as warned:
            assert [native.usable(), native.usable()] == [False, False]
        assert len(warned) == 1
        with pytest.raises(MissingPackageError, match="it was not built"):
            native.forward(Spec("LSTM"), inputs("LSTM"))
    finally:
        native.usable.cache_clear()


def test_importing_seqstate_loads_nothing_native():
    code = "import sys, seqstate, seqstate.kernels.native; print('seqstate._native' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_module_is_loaded_once():
    assert isinstance(native.module(), types.ModuleType)
    assert native.module() is native.module()
