"""Layers around another one: `Bidirectional` and `TimeDistributed`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seqstate import state as states
from seqstate.result_order import SORTED, arranged
from seqstate.runtime.archive.config import Config
from seqstate.runtime.archive.weights import Weights
from seqstate.runtime.layers.layer import Array, Layer
from seqstate.runtime.layers.making import Making
from seqstate.runtime.layers.recurrent import WITH_TIME, Recurrent
from seqstate.runtime.plan.maker import Maker
from seqstate.runtime.plan.value import Value, flat
from seqstate.runtime.recurrence.composed import MERGES

DIRECTIONS = ("forward", "backward")


class BidirectionalLayer(Layer):
    """`Bidirectional`: one layer that reads forwards and one that reads backwards."""

    def __init__(self, config: Config, weights: Weights, making: Making) -> None:
        super().__init__(config, weights, making)
        self.merge: str | None = None
        if config.get("merge_mode", "concat") is not None:
            self.merge = config.text("merge_mode", "concat", tuple(MERGES))
        self.layers: dict[str, Recurrent] = {}
        written = {"forward": config.get("layer"), "backward": config.get("backward_layer")}
        written["backward"] = written["backward"] or _turned(written["forward"])
        for direction, one in written.items():
            inner = Config(one, config.where)
            name = f"{direction}_layer"
            layer = making.layer(inner, weights.below(name, inner.name))
            if isinstance(layer, Recurrent):
                layer.zero_masked = layer.sequences or "sequence" in (layer.returned or ())
                self.layers[direction] = layer
        if len(self.layers) == 2 and self.both.backwards == self.layers["backward"].backwards:
            raise config.wrong("both of its layers read the same way round.")

    @property
    def both(self) -> Recurrent:
        """The forward layer, whose flags are those of both."""
        return self.layers["forward"]

    def call(self, maker: Maker, x: Any, *more: Any, **given: Any) -> Any:
        """See `Layer`."""
        given.update(zip(("initial_state", "mask"), more, strict=False))
        if isinstance(x, list | tuple) and len(x) > 1:
            # As older files have it: the states stand behind the sequence.
            x, *given["initial_state"] = x
        x = self.one(x)
        asked = given.get("mask")
        asked = flat(asked)[0] if isinstance(asked, list | tuple) else asked
        mask = asked if isinstance(asked, Value) else x.mask
        if x.time:
            maker.no_step(f"{self.where} reads the sequence from its end, too")
        leaves = self._initial(given.get("initial_state"))
        if leaves and asked is None and not self.both.ours:
            mask = None
        results = self._results(maker, x, mask)
        inputs = [x, *([mask] if mask is not None else []), *leaves.values()]
        start = {name: layer.start for name, layer in self.layers.items()}
        spec = {name: layer.spec for name, layer in self.layers.items()}
        see, folder = maker.see, maker.folder

        def function(_: Any, *arrays: Array) -> tuple[list[Array], dict[str, Any]]:
            sequence, *rest = arrays
            counts = rest.pop(0) if mask is not None else None
            initial = dict(zip(leaves, rest, strict=True))
            ran = {
                name: layer.ran(sequence, None, counts, _below(initial, name), see is not None)
                for name, layer in self.layers.items()
            }
            if see is not None:
                seen = {n: self.layers[n].seen(one, counts) for n, one in ran.items()}
                see(folder, self, self._seen(seen), counts)
            made = {name: self.layers[name].made(one, counts) for name, one in ran.items()}
            return flat(self._merged(made)), {name: one.state for name, one in ran.items()}

        if x.time:
            maker.carry(self.name, spec, start, function, inputs, flat(results))
        else:
            maker.emit_many(lambda *arrays: function(None, *arrays)[0], inputs, flat(results))
        return arranged(results, self.both.result_order, SORTED)

    def _initial(self, initial: Any) -> dict[str, Value]:
        """Give the values of an initial state by direction and path."""
        if initial is None:
            return {}
        spec = {name: layer.spec for name, layer in self.layers.items()}
        return states.name_leaves(spec, initial, self.where)

    # Both as one

    def _merged(self, made: Mapping[str, Any]) -> Any:
        forward, backward = made["forward"], made["backward"]
        if self.both.returned is not None:
            turned = {
                name: {
                    key: _flipped(value) if key in WITH_TIME and layer.backwards else value
                    for key, value in made[name].items()
                }
                for name, layer in self.layers.items()
            }
            return {name: self._side_by_side(name, turned) for name in self.both.returned}
        last: list[Any] = []
        if self.both.returns_state:
            (forward, *first), (backward, *second) = forward, backward
            last = [*first, *second]
        if self.both.sequences:
            # As Keras has it: the sequence of the second layer is the one that is turned.
            backward = backward[:, ::-1]
        if self.merge is None:
            return [forward, backward, *last]
        one = MERGES[self.merge]([forward, backward])
        return [one, *last] if last else one

    def _side_by_side(self, name: str, made: Mapping[str, Any]) -> Any:
        both = {direction: made[direction][name] for direction in DIRECTIONS}
        if name in ("output", "sequence") and self.merge is not None:
            return MERGES[self.merge](list(both.values()))
        return both

    def _results(self, maker: Maker, x: Value, mask: Value | None) -> Any:
        """Make room for what comes of it, nested as `_merged` nests it."""
        symbols = {
            # What is made here is never written to: only its shapes are read.
            name: layer.results(Maker(), x, None)
            for name, layer in self.layers.items()
        }

        def room(sizes: tuple[int | None, ...], time: bool) -> Value:
            return maker.value(sizes, x.time and time, mask if time else None)

        def like(value: Value, time: bool) -> Value:
            return room(value.shape, time)

        def merged(a: Value, b: Value, time: bool) -> Any:
            if self.merge is None:
                return {"forward": like(a, time), "backward": like(b, time)}
            wide = (a.shape[-1] or 0) + (b.shape[-1] or 0)
            return room((*a.shape[:-1], wide if self.merge == "concat" else a.shape[-1]), time)

        forward, backward = symbols["forward"], symbols["backward"]
        if self.both.returned is not None:
            made: dict[str, Any] = {}
            for name in self.both.returned:
                time = name in WITH_TIME
                if name in ("output", "sequence"):
                    made[name] = merged(forward[name], backward[name], time)
                else:
                    made[name] = {
                        d: states.map_leaves(lambda v, t=time: like(v, t), symbols[d][name])
                        for d in DIRECTIONS
                    }
            return made
        time = self.both.sequences
        last: list[Any] = []
        if self.both.returns_state:
            (forward, *first), (backward, *second) = forward, backward
            last = [like(value, False) for value in flat([first, second])]
        one = merged(forward, backward, time)
        parts = [one] if self.merge is not None else [one["forward"], one["backward"]]
        return [*parts, *last] if len(parts) + len(last) > 1 else one

    def _seen(self, seen: Mapping[str, Any]) -> dict[str, Any]:
        both = {
            name: {direction: seen[direction][name] for direction in DIRECTIONS}
            for name in ("state", "states", "gates")
        }
        sequences = [seen[direction]["sequence"] for direction in DIRECTIONS]
        sequence: Any = dict(zip(DIRECTIONS, sequences, strict=True))
        return {
            "sequence": sequence if self.merge is None else MERGES[self.merge](sequences),
            **both,
        }


def _turned(written: Any) -> Any:
    """Give the config of the same layer in the other direction."""
    if not isinstance(written, Mapping) or not isinstance(written.get("config"), Mapping):
        return written
    config = written["config"]
    name = str(config.get("name", "")).removeprefix("forward_")
    turned = {"go_backwards": not config.get("go_backwards", False), "name": f"backward_{name}"}
    return {**written, "config": {**config, **turned}}


def _below(initial: Mapping[str, Array], direction: str) -> dict[str, Array]:
    start = f"{direction}/"
    return {path[len(start) :]: a for path, a in initial.items() if path.startswith(start)}


def _flipped(value: Any) -> Any:
    if isinstance(value, Mapping):
        return states.map_leaves(lambda leaf: leaf[:, ::-1], value)
    return value[:, ::-1]


class TimeDistributedLayer(Layer):
    """`TimeDistributed`: a layer for each time step by itself."""

    def __init__(self, config: Config, weights: Weights, making: Making) -> None:
        super().__init__(config, weights, making)
        inner = config.inner("layer")
        self.layer = making.layer(inner, weights.below("layer", inner.name))

    def call(self, maker: Maker, x: Any, **given: Any) -> Any:
        """See `Layer`: the steps of all rows are the rows of one batch."""
        x = self.one(x)
        asked = given.get("mask")
        mask = asked if isinstance(asked, Value) else x.mask
        folded = maker.emit(
            lambda a: a.reshape(-1, *a.shape[2:]), x, shape=(None, *x.shape[2:]), time=False
        )
        if mask is not None and mask.rank > 2:
            # Beyond the steps it says what counts within each; that is for the layer inside.
            inner = maker.emit(
                lambda a: a.reshape(-1, *a.shape[2:]),
                mask,
                shape=(None, *mask.shape[2:]),
                time=False,
            )
            folded = folded.with_mask(inner)
        outer, held = maker.see, []
        if outer is not None:
            maker.see = lambda *found: held.append(found)
        with maker.inside(self.name):
            made = self.layer.call(maker, folded)
        maker.see = outer
        if outer is not None:
            maker.emit_many(lambda a: self._show(outer, held, a), [x], [])
        if not isinstance(made, Value):
            raise self.config.wrong("the layer inside gives several results; expected one.")
        return maker.emit(
            lambda y, a: y.reshape(a.shape[0], a.shape[1], *y.shape[1:]),
            made,
            x,
            shape=(*x.shape[:2], *made.shape[1:]),
            time=x.time,
            mask=mask,
        )

    def _show(self, see: Any, held: list[Any], x: Array) -> tuple[Any, ...]:
        """Show the runs of the layer inside, each step by itself."""

        def unfolded(leaf: Array) -> Array:
            return leaf.reshape(x.shape[0], x.shape[1], *leaf.shape[1:])

        for folder, layer, found, mask in held:
            parts = {
                name: states.map_leaves(unfolded, value)
                if isinstance(value, Mapping)
                else unfolded(value)
                for name, value in found.items()
            }
            see(folder, layer, parts, None if mask is None else unfolded(mask), True)
        held.clear()
        return ()
