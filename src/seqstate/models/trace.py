"""`trace`: what the recurrent layers of a model do in a run, as NumPy arrays by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from seqstate import state as states
from seqstate.errors import ArgumentError, InputError, message
from seqstate.models.agreement import check_agreement
from seqstate.models.data_in import batch_size_for, check_data, rows_of
from seqstate.models.progress import shown
from seqstate.models.recurrent_layers import recurrent_layers
from seqstate.models.run_apart import Key, RunApart
from seqstate.models.state import carried_variables
from seqstate.traces import LayerTrace, Trace
from seqstate.traces.layer import QUANTITIES
from seqstate.traces.trace import unknown_layer


def trace(
    model: Any,
    x: Any,
    layers: str | Sequence[str] | None = None,
    what: str | Sequence[str] | None = None,
    *,
    batch_size: int | None = None,
    progress: bool | None = None,
    allow_nan: bool = False,
) -> Trace:
    """Run a model and give what each of its recurrent layers did, beside the model's outputs.

    The model stays as it was: its outputs, its weights, its compiled state, and the states that
    its stateful layers carry (they start from what is carried, go on from batch to batch, and
    are put back). A model that is not built yet gets built, as by a call.

    Args:
        model: a Keras model, trained or not: Sequential, functional, nested, or subclassed with
            its layers as attributes. Keras's own recurrent layers, and ours.
        x: what the model takes: an array `[sample, time, features]`, or a list or a dict of
            arrays for several inputs.
        layers: the layers to look at, by name (`encoder/lstm` in a nested model); all by default.
        what: any of "sequence", "state", "states", "gates"; all by default. What is not asked
            for takes no memory.
        batch_size: how many samples run at once; by default 32, or what the model's stateful
            layers carry.
        progress: show a progress bar; by default in a terminal, where it takes long.
        allow_nan: take data with NaN or infinite values, for a model that masks them.

    Returns:
        A `Trace`: `trace["lstm"].states["c"]`, `[sample, time, unit]`. A layer that the model
        runs twice comes twice: `lstm` and `lstm@2`. Inside a `TimeDistributed` the arrays are
        `[sample, part, time, unit]`.

    Raises:
        ArgumentError: not a model, no recurrent layer, an unknown `what`, a wrong batch size.
        UnknownLayerError: a layer that is not there.
        InputError: data that the model can't read, or with NaN.
        SeqstateError: a layer of another class than Keras's own computes something else.

    Example:
        >>> import keras, numpy as np, seqstate
        >>> model = keras.Sequential([keras.Input((None, 2)), keras.layers.GRU(3, name="gru")])
        >>> t = seqstate.trace(model, np.zeros((4, 6, 2), "float32"), what=("states", "gates"))
        >>> t["gru"].states["h"].shape, t.outputs.shape
        ((4, 6, 3), (4, 3))
    """
    return Tracing(model, x, layers, what, batch_size, allow_nan).run(progress)


class Tracing:
    """A model, some of its layers and data, checked; ready to be run time and again.

    The model is compiled for it once. See `trace` for the arguments and the errors.
    """

    def __init__(
        self,
        model: Any,
        x: Any,
        layers: str | Sequence[str] | None,
        what: str | Sequence[str] | None,
        batch_size: int | None,
        allow_nan: bool,
    ) -> None:
        self.where = f'trace("{getattr(model, "name", type(model).__name__)}")'
        every = recurrent_layers(model, self.where)
        self.model = model
        self.watched = _chosen_layers(every, layers, self.where)
        self.wanted = _chosen_quantities(what, self.where)
        self.data = check_data(model, x, self.where, allow_nan)
        self.size = batch_size_for(model, every, self.data, batch_size, self.where)
        _build(model, every, self.data, self.size)
        # What is still not built is there, but the model does not run it.
        every = {name: layer for name, layer in every.items() if layer.built}
        self.watched = {name: self.watched[name] for name in self.watched if name in every}
        self._run = RunApart(model, every, self.watched, self.wanted, self.where)

    def run(self, progress: bool | None = None) -> Trace:
        """Run the model as it is now."""
        rows = rows_of(self.data)
        outputs, found = _Joined(self.where), _Joined(self.where)
        self._run.begin()
        for start in shown(range(0, rows, self.size), "tracing", progress):
            stop = start + self.size
            part = keras.tree.map_structure(lambda a, s=start, e=stop: a[s:e], self.data)
            given, seen = self._run(part)
            for key in [key for key in seen if key[-1] == "disagreement"]:
                difference = float(seen.pop(key))
                check_agreement(self.watched[key[0]], key[0], difference, self.where)
            found.put(seen)
            outputs.put(dict(enumerate(keras.tree.flatten(given))))
        return Trace(
            model=self.model.name,
            inputs=self.data,
            outputs=keras.tree.pack_sequence_as(given, list(outputs.whole().values())),
            layers=_layer_traces(self.watched, self.wanted, found.whole()),
        )


def _chosen_layers(
    every: Mapping[str, Any], asked: str | Sequence[str] | None, where: str
) -> dict[str, Any]:
    if asked is None:
        return dict(every)
    names = [asked] if isinstance(asked, str) or not isinstance(asked, Iterable) else list(asked)
    if not names:
        raise ArgumentError(
            message(where, "layers is empty.", f"Name some of: {', '.join(every)}.")
        )
    for name in names:
        if name not in every:
            raise unknown_layer(where, name, every)
    return {name: layer for name, layer in every.items() if name in names}


def _chosen_quantities(what: str | Sequence[str] | None, where: str) -> tuple[str, ...]:
    names = QUANTITIES if what is None else [what]
    if isinstance(what, Iterable) and not isinstance(what, str):
        names = list(what)
    wrong = [name for name in names if name not in QUANTITIES]
    if wrong or not names:
        raise ArgumentError(
            message(
                where,
                f"what={what!r}; expected some of {', '.join(map(repr, QUANTITIES))}.",
                "`state` is what is carried out of the last step, `states` that of each step.",
            )
        )
    return tuple(name for name in QUANTITIES if name in names)


def _build(model: Any, every: Mapping[str, Any], data: Any, size: int) -> None:
    """Build a model that has not run yet, by running it; carried states stay as they are."""
    if model.built and all(layer.built for layer in every.values()):
        return
    carried = [v for layer in every.values() for v in carried_variables(layer).values()]
    before = [ops.copy(variable.value) for variable in carried]
    new = [layer for layer in every.values() if layer.stateful and not layer.built]
    model(keras.tree.map_structure(lambda a: ops.convert_to_tensor(a[:size]), data))
    for variable, value in zip(carried, before, strict=True):
        variable.assign(value)
    for layer in new:
        if layer.built:
            layer.reset_state()


class _Joined:
    """The arrays of all samples, batch after batch."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.parts: dict[Any, list[np.ndarray]] = {}

    def put(self, parts: Mapping[Any, np.ndarray]) -> None:
        """Add the rows of one batch."""
        for key, part in parts.items():
            before = self.parts.setdefault(key, [])
            if np.ndim(part) == 0 or (before and np.shape(part)[1:] != before[0].shape[1:]):
                raise InputError(
                    message(
                        self.where,
                        f"a batch gave an array of shape {np.shape(part)}, which can't be joined "
                        f"with {before[0].shape if before else 'others'} along the samples.",
                        "Pass one batch of samples at a time.",
                    )
                )
            before.append(part)

    def whole(self) -> dict[Any, np.ndarray]:
        """Join the batches, one array after the other, so that little is held twice."""
        return {key: np.concatenate(self.parts.pop(key)) for key in list(self.parts)}


def _layer_traces(
    watched: Mapping[str, Any], wanted: tuple[str, ...], found: Mapping[Key, np.ndarray]
) -> dict[str, LayerTrace]:
    """Sort what was found by layer and run; the parts of a `TimeDistributed` call are one run."""
    runs: dict[str, dict[Any, list[dict[str, np.ndarray]]]] = {}
    last: Any = None
    for (name, call, number, path), array in found.items():
        parts = runs.setdefault(name, {}).setdefault(
            number if call is None else ("parts", call), []
        )
        if (name, number) != last:
            parts.append({})
            last = (name, number)
        parts[-1][path] = array
    traces = {}
    for name, calls in runs.items():
        layer = watched[name]
        for number, (call, parts) in enumerate(calls.items(), 1):
            repeated = isinstance(call, tuple)
            flat = parts[0]
            if repeated:
                flat = {path: np.stack([part[path] for part in parts], axis=1) for path in flat}
            own = name if number == 1 else f"{name}@{number}"
            mask = flat.pop("mask", None)
            nested = states.unflatten(flat)
            traces[own] = LayerTrace(
                name=own,
                kind=type(layer).__name__,
                # A layer without gates was asked for them nevertheless.
                found={quantity: nested.get(quantity, {}) for quantity in wanted},
                mask=mask,
                backwards=bool(getattr(layer, "go_backwards", False)),
                parts=repeated,
            )
    return traces
