"""`to_keras`: our layers in a model, replaced by Keras's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import keras

from seqstate import layers as ours
from seqstate import state as states
from seqstate.errors import ArgumentError, message
from seqstate.layers import RNN, Bidirectional
from seqstate.layers.bidirectional import DIRECTIONS
from seqstate.layers.recurrent import ORDER_HERE
from seqstate.layers.steps import GatedSteps, StackedSteps
from seqstate.models.config_nodes import Node, nodes
from seqstate.models.rebuilt import rebuilt
from seqstate.models.recurrent_layers import recurrent_layers, spec_of
from seqstate.result_order import arranged

_OURS = "seqstate."
_CALL_OURS_ALONE = ("reset_mask", "lengths")


def to_keras(model: Any) -> Any:
    """Give the same model with our layers replaced by Keras's own.

    The file that it saves opens where seqstate is not installed. The model itself stays as it
    is. Results by name become Keras's flags where Keras has them: the output, the sequence, the
    last state. A complete `initial_state` by name becomes a list.

    Args:
        model: a Keras model with layers of ours.

    Returns:
        A new model: same weights, names, compile settings, outputs equal to 1e-5.

    Raises:
        ArgumentError: not a model, no recurrent layer, something that Keras does not have or
            takes otherwise, or layers of ours that code makes; the message lists it all.

    Example:
        >>> import keras, seqstate
        >>> from seqstate.layers import LSTM
        >>> x = keras.Input((None, 2))
        >>> r = LSTM(3, returns=("sequence", "state"), name="lstm")(x)
        >>> plain = seqstate.to_keras(keras.Model(x, r["state"]["c"]))
        >>> plain.get_layer("lstm").return_state, type(plain.get_layer("lstm")).__module__
        (True, 'keras.src.layers.rnn.lstm')
    """
    where = f'to_keras("{getattr(model, "name", type(model).__name__)}")'
    layers = recurrent_layers(model, where)
    made = rebuilt(model, lambda config: _Change(config, model, layers).run(where), where)
    left = {one.name: type(one).__name__ for one in made._flatten_layers() if _is_ours(type(one))}
    if left:
        raise ArgumentError(
            message(
                where,
                "seqstate's layers are still in the new model: "
                + ", ".join(f'"{name}" ({kind})' for name, kind in left.items())
                + ". They are made by the code of a class, not from the config.",
                "Write keras.layers in that code, or save the model as it is and import "
                "seqstate.layers where it is loaded.",
            )
        )
    return made


class _Change:
    """Changes a config from our layers to Keras's, and gathers what stands in the way."""

    def __init__(self, config: Node, model: Any, layers: Mapping[str, Any]) -> None:
        self.config, self.model, self.layers = config, model, layers
        self.problems: dict[str, str] = {}

    def run(self, where: str) -> None:
        self._find_own_classes()
        self._change_graph(self.config, "", self.model, masked=False)
        for node in nodes(self.config):
            self._change_class(node)
        if self.problems:
            raise ArgumentError(
                message(
                    where,
                    "Keras does not have what is used here: "
                    + "; ".join(f'"{name}" {why}' for name, why in self.problems.items())
                    + ".",
                    "Take that out of the model first, or save it as it is and import "
                    "seqstate.layers where it is loaded.",
                )
            )

    def _find_own_classes(self) -> None:
        for layer in self.model._flatten_layers():
            kind = type(layer)
            if _is_ours(kind) and not kind.__module__.startswith(_OURS):
                self.problems[layer.name] = f"is a {kind.__name__}, a class on top of seqstate's"

    def _change_graph(self, graph: Node, prefix: str, live: Any, masked: bool) -> None:
        """Change how the layers of a model are called, and what is taken from them.

        Args:
            graph: the model in the config.
            prefix: the path of the model, with a slash at the end.
            live: the model itself.
            masked: whether a mask comes in from the model around it.
        """
        places = list(_places(graph["config"]))
        for node in graph["config"].get("layers", []):
            path = f"{prefix}{node['config'].get('name')}"
            layer = self.layers.get(path)
            if isinstance(layer, RNN | Bidirectional):
                carry = [masked or one for one in _masked_calls(live, layer)]
                self._change_calls(node, layer, path, carry)
                if layer.returned:
                    own = [place for place in places if place[0] == layer.name]
                    self._change_results(node, layer, path, own)
            elif "layers" in node["config"]:
                inner = live.get_layer(node["config"]["name"])
                comes_in = masked or any(_masked_calls(live, inner))
                self._change_graph(node, f"{path}/", inner, comes_in)

    def _change_class(self, node: Node) -> None:
        if not str(node.get("module", "")).startswith(_OURS):
            return
        name, config = node["class_name"], node["config"]
        shown = config.get("name", name)
        if name not in ours.__all__ or not hasattr(keras.layers, name):
            self.problems[shown] = f"is a {name}, which Keras does not have"
            return
        node["module"], node["registered_name"] = "keras.layers", None
        # Which kernel runs is ours to choose.
        config.pop("kernel", None)
        if config.pop("learn_initial_state", False):
            self.problems[shown] = "learns its initial state"
        config.pop("result_order", None)
        if config.pop("returns", None) is not None:
            self.problems.setdefault(shown, "gives its results as a dict by name")
        if name == "RNN" and not _keras_runs(self.layers.get(shown)):
            self.problems[shown] = "runs a cell whose states or gates have names"

    def _change_calls(self, node: Node, layer: Any, path: str, masked: list[bool]) -> None:
        for place, call in enumerate(node.get("inbound_nodes", [])):
            given = call.get("kwargs", {})
            for name in _CALL_OURS_ALONE:
                if given.pop(name, None) is not None:
                    self.problems[path] = f"is called with {name}"
            initial = given.get("initial_state")
            if isinstance(initial, dict) and "class_name" not in initial:
                given["initial_state"] = self._listed(initial, layer, path)
                if given.get("mask") is None and place < len(masked) and masked[place]:
                    self.problems[path] = (
                        "is called with an initial_state on an input that carries a mask, which "
                        "Keras drops (pass mask=... in that call)"
                    )
                shapes = node.get("build_config", {}).pop("shapes_dict", None)
                if shapes:
                    node["build_config"]["input_shape"] = shapes["sequences_shape"]

    def _listed(self, initial: Mapping[str, Any], layer: Any, path: str) -> Any:
        """Give an initial state by name as the list that Keras wants."""
        found = dict(_tensors(initial))
        names = list(states.flatten(spec_of(layer)))
        missing = [name for name in names if name not in found]
        if missing:
            self.problems[path] = f"is called with an initial_state without {', '.join(missing)}"
            return None
        if isinstance(layer, Bidirectional):
            return [found[name] for name in names]
        return layer.steps.listed(states.nest(layer.steps.spec, found))

    def _change_results(self, node: Node, layer: Any, path: str, places: list[list[Any]]) -> None:
        """Say by flags what was asked for by name, and count the places of the results anew."""
        named = _names_by_place(layer)
        used = {named[place[2]] for place in places}
        kinds = {name.split("/")[0] for name in used}
        both = {"output", "sequence"} <= kinds
        if not places or (both and isinstance(layer, Bidirectional)):
            self.problems[path] = "gives its results as a dict by name"
            return
        if kinds & {"states", "gates"}:
            self.problems[path] = f"gives {' and '.join(sorted(kinds & {'states', 'gates'}))}"
            return
        first = "sequence" if "sequence" in kinds else "output"
        with_state = both or "state" in kinds
        if _penalty_changes(layer, first, with_state):
            self.problems[path] = "has an activity_regularizer, which Keras applies to all results"
            return
        firsts = [first]
        if isinstance(layer, Bidirectional) and layer.merge_mode is None:
            firsts = [f"{first}/{direction}" for direction in DIRECTIONS]
        order = [*firsts, *(f"state/{name}" for name in states.flatten(spec_of(layer)))]
        for place in places:
            name = named[place[2]]
            if name not in order:
                # Beside a sequence, the output is to be had as the state that it equals.
                name = f"state/{_state_that_is_the_output(layer.steps)}"
            if name not in order:
                self.problems[path] = "gives its output beside its sequence"
                return
            place[2] = order.index(name)
        for config in _with_flags(node):
            config.pop("returns", None)
            config.pop("result_order", None)
            config["return_sequences"] = first == "sequence"
            config["return_state"] = with_state
            # By name, the output of a row is that of its last step that counts.
            if first == "output":
                config["zero_output_for_mask"] = False


def _is_ours(kind: type) -> bool:
    return any(base.__module__.startswith(_OURS) for base in kind.__mro__)


def _masked_calls(graph: Any, layer: Any) -> list[bool]:
    """Tell for each call of a layer, in the order of the config, if its input carries a mask."""
    nodes_by_depth = getattr(graph, "_nodes_by_depth", None) or {}
    own = {id(call) for calls in nodes_by_depth.values() for call in calls}
    return [
        any(getattr(tensor, "_keras_mask", None) is not None for tensor in call.input_tensors)
        for call in layer._inbound_nodes
        if id(call) in own and call.input_tensors
    ]


def _penalty_changes(layer: Any, first: str, with_state: bool) -> bool:
    """Tell whether Keras would apply an activity regularizer to other results than we do."""
    if isinstance(layer, Bidirectional):
        if layer.activity_regularizer is not None and (with_state or layer.returned != (first,)):
            return True
        return any(_penalty_changes(one, first, with_state) for one in layer.directions().values())
    if layer._own_regularizer is None:
        return False
    penalized = next((name for name in ("sequence", "output") if name in layer.returned), None)
    return with_state or penalized != first


def _state_that_is_the_output(steps: Any) -> str | None:
    """Give the path of the state that equals the output; None for a cell that we don't know."""
    if isinstance(steps, GatedSteps):
        return next(iter(steps.spec))
    if isinstance(steps, StackedSteps):
        name, inner = list(steps.inner.items())[-1]
        below = _state_that_is_the_output(inner)
        return below and f"{name}/{below}"
    return None


def _with_flags(node: Node) -> list[dict[str, Any]]:
    config = node["config"]
    if "layer" in config:
        return [config["layer"]["config"], config["backward_layer"]["config"]]
    return [config]


def _keras_runs(layer: Any) -> bool:
    """Tell whether Keras's RNN runs the cell of a layer: its states must come as a list."""
    if layer is None:
        return True
    cells = layer.cell.cells if isinstance(layer.steps, StackedSteps) else [layer.cell]
    return not any(isinstance(c.state_size, Mapping) or hasattr(c, "gate_sizes") for c in cells)


def _names_by_place(layer: Any) -> list[str]:
    """Give the names of a layer's results in the order in which Keras counts them."""
    spec = spec_of(layer)
    unmerged = isinstance(layer, Bidirectional) and layer.merge_mode is None

    def paths(kind: str, of: Mapping[str, Any]) -> dict[str, Any]:
        return states.unflatten({path: f"{kind}/{path}" for path in states.flatten(of)})

    def merged(kind: str) -> Any:
        return {d: f"{kind}/{d}" for d in DIRECTIONS} if unmerged else kind

    gates = (
        {d: one.steps.gates for d, one in layer.directions().items()}
        if isinstance(layer, Bidirectional)
        else layer.steps.gates
    )
    every = {
        "output": merged("output"),
        "sequence": merged("sequence"),
        "state": paths("state", spec),
        "states": paths("states", spec),
        "gates": paths("gates", gates),
    }
    results = {name: every[name] for name in layer.returned}
    names: list[str] = keras.tree.flatten(arranged(results, layer.result_order, ORDER_HERE))
    return names


def _places(graph: Mapping[str, Any]) -> Iterator[list[Any]]:
    """Yield each `[layer, call, place]` that names a tensor in the config of one model.

    Those of a model inside it are its own: their names may be the same.
    """
    for name in ("input_layers", "output_layers"):
        yield from _lists_of_places(graph.get(name))
    for node in graph.get("layers", []):
        yield from _lists_of_places(node.get("inbound_nodes"))


def _lists_of_places(config: Any) -> Iterator[list[Any]]:
    if isinstance(config, dict):
        for part in config.values():
            yield from _lists_of_places(part)
    elif isinstance(config, list):
        if len(config) == 3 and isinstance(config[0], str) and _whole_numbers(config[1:]):
            yield config
        else:
            for part in config:
                yield from _lists_of_places(part)


def _whole_numbers(values: list[Any]) -> bool:
    return all(isinstance(value, int) and not isinstance(value, bool) for value in values)


def _tensors(nested: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Walk an initial state in a config and yield each path with the tensor that stands there."""
    for name, value in nested.items():
        if isinstance(value, dict) and "class_name" not in value:
            yield from _tensors(value, f"{prefix}{name}/")
        elif value is not None:
            yield f"{prefix}{name}", value
