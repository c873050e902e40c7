"""The handlers of the native kernels in XLA: registered at the first use, or not at all."""

from __future__ import annotations

import functools
import re
import warnings
from pathlib import Path

import jax

from seqstate.errors import message
from seqstate.kernels import native
from seqstate.kernels.frameworks import OTHER_JAXLIB


def why_not() -> str | None:
    """Tell why JAX can't use the native kernels in this process; None if it can."""
    backend = jax.default_backend()
    return _why_not_registered() if backend == "cpu" else f"JAX computes on the {backend}"


@functools.cache
def _why_not_registered() -> str | None:
    """Register the handlers, at the first use; tell why that can't be done, and warn.

    A handler that JAX doesn't know how to call would stop its CPU backend from starting. So the
    backend must be up, as it is here: then what it refuses is an exception and harms nothing.
    And the version is compared first.
    """
    if not native.available():
        return native.reason()
    module = native.module()
    try:
        if not hasattr(module, "xla_targets"):
            raise RuntimeError("they were built where the headers of XLA are not to be had")
        found, built = api(), tuple(module.xla_api)
        if found is None or found[0] != built[0] or found < built:
            shown = "none" if found is None else f"{found[0]}.{found[1]}"
            raise RuntimeError(
                f"its XLA FFI API is {shown}; expected {built[0]}.{built[1]} or a later minor one"
            )
        for name, target in module.xla_targets().items():
            jax.ffi.register_ffi_target(name, target, platform="cpu")
    except Exception as error:  # whatever an unknown jaxlib raises
        reason = f"this jaxlib can't call the native kernels: {error}"
        todo = f"Layers take the portable path, with the same numbers. {OTHER_JAXLIB}"
        warnings.warn(message("seqstate", reason, todo), RuntimeWarning, stacklevel=2)
        return reason
    return None


def api() -> tuple[int, int] | None:
    """Give the version of XLA's FFI that the installed jaxlib has, from the header it brings."""
    header = Path(jax.ffi.include_dir()) / "xla" / "ffi" / "api" / "c_api.h"
    if not header.is_file():
        return None
    found = dict(re.findall(r"#define XLA_FFI_API_(MAJOR|MINOR) (\d+)", header.read_text()))
    return int(found["MAJOR"]), int(found["MINOR"])
