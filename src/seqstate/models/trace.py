"""`trace`: what the recurrent layers of a model do in a run, as NumPy arrays by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from seqstate import state as states
from seqstate.errors import ArgumentError, InputError, SeqstateError, message
from seqstate.models.data_in import batch_size_for, check_data, rows_of
from seqstate.models.progress import shown
from seqstate.models.recurrent_layers import recurrent_layers, time_distributed
from seqstate.models.run_apart import RunApart
from seqstate.traces import LayerTrace, Trace
from seqstate.traces.layer import QUANTITIES
from seqstate.traces.trace import unknown_layer

# How far a layer of Keras and its run repeated may lie apart, relative to values above one.
_AGREEMENT = {"float64": 1e-4, "float32": 1e-3, "bfloat16": 0.1, "float16": 0.02}


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
        self._run = RunApart(model, every, self.watched, self.wanted, self.where)

    def run(self, progress: bool | None = None) -> Trace:
        """Run the model as it is now."""
        rows = rows_of(self.data)
        outputs, found = _Joined(rows, self.where), _Joined(rows, self.where)
        self._run.begin()
        for start in shown(range(0, rows, self.size), "tracing", progress):
            stop = start + self.size
            part = keras.tree.map_structure(lambda a, s=start, e=stop: a[s:e], self.data)
            given, seen = self._run(part)
            for key in [key for key in seen if key[2] == "disagreement"]:
                difference = float(seen.pop(key))
                _check_agreement(self.watched[key[0]], key[0], difference, self.where)
            found.put(start, seen)
            outputs.put(start, dict(enumerate(keras.tree.flatten(given))))
        return Trace(
            model=self.model.name,
            inputs=self.data,
            outputs=keras.tree.pack_sequence_as(given, list(outputs.arrays.values())),
            layers=_layer_traces(self.model, self.watched, self.wanted, found.arrays),
        )


def _chosen_layers(
    every: Mapping[str, Any], asked: str | Sequence[str] | None, where: str
) -> dict[str, Any]:
    if asked is None:
        return dict(every)
    names = [asked] if isinstance(asked, str) else list(asked)
    if not names:
        raise ArgumentError(
            message(where, "layers is empty.", f"Name some of: {', '.join(every)}.")
        )
    for name in names:
        if name not in every:
            raise unknown_layer(where, name, every)
    return {name: layer for name, layer in every.items() if name in names}


def _chosen_quantities(what: str | Sequence[str] | None, where: str) -> tuple[str, ...]:
    names = QUANTITIES if what is None else [what] if isinstance(what, str) else list(what)
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
    """Build a model that has not run yet, by running it."""
    if model.built and all(layer.built for layer in every.values()):
        return
    model(keras.tree.map_structure(lambda a: ops.convert_to_tensor(a[:size]), data))
    for layer in every.values():
        if layer.stateful:
            layer.reset_state()


class _Joined:
    """The arrays of all samples, filled in batch by batch."""

    def __init__(self, rows: int, where: str) -> None:
        self.rows, self.where = rows, where
        self.arrays: dict[Any, np.ndarray] = {}

    def put(self, start: int, parts: Mapping[Any, np.ndarray]) -> None:
        """Put the rows of one batch in, from row `start` on."""
        for key, part in parts.items():
            if key not in self.arrays:
                self.arrays[key] = np.empty((self.rows, *np.shape(part)[1:]), part.dtype)
            whole = self.arrays[key]
            if np.ndim(part) == 0 or np.shape(part)[1:] != whole.shape[1:]:
                raise InputError(
                    message(
                        self.where,
                        f"the batch from sample {start} on gave an array of shape "
                        f"{np.shape(part)}, the one before (batch, *{whole.shape[1:]}).",
                        "Pass one batch of samples at a time.",
                    )
                )
            whole[start : start + len(part)] = part


def _check_agreement(layer: Any, name: str, difference: float, where: str) -> None:
    """Refuse to show states for a layer that does something else than its base class."""
    if difference <= _AGREEMENT.get(layer.compute_dtype, 1e-3):
        return
    raise SeqstateError(
        message(
            where,
            f'"{name}" is a {type(layer).__name__}, and gives something else than the layer of '
            f"Keras that it is made from does with its weights (by {difference:.2g}), so its "
            "states can't be told.",
            "Leave it out with layers=[...], or write what it changes as a cell in an RNN.",
        )
    )


def _layer_traces(
    model: Any,
    watched: Mapping[str, Any],
    wanted: tuple[str, ...],
    found: Mapping[tuple[str, int, str], np.ndarray],
) -> dict[str, LayerTrace]:
    """Sort what was found by layer and run."""
    runs: dict[str, dict[int, dict[str, np.ndarray]]] = {}
    for (name, number, path), array in found.items():
        runs.setdefault(name, {}).setdefault(number, {})[path] = array
    repeated = time_distributed(model)
    traces = {}
    for name, numbered in runs.items():
        layer, flats = watched[name], list(numbered.values())
        if id(layer) in repeated:
            flats = [{path: np.stack([f[path] for f in flats], axis=1) for path in flats[0]}]
        for number, flat in enumerate(flats, 1):
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
            )
    return traces
