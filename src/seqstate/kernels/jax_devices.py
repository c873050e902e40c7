"""A native call over several devices: split along the batch, or inside of `jax.shard_map`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.experimental.custom_partitioning import custom_partitioning
from jax.sharding import Mesh, NamedSharding, PartitionSpec


@functools.cache
def partitioned(target: Any) -> Callable[..., Any]:
    """Give the call so that XLA splits it along the batch, which no two rows share.

    A gradient of weights is then the sum over the devices.

    Args:
        target: a `jax_call.Target` or `jax_call.Two`.
    """
    operands, results = target.axes()

    def infer(mesh: Any, given: Any, _: Any) -> Any:
        return _shardings(mesh, _rows_of(given[0].sharding), results)

    def partition(mesh: Any, given: Any, _: Any) -> Any:
        rows = _rows_of(given[0].sharding)
        if mesh.empty:
            # Devices without a mesh: each of them gets the whole batch.
            mesh = Mesh(np.array(list(given[0].sharding.device_set)), ("devices",))

        def on_one_device(*arrays: Any) -> list[Any]:
            made = target(*arrays)
            if rows is None:
                return made
            of_weights = [i for i, axes in enumerate(results) if "b" not in axes]
            sums = jax.lax.psum([made[i] for i in of_weights], rows)
            for i, total in zip(of_weights, sums, strict=True):
                made[i] = total
            return made

        on_operands = tuple(_shardings(mesh, rows, operands))
        return mesh, on_one_device, _shardings(mesh, rows, results), on_operands

    on_devices = custom_partitioning(lambda *arrays: target(*arrays))
    on_devices.def_partition(
        partition,
        infer_sharding_from_operands=infer,
        sharding_rule=" -> ".join(
            ", ".join(" ".join(axes) for axes in group) for group in (operands, results)
        ),
    )
    return on_devices


def _shardings(mesh: Any, rows: Any, group: list[str]) -> list[Any]:
    specs = [PartitionSpec(*(rows if a == "b" else None for a in axes)) for axes in group]
    return [NamedSharding(mesh, spec) for spec in specs]


def _rows_of(x: Any) -> Any:
    """Give the axes of the mesh along which the batch of x is split, by its sharding."""
    return x.spec[0] if isinstance(x, NamedSharding) and len(x.spec) else None


def over_explicit_axes(function: Callable[..., Any], target: Any) -> Callable[..., Any]:
    """Let a call take arrays whose types say how they are split over a mesh.

    XLA splits the call then as it does otherwise, and the results are split as x is.
    """

    def split_as_x(*arrays: Any) -> Any:
        sharding = getattr(jax.typeof(arrays[0]), "sharding", None)
        names = [kind.name for kind in getattr(getattr(sharding, "mesh", None), "axis_types", ())]
        if sharding is None or "Explicit" not in names:
            return function(*arrays)
        out = _shardings(sharding.mesh, _rows_of(sharding), target.axes()[1])
        return jax.sharding.auto_axes(function, out_sharding=out)(*arrays)

    return split_as_x if hasattr(jax.sharding, "auto_axes") else function


def axes_varying(*arrays: Any) -> frozenset[str]:
    """Give the axes of the mesh along which arrays differ, inside of `jax.shard_map`."""
    types = [jax.typeof(array) for array in arrays] if hasattr(jax, "typeof") else []
    # JAX renamed the attribute in 0.10.
    axes: list[Any] = [getattr(getattr(t, "manual_axis_type", t), "varying", None) for t in types]
    axes = [getattr(t, "vma", ()) if a is None else a for t, a in zip(types, axes, strict=True)]
    return frozenset(axis for each in axes for axis in each)


def varying_along(array: Any, axes: frozenset[str]) -> Any:
    """Let an array count as one that differs along axes of the mesh."""
    missing = tuple(axes - axes_varying(array))
    if not missing:
        return array
    if hasattr(jax.lax, "pcast"):
        return jax.lax.pcast(array, missing, to="varying")
    return jax.lax.pvary(array, missing)


def summed(gradient: Any, like: Any) -> Any:
    """Add up the gradient of an array over the axes of the mesh along which the array is one."""
    more = tuple(axes_varying(gradient) - axes_varying(like))
    return jax.lax.psum(gradient, more) if more else gradient
