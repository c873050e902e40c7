"""`Model.trace`: what `seqstate.trace` shows, without Keras."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from seqstate import state as states
from seqstate.errors import ArgumentError, message
from seqstate.runtime.inputs import by_input
from seqstate.traces import LayerTrace, Trace
from seqstate.traces.layer import QUANTITIES
from seqstate.traces.trace import unknown_layer


def traced(
    model: Any, x: Any, layers: Any, what: Any, state: Any, mask: Any, lengths: Any
) -> Trace:
    """Run a model and give a `Trace`; see `Model.trace`."""
    where = f'trace("{model.name}")'
    wanted = _wanted(what, where)
    found: dict[str, LayerTrace] = {}
    counts: dict[str, int] = {}

    def see(
        folder: tuple[str, ...], layer: Any, seen: Any, counted: Any, parts: bool = False
    ) -> None:
        own = "/".join([*(one.partition("@")[0] for one in folder), layer.name])
        number = counts[own] = counts.get(own, 0) + 1
        name = own if number == 1 else f"{own}@{number}"
        found[name] = LayerTrace(
            name=name,
            kind=layer.config.class_name,
            found={
                quantity: states.map_leaves(_own, seen[quantity])
                if isinstance(seen[quantity], dict)
                else _own(seen[quantity])
                for quantity in wanted
            },
            mask=counted,
            backwards=bool(getattr(layer, "backwards", False)),
            parts=parts,
        )

    given = by_input(model.inputs, x, model.where)
    arrays = [one.read(a, model.where) for one, a in zip(model.inputs, given, strict=True)]
    batch = model._batch(arrays)
    masks = model._masks(arrays, mask, lengths)
    compiled = model._compiled(tuple(one is not None for one in masks), see)
    before = None if state is None else model._state(state, batch)
    outputs, _ = compiled.run(arrays, masks, before)
    if not found:
        raise ArgumentError(
            message(where, "the model has no recurrent layer.", "Call `run` for its outputs.")
        )
    return Trace(model.name, x, outputs, _chosen(found, layers, where))


def _own(array: Any) -> Any:
    return np.ascontiguousarray(array)


def _wanted(what: str | Sequence[str] | None, where: str) -> tuple[str, ...]:
    names: Any = QUANTITIES if what is None else [what] if isinstance(what, str) else what
    names = list(names) if isinstance(names, Iterable) else [names]
    if not names or any(name not in QUANTITIES for name in names):
        raise ArgumentError(
            message(
                where,
                f"what={what!r}; expected some of {', '.join(map(repr, QUANTITIES))}.",
                "`state` is what is carried out of the last step, `states` that of each step.",
            )
        )
    return tuple(name for name in QUANTITIES if name in names)


def _chosen(found: dict[str, LayerTrace], asked: Any, where: str) -> dict[str, LayerTrace]:
    if asked is None:
        return found
    names = list(asked) if isinstance(asked, Iterable) and not isinstance(asked, str) else [asked]
    known = {name.partition("@")[0] for name in found}
    for name in names:
        if name not in known and name not in found:
            raise unknown_layer(where, name, found)
    return {
        name: one for name, one in found.items() if name in names or name.partition("@")[0] in names
    }
