"""States of one model as states of another, where names and shapes still fit."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

import numpy as np

from seqstate import state as states
from seqstate.errors import StateMismatchError, message
from seqstate.state import Spec, State
from seqstate.stores.blob import Layout, read

_ENCLOSED = "state in base64"


class Target(NamedTuple):
    """The model that states are moved to.

    Attributes:
        fingerprint: of the model.
        spec: its state: the sizes of one row, by name.
        start: the state that a new source starts from, without the batch axis; what an older
            state lacks is taken from here.
    """

    fingerprint: str
    spec: Spec
    start: State


@dataclass
class Report:
    """What became of the states, each part with how many keys it happened to.

    Attributes:
        moved: paths whose values went over.
        filled: paths of the new model that the older state does not have, set to the start.
        dropped: paths of the older state that the new model has no place for.
        reshaped: paths that both have with different sizes: dropped and filled.
    """

    moved: dict[str, int] = field(default_factory=dict)
    filled: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    reshaped: dict[str, int] = field(default_factory=dict)

    def add(self, other: Report) -> None:
        """Count what another report has counted."""
        for part in fields(self):
            counted: dict[str, int] = getattr(self, part.name)
            for path, count in getattr(other, part.name).items():
                counted[path] = counted.get(path, 0) + count


def enclose(data: bytes) -> dict[str, str]:
    """Give the blob of a state a form that can stand in the `extra` of another.

    Bookmarks are kept in this way; `migrate` moves what is enclosed as well.

    >>> enclose(b"...")
    {'state in base64': 'Li4u'}
    """
    return {_ENCLOSED: base64.b64encode(data).decode()}


def enclosed(value: Any) -> bytes | None:
    """Give the blob that `enclose` put there; None where there is none.

    >>> enclosed(enclose(b"...")), enclosed({"sequence": 7})
    (b'...', None)
    """
    if not isinstance(value, Mapping) or value.keys() != {_ENCLOSED}:
        return None
    try:
        return base64.b64decode(value[_ENCLOSED], validate=True)
    except (binascii.Error, TypeError, ValueError):
        return None


def migrate(data: bytes, target: Target, where: str, report: Report) -> bytes:
    """Give the blob of a state for another model.

    A value is moved where the path and the sizes are the same. What else belongs to the source
    stays, and the states that are enclosed in it are moved likewise.

    Args:
        data: the blob, of any model.
        target: the model that it is for from now on.
        where: whose state it is, for messages.
        report: is told what happened.

    Raises:
        StateMismatchError: nothing at all fits.
        DataError: the blob is damaged.
    """
    content = read(data, where)
    old, wanted = states.flatten(content.row), states.flatten(target.spec)
    start = states.flatten(target.start)
    new = {}
    for path, sizes in wanted.items():
        fits = path in old and old[path].shape == tuple(sizes)
        new[path] = old[path] if fits else np.asarray(start[path], np.float32)
        _count(report.moved if fits else report.reshaped if path in old else report.filled, path)
    for path in old:
        if path not in wanted:
            _count(report.dropped, path)
    if wanted and not any(path in old and new[path] is old[path] for path in wanted):
        raise StateMismatchError(
            message(
                where,
                f"nothing of the state fits: it has {_shapes(old)}; the model has "
                f"{', '.join(f'{path} {tuple(sizes)}' for path, sizes in wanted.items())}.",
                "Remove the key, so that it starts anew, or pass the right model.",
            )
        )
    extra = _with_enclosed(content.extra, target, where, report)
    row = states.nest(target.spec, new)
    return Layout(target.fingerprint, target.spec).pack(row, extra, where)


def _with_enclosed(value: Any, target: Target, where: str, report: Report) -> Any:
    inner = enclosed(value)
    if inner is not None:
        return enclose(migrate(inner, target, where, report))
    if isinstance(value, dict):
        return {k: _with_enclosed(v, target, where, report) for k, v in value.items()}
    if isinstance(value, list):
        return [_with_enclosed(v, target, where, report) for v in value]
    return value


def _count(part: dict[str, int], path: str) -> None:
    part[path] = part.get(path, 0) + 1


def _shapes(flat: Mapping[str, np.ndarray]) -> str:
    return ", ".join(f"{path} {leaf.shape}" for path, leaf in flat.items()) or "none"
