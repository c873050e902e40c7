"""In which order Keras counts the results of a layer that returns them by name.

A functional model says by number, in its file too, which result of a layer it goes on from. Keras
numbers results in nested dicts by sorted names on JAX and TensorFlow; on torch it sorts the names
of the outermost dict alone, and takes the others as they stand, `h` before `c`. So a layer's config
says how its results were counted, and a layer made from it is counted that way on every backend.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from seqstate.errors import ArgumentError, message

SORTED, AS_THEY_STAND = "sorted", "as they stand"
ORDERS = (SORTED, AS_THEY_STAND)


def order_on(backend: str) -> str:
    """Give how Keras counts plain dicts within a dict on a backend."""
    return AS_THEY_STAND if backend == "torch" else SORTED


def read_order(order: str | None, here: str, where: str) -> str:
    """Check an order that a config has; None stands for that of here.

    Raises:
        ArgumentError: it is none.
    """
    if order is None:
        return here
    if order not in ORDERS:
        raise ArgumentError(
            message(
                where,
                f"result_order={order!r}; expected one of {ORDERS}.",
                "Leave it out: it is for the configs of models that were saved.",
            )
        )
    return order


def arranged(results: Any, order: str, here: str) -> Any:
    """Give results that are counted in an order other than that of where they are counted.

    Args:
        results: by name; what is no dict stays as it is.
        order: in which they shall be counted.
        here: in which plain dicts are counted.

    Example:
        >>> list(arranged({"state": {"h": 1, "c": 2}}, SORTED, AS_THEY_STAND)["state"])
        ['c', 'h']
        >>> type(arranged({"state": {"h": 1, "c": 2}}, AS_THEY_STAND, SORTED)["state"]).__name__
        'OrderedDict'
    """
    if order == here or not isinstance(results, Mapping):
        return results
    return {name: _inner(one, order) for name, one in results.items()}


def _inner(result: Any, order: str) -> Any:
    if not isinstance(result, Mapping):
        return result
    if order == SORTED:
        return {name: _inner(result[name], order) for name in sorted(result)}
    # Keras and its frameworks take these as they stand.
    return OrderedDict((name, _inner(one, order)) for name, one in result.items())
