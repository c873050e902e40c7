"""Which state of the encoder goes to which state that the decoder starts from."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any, NamedTuple

from seqstate import state as states
from seqstate.state import Spec


class Route(NamedTuple):
    """How one state of the decoder gets its first value."""

    parts: list[str]
    """The paths of the encoder's states that it is made of, side by side."""
    size: int
    """The numbers that they have together, of one row."""
    units: int
    """The numbers that it has itself, of one row."""
    activation: str | None
    """Of the learned `Dense` between the two; None: there is none."""


def routes(source: Spec, target: Mapping[str, Any], always: bool) -> dict[str, Route]:
    """Give the route of each state of the target, by its path.

    With as many recurrent layers on both sides, each layer gets the state of its counterpart;
    otherwise each gets that of the encoder's last one. There, a state gets those of its name
    (both directions of a `Bidirectional`, side by side), or all of them where none has its name.
    If the sizes are the same, that is all; if not, or if `always` is set, a learned
    `Dense` stands between the two: with tanh where the state is an output (`h`), which stays
    between -1 and 1, and linear elsewhere.

    Args:
        source: the spec of the state that comes in, by layer.
        target: the spec of the state that goes out, by layer.
        always: learn a `Dense` also where the sizes are the same.
    """
    sizes = states.flatten(source)
    names = list(source)
    origins = names if len(names) == len(target) else [names[-1]] * len(target)
    found = {}
    for (name, layer), origin in zip(target.items(), origins, strict=True):
        for path, wanted in states.flatten({name: layer}).items():
            leaf = path.rpartition("/")[2]
            of_layer = [one for one in sizes if one.split("/")[0] == origin]
            same_name = [one for one in of_layer if one.rpartition("/")[2] == leaf]
            parts = same_name or of_layer
            size = sum(prod(sizes[one]) for one in parts)
            alike = len(same_name) == 1 and sizes[same_name[0]] == wanted
            plain = not always and (alike or (bool(same_name) and (size,) == wanted))
            activation = None if plain else "tanh" if leaf == "h" else "linear"
            found[path] = Route(parts, size, prod(wanted), activation)
    return found
