"""`Sequential` and functional models, at the top or inside another one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from seqstate.runtime.archive.config import Config, snake_case
from seqstate.runtime.archive.weights import Weights
from seqstate.runtime.layers.layer import Layer
from seqstate.runtime.layers.merging import MERGES
from seqstate.runtime.plan.arguments import Ref, read_call, read_place
from seqstate.runtime.plan.maker import Maker
from seqstate.runtime.plan.value import Shape, Value, flat, mapped

if TYPE_CHECKING:
    from seqstate.runtime.layers.making import Making
    from seqstate.runtime.operations import Operation


class InputLayer(Layer):
    """Where a model is given an array."""

    def __init__(self, config: Config, weights: Weights, making: Making) -> None:
        super().__init__(config, weights, making)
        shape = config.get("batch_shape", config.get("batch_input_shape"))
        right = isinstance(shape, list) and all(
            size is None or (isinstance(size, int) and size >= 0) for size in shape
        )
        if not right or not shape:
            raise config.wrong(f"its shape is {str(shape)[:80]}; expected a list of sizes.")
        self.shape: Shape = tuple(shape)
        self.dtype = config.get("dtype") or "float32"
        if config.flag("sparse") or config.flag("ragged"):
            making.refuse(config, "it is sparse or ragged", "Use dense arrays")


class Model(Layer):
    """What `Sequential` and functional models share.

    Attributes:
        inputs: the input layers, in order.
        input_names: their nesting, by name.
    """

    inputs: list[InputLayer]
    input_names: Any

    def call(self, maker: Maker, x: Any, **given: Any) -> Any:
        """See `Layer`; the states of the layers stand below the name of the model."""
        mask = given.get("mask")
        with self._as_one(maker):
            return self.run(maker, self.fed(x, mask))

    @contextmanager
    def _as_one(self, maker: Maker) -> Iterator[None]:
        with maker.inside(self.name):
            yield

    def fed(self, x: Any, mask: Any = None) -> dict[str, Value]:
        """Give the values that came in by the name of the input."""
        if isinstance(x, Mapping) and not isinstance(self.input_names, Mapping):
            values: list[Any] = [x.get(one.name) for one in self.inputs]
        else:
            values = flat(x)
        masks = flat(mask)
        if len(masks) != len(values):
            masks = [None] * len(values)
        if len(values) != len(self.inputs) or not all(isinstance(v, Value) for v in values):
            raise self.config.wrong(
                f"it is called with {len(values)} tensors; expected {len(self.inputs)}."
            )
        return {
            layer.name: value.with_mask(own if isinstance(own, Value) else value.mask)
            for layer, value, own in zip(self.inputs, values, masks, strict=True)
        }

    def run(self, maker: Maker, inputs: Mapping[str, Value]) -> Any:
        """Leave the calls of all layers, and give the outputs."""
        raise NotImplementedError


class Sequential(Model):
    """One layer after the other."""

    def __init__(self, config: Config, weights: Weights, making: Making) -> None:
        super().__init__(config, weights, making)
        configs = list(config.each("layers"))
        first = [one for one in configs if one.kind == "InputLayer"]
        if first:
            start = first[0]
        else:
            shape = config.get("build_input_shape") or _first_shape(configs)
            if not isinstance(shape, list):
                raise config.wrong(
                    "it was saved before it knew the shape of its input.",
                    "Call the model once, or give it an Input, and save it again.",
                )
            start = Config(
                {"class_name": "InputLayer", "config": {"name": "input", "batch_shape": shape}},
                config.file,
            )
        self.inputs = [InputLayer(start, weights, making)]
        self.input_names = start.name
        if not configs:
            raise config.wrong("it has no layers.")
        places = Places("layers")
        self.layers = [
            making.layer(one, weights.below(places.of(one), one.name))
            for one in configs
            if one.kind != "InputLayer"
        ]

    def run(self, maker: Maker, inputs: Mapping[str, Value]) -> Any:
        """See `Model`."""
        (value,) = inputs.values()
        result: Any = value
        for layer in self.layers:
            result = layer.call(maker, result)
        return result


class Functional(Model):
    """Layers that are called on each other's results."""

    def __init__(self, config: Config, weights: Weights, making: Making) -> None:
        super().__init__(config, weights, making)
        self.layers: dict[str, Layer | Operation] = {}
        self.calls: dict[str, list[tuple[list[Any], dict[str, Any]]]] = {}
        places = Places("layers")
        for one in config.each("layers"):
            name = str(one.written.get("name", one.name))
            nodes = one.written.get("inbound_nodes", [])
            if name in self.layers or not isinstance(nodes, list):
                raise config.wrong(f"it has two layers of the name {name!r}, or no calls of it.")
            if not _is_operation(one, making):
                self.layers[name] = making.layer(one, weights.below(places.of(one), name))
            else:
                known = _operation(one)
                self.layers[name] = known or making.layer(one, weights.below(one.name, name))
            self.calls[name] = [read_call(node, one) for node in nodes]
        self.input_names = mapped(
            lambda ref: ref.place[0], self._places(config.get("input_layers"))
        )
        self.inputs = [self._input(name) for name in flat(self.input_names)]
        self.outputs = self._places(config.get("output_layers"))
        self._recount(config)

    def _recount(self, config: Config) -> None:
        """Count the calls of each model from 0.

        Keras 2 counts the own graph of a model as its first call, and Keras 3 does so where it
        names the outputs.
        """
        nodes = [
            node for one in config.each("layers") for node in one.written.get("inbound_nodes", [])
        ]
        old = any(isinstance(node, list) for node in nodes)
        outputs = flat(self.outputs)
        calls = _refs([list(self.calls.values()), outputs]) if old else outputs
        for name, layer in self.layers.items():
            refs = []
            if isinstance(layer, Model):
                refs = [ref for ref in calls if ref.place[0] == name]
            if not refs:
                continue
            first = max(ref.place[1] for ref in refs) + 1 - len(self.calls[name])
            if not old:
                first = 1 if isinstance(layer, Functional) else 0
            for ref in refs:
                ref.place = (name, max(0, ref.place[1] - max(0, first)), ref.place[2])

    def _input(self, name: str) -> InputLayer:
        layer = self.layers.get(name)
        if not isinstance(layer, InputLayer):
            raise self.config.wrong(f"its input {name!r} is no InputLayer.")
        return layer

    def _places(self, written: Any) -> Any:
        if isinstance(written, list) and len(written) == 3 and isinstance(written[0], str):
            return Ref(read_place(written, self.config))
        if isinstance(written, Mapping):
            if written.get("class_name") == "__tuple__":
                return self._places(written.get("items"))
            return {str(name): self._places(one) for name, one in written.items()}
        if isinstance(written, list):
            return [self._places(one) for one in written]
        raise self.config.wrong(f"an input or output is written as {str(written)[:80]}.")

    def run(self, maker: Maker, inputs: Mapping[str, Value]) -> Any:
        """See `Model`; only what the outputs need is run."""
        found: dict[tuple[str, int], Any] = {(name, 0): value for name, value in inputs.items()}
        for ref in flat(self.outputs):
            self._find(maker, ref.place[:2], found)
        return mapped(lambda ref: self._taken(ref, found), self.outputs)

    def _find(self, maker: Maker, wanted: tuple[str, int], found: dict[Any, Any]) -> None:
        """Run the call that is wanted after those that it needs, without recursion."""
        todo, open_ = [wanted], set()
        while todo:
            node = todo[-1]
            if node in found:
                todo.pop()
                continue
            name, number = node
            calls = self.calls.get(name, [])
            if number >= len(calls):
                raise self.config.wrong(f"call {number} of its layer {name!r} is not there.")
            args, kwargs = calls[number]
            needed = [one.place[:2] for one in _refs([args, kwargs]) if one.place[:2] not in found]
            if needed:
                if node in open_:
                    raise self.config.wrong(f"its layer {name!r} needs its own result.")
                open_.add(node)
                todo.extend(needed)
                continue
            given = mapped(lambda one: self._taken(one, found), [args, kwargs])
            found[node] = self.layers[name].call(maker, *given[0], **given[1])
            todo.pop()

    def _taken(self, one: Any, found: Mapping[Any, Any]) -> Any:
        if not isinstance(one, Ref):
            return one
        name, node, number = one.place
        results = flat(found[name, node])
        if number >= len(results):
            raise self.config.wrong(f"its layer {name!r} has no result {number}.")
        return results[number]


def _refs(nested: Any) -> list[Ref]:
    return [one for one in flat(nested) if isinstance(one, Ref)]


def _operation(config: Config) -> Operation | None:
    """Give the function of `keras.ops` of a name, if it is known."""
    from seqstate.runtime.operations import OPERATIONS, Operation  # few models have one

    entry = OPERATIONS.get(config.class_name)
    return None if entry is None else Operation(config, entry)


def _is_operation(config: Config, making: Making) -> bool:
    """Tell whether a name is that of a function of `keras.ops`; older files give no module."""
    module = config.written.get("module")
    if module is None:
        if not making.knows(config):
            return _operation(config) is not None
        # A layer takes all its tensors as one argument.
        nodes = config.written.get("inbound_nodes") or [None]
        args = nodes[0].get("args") if isinstance(nodes[0], Mapping) else None
        return config.class_name in MERGES and isinstance(args, list) and len(args) > 1
    return str(module).startswith("keras.src.ops")


class Places:
    """Where Keras puts the weights of the layers in a list: `layers/dense`, `layers/dense_1`."""

    def __init__(self, start: str) -> None:
        self.start = start
        self.counts: dict[str, int] = {}

    def of(self, config: Config) -> str:
        """Give the place of the next layer."""
        name = snake_case(config.class_name)
        number = self.counts[name] = self.counts.get(name, -1) + 1
        return f"{self.start}/{name}" + (f"_{number}" if number else "")


def _first_shape(configs: list[Config]) -> Any:
    """Give the shape of the input as older files have it: at the first layer."""
    if not configs:
        return None
    built = configs[0].written.get("build_config")
    by_build = built.get("input_shape") if isinstance(built, Mapping) else None
    return configs[0].get("batch_input_shape", configs[0].get("batch_shape")) or by_build
