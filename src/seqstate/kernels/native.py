"""The native kernels on NumPy arrays.

The compiled module is loaded when it is first needed. A package that was installed without a
compiler does not have it; then `reason` says so, and other kernels do the work.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from seqstate import config
from seqstate.errors import InputError, MissingPackageError, message
from seqstate.kernels.call import DIFFERENTIABLE, INPUTS, Spec

if TYPE_CHECKING:
    from types import ModuleType

Array = np.ndarray
Arrays = Mapping[str, Any]

MASKS = ("mask", "reset_mask")
# The kernels read these as one block of memory; all others with any strides.
DENSE = (
    "kernel",
    "recurrent_kernel",
    "bias",
    "recurrent_bias",
    "input_dropout",
    "recurrent_dropout",
)

REPAIR = (
    "Install a C++ compiler, for instance g++ 12, and then: pip install --force-reinstall "
    "--no-cache-dir --no-deps seqstate (with -v to see what the compiler says)."
)


@cache
def _load() -> ModuleType | str:
    """Give the compiled module, or why there is none."""
    try:
        module = importlib.import_module("seqstate._native")
    except ModuleNotFoundError:
        return "seqstate was installed without its compiled part (no C++20 compiler, or it failed)"
    except ImportError as error:
        return f"the compiled module can't be loaded: {error}"
    # The build is chosen now, so that a wrong SEQSTATE_ISA is an error and not a slow program.
    module.build_name()
    config.when_threads_are_set(module.set_threads)
    return module


def available() -> bool:
    """Say whether the native kernels are there."""
    return not isinstance(_load(), str)


def reason() -> str | None:
    """Say why the native kernels are not there, or None if they are."""
    loaded = _load()
    return loaded if isinstance(loaded, str) else None


@cache
def usable() -> bool:
    """Say whether the native kernels are there, and warn once where they are missed."""
    why = reason()
    if why is not None:
        warnings.warn(
            f"The native kernels of seqstate are not used: {why}. Layers run on the portable "
            f"path: the same numbers, slower. {REPAIR}",
            RuntimeWarning,
            stacklevel=2,
        )
    return why is None


@cache
def module() -> ModuleType:
    """Give the compiled module.

    Raises:
        MissingPackageError: where the package was installed without it.
    """
    loaded = _load()
    if isinstance(loaded, str):
        raise MissingPackageError(message("seqstate.kernels.native", loaded, REPAIR))
    return loaded


def forward(spec: Spec, inputs: Arrays, *, build: str | None = None) -> dict[str, Array]:
    """Run a cell over a batch of sequences.

    Args:
        spec: the static part of the call.
        inputs: arrays by the names in `call.INPUTS`, those that there are.
        build: the build of the kernels; by default the one for this machine.

    Returns:
        Arrays by the names that `spec.results()` lists.

    Raises:
        InputError: where an array is missing, unknown, or of another type or size.
        ArgumentError: where the kernels don't know a name in `spec`, or there is no such build.
    """
    return forward_all([(spec, inputs)], build=build)[0]


def forward_all(
    calls: Sequence[tuple[Spec, Arrays]], *, build: str | None = None
) -> list[dict[str, Array]]:
    """Run several cells, each over its sequences: what `forward` gives for each of them.

    Where that is faster, they run side by side, each on one thread.

    Args:
        calls: for each run what `forward` takes.
        build: the build of the kernels; by default the one for this machine.
    """
    module()
    given = [prepared(inputs) for _, inputs in calls]
    results = [empty_results(spec, own) for (spec, _), own in zip(calls, given, strict=True)]
    handed = [(*spec.static(), *own) for (spec, _), *own in zip(calls, given, results, strict=True)]
    compute("forward", handed, build)
    return results


def gradient(
    spec: Spec,
    inputs: Arrays,
    results: Arrays,
    cotangents: Arrays,
    wanted: Iterable[str] = DIFFERENTIABLE,
    *,
    build: str | None = None,
) -> dict[str, Array]:
    """Give the gradient of a run (its vector-Jacobian product).

    Args:
        spec: the static part of the run.
        inputs: what the run was given.
        results: what the run gave, with `states_*` and `kept`.
        cotangents: by the name of the result, each of its shape; those that there are.
        wanted: names of inputs; those that the run was not given are left out.
        build: the build of the kernels; by default the one for this machine.

    Returns:
        The gradient for each wanted input, by its name and of its shape.

    Raises:
        InputError: where an array is missing, unknown, or of another type or size.
        ArgumentError: where the kernels don't know a name in `spec`, or there is no such build.
    """
    return gradient_all([(spec, inputs, results, cotangents, wanted)], build=build)[0]


def gradient_all(
    calls: Sequence[tuple[Spec, Arrays, Arrays, Arrays, Iterable[str]]],
    *,
    build: str | None = None,
) -> list[dict[str, Array]]:
    """Give the gradients of several runs: what `gradient` gives for each of them.

    Args:
        calls: for each run what `gradient` takes, and which gradients are wanted.
        build: the build of the kernels; by default the one for this machine.
    """
    module()
    handed = [_gradient_call(*call) for call in calls]
    compute("gradient", handed, build)
    found: list[dict[str, Array]] = [call[-1] for call in handed]
    return found


def compute(what: str, calls: Sequence[tuple[Any, ...]], build: str | None = None) -> None:
    """Let the compiled module do what several calls ask for.

    Args:
        what: "forward" or "gradient".
        calls: what the module's function of this name takes, up to the build.
        build: the build of the kernels; by default the one for this machine.
    """
    if len(calls) == 1:
        getattr(module(), what)(*calls[0], build)
    elif calls:
        getattr(module(), f"{what}_all")(calls, build)


def _gradient_call(
    spec: Spec, inputs: Arrays, results: Arrays, cotangents: Arrays, wanted: Iterable[str]
) -> tuple[Any, ...]:
    given = prepared(inputs)
    names = [name for name in wanted if name in given]
    if unknown := set(names) - set(DIFFERENTIABLE):
        raise InputError(
            message(
                f"native {spec.kind}",
                f"there is no gradient for {sorted(unknown)}",
                f"There is one for {', '.join(DIFFERENTIABLE)}.",
            )
        )
    record = {name: results[name] for name in _record(spec) if name in results}
    gradients = {name: np.empty(given[name].shape, np.float32) for name in names}
    return (*spec.static(), given, record, dict(cotangents), gradients)


def prepared(inputs: Arrays) -> dict[str, Array]:
    """Make of each input an array as the kernels read it, without a copy where it is one."""
    if unknown := set(inputs) - set(INPUTS):
        raise InputError(
            message(
                "native kernels",
                f"unknown inputs {sorted(unknown)}",
                f"There are {', '.join(INPUTS)}.",
            )
        )
    return {name: _prepared(name, value) for name, value in inputs.items()}


def _prepared(name: str, value: Any) -> Array:
    array = np.asarray(value)
    if name in MASKS:
        return array if array.dtype == np.bool_ else array != 0
    return np.ascontiguousarray(array) if name in DENSE else array


def empty_results(spec: Spec, inputs: Arrays) -> dict[str, Array]:
    """Make the arrays that a run with these inputs writes, their values not set."""
    x, recurrent_kernel = (np.shape(inputs.get(name, ())) for name in ("x", "recurrent_kernel"))
    if len(x) != 3 or len(recurrent_kernel) != 2:
        # What is wrong with them, the kernels say themselves.
        return {}
    batch, time, units = x[0], x[1], recurrent_kernel[0]
    shapes = {
        "last": (batch, units),
        "states": (batch, time, units),
        "kept": (time, batch, spec.kept, units),
    }
    return {name: np.empty(shapes[name.split("_")[0]], np.float32) for name in spec.results()}


def _record(spec: Spec) -> tuple[str, ...]:
    """List the results of a run that its gradient reads."""
    states = tuple(f"states_{name}" for name in spec.names.states)
    return (*states, "kept") if spec.kept else states
