"""The facts about a recurrent layer: its results by name and place, its states, its weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from seqstate import state as states
from seqstate.cells import KINDS
from seqstate.layers import RNN, RWACell
from seqstate.layers import returns as named_results
from seqstate.layers.steps import StackedSteps, Steps, steps_of
from seqstate.models.explain.facts import (
    UNKNOWN,
    LayerFacts,
    Shape,
    Value,
    maker,
    shape_in,
    source_of,
)
from seqstate.models.recurrent_layers import (
    directions_of,
    is_bidirectional,
    is_recurrent,
    spec_of,
)


def knows_states(layer: Any) -> bool:
    """Tell whether a layer is recurrent and its states have names."""
    if is_bidirectional(layer):
        return all(knows_states(one) for one in directions_of(layer).values())
    return is_recurrent(layer)


def holds_recurrent(layer: Any) -> bool:
    """Tell whether there are recurrent layers inside a layer."""
    return any(knows_states(one) for one in layer._flatten_layers(include_self=False))


def recurrent_facts(layer: Any, name: str, call: Any) -> LayerFacts:
    """Give the facts about a layer that `knows_states`.

    Args:
        layer: Keras's or ours.
        name: what it is called.
        call: the node of Keras of its call, or None.
    """
    shape = shape_in(layer, call) or (None, None, UNKNOWN)
    spec = spec_of(layer)
    flat = states.flatten(spec)
    sequences = Value("sequences", ("batch", "time", *_named("features", shape[2:])), shape)
    directions = directions_of(layer) if is_bidirectional(layer) else {"": layer}
    given = list(_initial_state(layer, spec, shape[0], call))
    by_name = bool(getattr(layer, "returned", None))
    return LayerFacts(
        name,
        type(layer).__name__,
        (sequences, *given),
        tuple(
            _in_running_order(layer, _by_name(layer, shape) if by_name else _in_order(layer, shape))
        ),
        carried=flat,
        by_name=by_name,
        recurrent=True,
        reads=tuple("backward" if one.go_backwards else "forward" for one in directions.values()),
        starts=_starts(layer, given),
        held_back={} if by_name else _held_back(layer),
        source=source_of(call, name),
        weights=_weights(layer, shape[-1] if len(shape) == 3 else None),
    )


def _initial_state(layer: Any, spec: states.Spec, batch: int | None, call: Any) -> Iterator[Value]:
    """Give the states that other layers hand in."""
    if call is None:
        return
    arguments = call.arguments
    given = arguments.kwargs.get("initial_state", next(iter(arguments.args[1:2]), None))
    if given is None:
        return
    flat = states.flatten(spec)
    for path, tensor in states.name_leaves(spec, given, layer.name).items():
        axes = ("batch", *_named("units", flat[path]))
        shape = (batch, *flat[path])
        yield Value(
            f"initial state {path}", axes, shape, f"from {maker(tensor) or 'an input'}", state=path
        )


def _starts(layer: Any, given: Sequence[Value]) -> str:
    if given:
        return f"state {', '.join(dict.fromkeys(value.says for value in given))}"
    one = layer.forward_layer if is_bidirectional(layer) else layer
    if getattr(one, "learned_state", None) is not None:
        return "from a learned state"
    if layer.stateful:
        return "from the batch before"
    return "from a learned h, else from zeros" if _learns_h(one.cell) else "from zeros"


def _learns_h(cell: Any) -> bool:
    """Tell whether a cell, or one inside it, starts from a weight of its own."""
    inside = getattr(cell, "cells", None) or [getattr(cell, "cell", None)]
    inner = inside.values() if isinstance(inside, Mapping) else inside
    return isinstance(cell, RWACell) or any(_learns_h(one) for one in inner if one is not None)


def _steps(layer: Any) -> Steps:
    return layer.steps if isinstance(layer, RNN) else steps_of(layer.cell)


def _is_unmerged(layer: Any) -> bool:
    return is_bidirectional(layer) and layer.merge_mode is None


def _output_sizes(layer: Any) -> tuple[int, ...]:
    """Give the sizes of one row of the output; for two directions that are not merged, of one."""
    if not is_bidirectional(layer):
        return _steps(layer).output
    forward, backward = (_steps(one).output for one in directions_of(layer).values())
    return (*forward[:-1], forward[-1] + backward[-1]) if layer.merge_mode == "concat" else forward


def _in_running_order(layer: Any, values: Iterator[Value]) -> Iterator[Value]:
    """Say it where the last step comes first."""
    for value in values:
        if "time" in value.axes and not is_bidirectional(layer) and layer.go_backwards:
            yield replace(value, says=f"{value.says}, last step first")
        else:
            yield value


def _in_order(layer: Any, shape: Shape) -> Iterator[Value]:
    """Give what the two flags of Keras ask for."""
    first = "sequence" if layer.return_sequences else "output"
    sizes = _output_sizes(layer)
    listed = _listed(layer) if layer.return_state else []
    names = list(directions_of(layer)) if _is_unmerged(layer) else [""]
    several = len(names) + len(listed) > 1
    for number, direction in enumerate(names, 1):
        yield replace(
            _result(first, shape, sizes, _words_of_output(layer, first, direction)),
            name=f"{direction} {first}".strip(),
            place=str(number) if several else "",
        )
    flat = states.flatten(spec_of(layer))
    for number, one in enumerate(listed, len(names) + 1):
        for inner, path in enumerate(one, 1) if isinstance(one, list) else [(0, one)]:
            value = _result("state", shape, flat[path], f"{path} after the last step")
            place = f"{number}.{inner}" if inner else str(number)
            yield replace(value, name=f"state {path}", place=place, state=path)


def _by_name(layer: Any, shape: Shape) -> Iterator[Value]:
    """Give what `returns=` asks for."""
    for name, tree in layer.compute_output_shape(shape).items():
        says = _SAYS.get(name) or _words_of_output(layer, name, "")
        skip = 2 if name in named_results.WITH_TIME else 1
        if not isinstance(tree, Mapping):
            yield _result(name, shape, tree[skip:], says)
            continue
        # Arrays of one shape are said together: four gates are one thing to look at.
        together: dict[tuple[int, ...], list[str]] = {}
        for path, leaf in states.leaves(tree):
            together.setdefault(leaf[skip:], []).append(path)
        for sizes, paths in together.items():
            yield replace(_result(name, shape, sizes, says), parts=tuple(paths))


_SAYS = {
    "state": "after the last step",
    "states": "after each step",
    "gates": "as activated at each step",
}


def _result(name: str, shape: Shape, sizes: tuple[int, ...], says: str) -> Value:
    time = ("time",) if name in named_results.WITH_TIME else ()
    before = shape[: 1 + len(time)]
    return Value(name, ("batch", *time, *_named("units", sizes)), (*before, *sizes), says)


def _named(name: str, sizes: Sequence[Any]) -> tuple[str, ...]:
    return (name,) if len(sizes) == 1 else tuple(name for _ in sizes)


def _words_of_output(layer: Any, name: str, direction: str) -> str:
    when = "each" if name == "sequence" else "the last"
    if is_bidirectional(layer):
        if direction or layer.merge_mode is None:
            return f"h after {when} step"
        how = {
            "concat": "side by side",
            "sum": "added",
            "ave": "averaged",
            "mul": "multiplied",
        }[layer.merge_mode]
        return f"both h after {when} step, {how}"
    steps = _steps(layer)
    if isinstance(steps, StackedSteps):
        return f"the output of {list(steps.inner)[-1]} after {when} step"
    is_h = steps.vectors and "h" in steps.spec
    return f"{'h' if is_h else 'the output'} after {when} step"


def _listed(layer: Any) -> list[Any]:
    """Give the paths of the states, nested as the layer returns them."""
    if is_bidirectional(layer):
        return [
            [f"{direction}/{path}" for path in one]
            if isinstance(one, list)
            else f"{direction}/{one}"
            for direction, inner in directions_of(layer).items()
            for one in _listed(inner)
        ]
    steps = _steps(layer)
    paths = states.nest(steps.spec, {path: path for path, _ in states.leaves(steps.spec)})
    return steps.listed(paths)


def _held_back(layer: Any) -> dict[str, str]:
    back = {}
    if not layer.return_sequences:
        back["the output at each step"] = "return_sequences=True"
    if not layer.return_state:
        back["the state"] = "return_state=True"
    return back


def _weights(layer: Any, features: int | None) -> str:
    """Say how many weights there are, and why."""
    if not layer.built:
        return ""
    count = layer.count_params()
    layers = list(directions_of(layer).values()) if is_bidirectional(layer) else [layer]
    first = layers[0]
    blocks = [kind.blocks for kind in KINDS.values() if type(first).__name__ == kind.name]
    if not blocks or features is None or not hasattr(first, "units"):
        return f"{count:,}"
    biases = first.use_bias + (first.use_bias and getattr(first, "reset_after", False))
    units = first.units
    if count != len(layers) * blocks[0] * units * (features + units + biases):
        return f"{count:,}"
    times = f"{len(layers)} x " if len(layers) > 1 else ""
    bias = f" + {biases}" if biases else ""
    return (
        f"{count:,} = {times}{blocks[0]} x units x (features + units{bias}) "
        f"= {times}{blocks[0]} x {units} x ({features} + {units}{bias})"
    )
