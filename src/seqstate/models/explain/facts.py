"""What is said of a layer: what goes in, what it carries from step to step, and what comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras

Shape = tuple[int | None, ...]
UNKNOWN = -1
"""The size of an axis that is not known before the layer is called."""


@dataclass(frozen=True)
class Value:
    """An array that goes in or comes out.

    Attributes:
        name: such as `sequence`, or `state h`.
        axes: the names of the axes; "" for one that has none.
        shape: the size of each axis; None for any size, `UNKNOWN` where it is not known yet.
        says: what it is, in words.
        place: where it is among the results: "2" for the second, "" where it is the only one.
        parts: the names of several arrays of this shape.
        state: the state that this is, by path; "" for what is none.
    """

    name: str
    axes: tuple[str, ...]
    shape: Shape
    says: str = ""
    place: str = ""
    parts: tuple[str, ...] = ()
    state: str = ""

    def written(self) -> str:
        """Give the axes with their sizes: `[batch, time 24, features 3]`."""
        return f"[{', '.join(map(_axis, self.axes, self.shape))}]"

    def titled(self) -> str:
        """Give the place and the name: `2. state h`."""
        parts = f" {', '.join(self.parts)}" if self.parts else ""
        return f"{self.place}. {self.name}{parts}" if self.place else f"{self.name}{parts}"


@dataclass(frozen=True)
class LayerFacts:
    """What is said of one layer.

    Attributes:
        name: of the layer, with the models that it stands in: `encoder/lstm`.
        kind: its class.
        goes_in: the arrays that it reads.
        carried: what goes from each time step to the next, by path; sizes without the batch.
        comes_out: the arrays that it gives, in order.
        by_name: whether they come as a dict.
        recurrent: whether it runs over time.
        reads: the directions in which it reads, by name.
        starts: what the first step starts from, in words; "" where nothing is carried.
        held_back: what it could return and does not: what, and how to ask for it.
        source: the layer that the first input comes from; "" for an input of the model, None
            where it is not known.
        weights: how many numbers they are, and how that comes about; "" before it is built.
    """

    name: str
    kind: str
    goes_in: tuple[Value, ...]
    comes_out: tuple[Value, ...]
    carried: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    by_name: bool = False
    recurrent: bool = False
    reads: tuple[str, ...] = ()
    starts: str = ""
    held_back: Mapping[str, str] = field(default_factory=dict)
    source: str | None = None
    weights: str = ""

    def titled(self) -> str:
        """Give the name and, where the name does not say it, the class: `encoder (LSTM)`."""
        name = self.name.rpartition("/")[2]
        said = name.replace("_", "").rstrip("0123456789") == self.kind.lower().rstrip("0123456789")
        return name if said else f"{name} ({self.kind})"


def _axis(name: str, size: int | None) -> str:
    shown = {None: "", UNKNOWN: "?"}.get(size, str(size))
    return f"{name} {shown}".strip() or "any"


def source_of(call: Any, name: str) -> str | None:
    """Give the name of the layer that the first input of a call comes from.

    Args:
        call: the node of Keras, or None.
        name: of the layer that is called, with the models that it stands in.
    """
    if call is None or not call.input_tensors:
        return None
    before = maker(call.input_tensors[0])
    prefix = name.rpartition("/")[0]
    return f"{prefix}/{before}" if before and prefix else before


def maker(tensor: Any) -> str:
    """Give the name of the layer that made a symbolic tensor; "" for an input."""
    operation = tensor._keras_history.operation
    return "" if isinstance(operation, keras.layers.InputLayer) else operation.name


def flat_shapes(found: Any) -> list[Shape]:
    """Give the shapes in a tree of them, as layers say their results."""
    if isinstance(found, tuple | list) and all(
        one is None or isinstance(one, int) for one in found
    ):
        return [tuple(found)]
    if isinstance(found, Mapping):
        found = list(found.values())
    return [one for inner in found for one in flat_shapes(inner)]


def shape_in(layer: Any, call: Any) -> Shape | None:
    """Give the shape of the first input; None for a layer that was not called yet."""
    if call is not None:
        return tuple(call.input_tensors[0].shape)
    config = layer.get_build_config() or {}
    shape = config.get("input_shape")
    if shape is None:
        shape = next(iter((config.get("shapes_dict") or {}).values()), None)
    shapes = [] if shape is None else flat_shapes(shape)
    if not shapes:
        return None
    batch = shapes[0][0] if getattr(layer, "stateful", False) else None
    # Built from data: the layer takes any number of rows.
    return (batch, *shapes[0][1:])
