"""What the handlers in XLA check, and how JAX comes to know them."""

import re
import warnings
from pathlib import Path

import numpy as np
import pytest

from seqstate.errors import ArgumentError

jax = pytest.importorskip("jax")
native = pytest.importorskip("seqstate._native")
if not hasattr(native, "xla_targets"):
    pytest.skip("built without the headers of XLA", allow_module_level=True)

import jax.numpy as jnp  # noqa: E402

import native_jax as t  # noqa: E402
from seqstate.kernels import jax as kernels  # noqa: E402
from seqstate.kernels import jax_handlers as handlers  # noqa: E402


def handler(name, results, *operands, **numbers):
    assert handlers.why_not() is None
    spec = {"kind": 0, "activation": 1, "recurrent_activation": 2, "reset_after": 0}
    attributes = spec | {"go_backwards": 0, "given": 7, "wanted": 1} | numbers
    attributes = {k: np.int32(v) for k, v in attributes.items()}
    results = [jax.ShapeDtypeStruct(shape, dtype) for shape, dtype in results]
    return jax.block_until_ready(jax.ffi.ffi_call(name, results)(*operands, **attributes))


X, W, U = np.ones((4, 7, 3), "float32"), np.ones((3, 5), "float32"), np.ones((5, 5), "float32")
LAST, STATE = ((4, 5), jnp.float32), np.ones((4, 5), "float32")


@pytest.mark.parametrize(
    ("name", "results", "operands", "numbers", "what"),
    [
        ("forward", [LAST], (X[0], W, U), {}, "x must be"),
        ("forward", [LAST], (X, W[:2], U), {}, r"kernel has shape \(2, 5\); expected \(3, 5\)"),
        ("forward", [LAST], (X, W, U), {"kind": 2}, r"kernel has shape \(3, 5\); expected \(3, 20"),
        ("forward", [LAST], (X, W, U), {"kind": 3}, "a kind or an activation"),
        ("forward", [LAST], (X, W, U), {"activation": 9}, "a kind or an activation"),
        ("forward", [LAST], (X[:, :0], W, U), {}, "no axis but batch of size 0"),
        ("forward", [((5, 5), jnp.float32)], (X, W, U), {}, r"last_h has shape \(5, 5\)"),
        ("forward", [((4, 5), jnp.int32)], (X, W, U), {}, "last_h has another dtype"),
        ("forward", [LAST], (X, W, U), {"given": 15}, "bias is missing"),
        ("forward", [LAST], (X, W, U, STATE), {"given": 7 | 64}, "no state c"),
        ("forward", [LAST], (X, W, U), {"wanted": 5}, "states_h is missing"),
        ("forward", [LAST, LAST], (X, W, U), {}, "got 3 operands and 2 results"),
        ("forward", [LAST], (X, W, U, U), {}, "got 4 operands and 1 results"),
        ("gradient", [(W.shape, jnp.float32)], (X, W, U), {"wanted": 2}, "needs the states"),
    ],
)
def test_the_handler_checks_what_it_is_given(name, results, operands, numbers, what):
    with pytest.raises(Exception, match=what):
        handler(f"seqstate_{name}", results, *operands, **numbers)


ONE = [0, 1, 2, 0, 0, 7, 1]


@pytest.mark.parametrize(
    ("name", "results", "operands", "numbers", "what"),
    [
        ("forward", [LAST], (X, W, U), ONE[:3], "got 3 numbers; expected 7 for each run"),
        ("forward", [LAST, LAST], (X, W, U, X, W[:2], U), ONE * 2, r"kernel has shape \(2, 5\)"),
        (
            "forward",
            [LAST, LAST],
            (X, W, U, X, W),
            ONE * 2,
            "x must be|recurrent_kernel is missing",
        ),
        ("forward", [LAST], (X, W, U, X, W, U), ONE * 2, "last_h is missing"),
        ("forward", [LAST, LAST], (X, W, U), ONE, "got 3 operands and 2 results"),
        ("gradient", [(W.shape, jnp.float32)], (X, W, U), [*ONE[:6], 2], "needs the states"),
    ],
)
def test_the_handler_of_several_runs_checks_each(name, results, operands, numbers, what):
    assert handlers.why_not() is None
    results = [jax.ShapeDtypeStruct(shape, dtype) for shape, dtype in results]
    run = jax.ffi.ffi_call(f"seqstate_{name}_all", results)
    with pytest.raises(Exception, match=what):
        jax.block_until_ready(run(*operands, numbers=np.array(numbers, np.int32)))


# Other versions of jaxlib


@pytest.fixture
def anew():
    """Let the handlers be registered once more, before the test and after it."""
    handlers._why_not_registered.cache_clear()
    yield
    handlers._why_not_registered.cache_clear()


@pytest.mark.usefixtures("anew")
@pytest.mark.parametrize("version", [(0, 0), (1, 0), (1, 3), None])
def test_a_jaxlib_of_another_api_is_left_alone(version, monkeypatch):
    registered = []
    monkeypatch.setattr(handlers, "api", lambda: version)
    monkeypatch.setattr(jax.ffi, "register_ffi_target", lambda *a, **k: registered.append(a))
    with pytest.warns(RuntimeWarning, match=r"can't call the native kernels: its XLA FFI API"):
        reason = handlers.why_not()
    assert "XLA FFI API" in reason
    assert registered == []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert handlers.why_not() == reason
    with pytest.raises(ArgumentError, match='kernel="portable"'):
        kernels.run(t.spec_of("LSTM"), t.arrays(t.spec_of("LSTM")))


@pytest.mark.usefixtures("anew")
def test_kernels_that_were_built_without_the_headers_are_missed_once(monkeypatch):
    monkeypatch.setattr(handlers.native, "module", object)
    with pytest.warns(RuntimeWarning, match=r"built where the headers of XLA are not to be had"):
        reason = handlers.why_not()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert handlers.why_not() == reason


@pytest.mark.usefixtures("anew")
def test_a_jaxlib_that_refuses_the_handlers_works_on(monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError("handler registration failed")

    monkeypatch.setattr(jax.ffi, "register_ffi_target", refuse)
    with pytest.warns(RuntimeWarning, match="handler registration failed"):
        assert "handler registration failed" in handlers.why_not()
    assert float(jax.jit(jnp.sum)(jnp.ones(3))) == 3.0


@pytest.mark.usefixtures("anew")
def test_a_later_minor_version_will_do(monkeypatch):
    major, minor = native.xla_api
    monkeypatch.setattr(handlers, "api", lambda: (major, minor + 1))
    assert handlers.why_not() is None


def test_the_version_is_read_from_the_header_of_the_jaxlib():

    text = (Path(jax.ffi.include_dir()) / "xla/ffi/api/c_api.h").read_text()
    major, minor = handlers.api()
    assert re.search(rf"#define XLA_FFI_API_MAJOR {major}\b", text)
    assert re.search(rf"#define XLA_FFI_API_MINOR {minor}\b", text)
