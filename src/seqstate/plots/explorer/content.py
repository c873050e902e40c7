"""What goes into the page: what there is to choose from, and the arrays behind each choice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from seqstate.errors import ArgumentError, InputError, message
from seqstate.plots.ends import read_ends
from seqstate.plots.explorer.axes import steps_axis, time_axis
from seqstate.plots.scales import limits, scale_of
from seqstate.plots.series import Series
from seqstate.plots.times import read_times
from seqstate.plots.units import END, STILL, ends, order_of_units, saturation

if TYPE_CHECKING:
    from seqstate.traces import LayerTrace, Trace

_MOST_SAMPLES = 8

MOST_LINES = 32
"""How many features of one input or output are in the page."""


@dataclass(frozen=True)
class Layer:
    """One layer for the samples that are shown.

    Attributes:
        trace: where it comes from.
        quantities: `[sample, part, time, unit]` float32 by path.
        counts: `[sample, part, time]` bool, True where the step counts.
        parts: how many parts the layer read one by one, as inside a `TimeDistributed`; None
            where it reads a sample as a whole.
    """

    trace: LayerTrace
    quantities: dict[str, np.ndarray]
    counts: np.ndarray
    parts: int | None

    @property
    def shape(self) -> tuple[int, int]:
        """How many parts and how many time steps there are."""
        return self.counts.shape[1:]


@dataclass(frozen=True)
class Content:
    """All that the page shows.

    Attributes:
        title: of the page.
        about: what there is to choose from, and what it means; goes into the page as JSON.
        layers: in the order in which they ran.
        series: the inputs and outputs that share a time axis with a layer.
        where: who writes, for messages.
    """

    title: str
    about: dict[str, Any]
    layers: list[Layer]
    series: list[Series]
    where: str

    @classmethod
    def of(
        cls,
        trace: Trace,
        where: str,
        samples: Sequence[int] | None,
        layers: str | Sequence[str] | None,
        time: Any,
        title: str | None,
        features: Any,
        outputs: Any,
    ) -> Content:
        """Choose from a trace, and check what was asked for; see `write_explorer`."""
        wanted = _wanted_layers(trace, layers, where)
        total = len(next(iter(wanted[0].over_time().values())))
        chosen = _chosen_samples(samples, total, where)
        shown = [_layer(one, chosen, total, where) for one in wanted]
        runs = [(layer.parts, layer.shape[1]) for layer in shown]
        lengths = {steps for _, steps in runs}
        arrays = [
            *read_ends("input", trace.inputs, features, runs, where),
            *read_ends("output", trace.outputs, outputs, runs, where),
        ]
        series = [
            replace(one.series, values=one.series.values[chosen][..., :MOST_LINES])
            for one in arrays
            if one.series is not None
            and one.series.values.shape[2] in lengths
            and len(one.array) == total
        ]
        times = None if time is None else read_times(time, lengths, where)
        axes = [steps_axis(), *([] if times is None else [time_axis(times)])]
        title = title or f"States of {trace.model}"
        about = {
            "title": title,
            "model": trace.model,
            "samples": chosen,
            "total": total,
            "end": END,
            "still": STILL,
            "axes": axes,
            "layers": [
                # The times that were given are those of the layers with as many steps.
                _about_layer(layer, int(times is not None and layer.shape[1] == len(times)))
                for layer in shown
            ],
            "series": [_about_series(one) for one in series],
        }
        return cls(title, about, shown, series, where)

    def arrays(self) -> Iterator[tuple[str, np.ndarray]]:
        """Give each array, of 4-byte values, with its name in the page; the first shown is first.

        A view, `view-LAYER-QUANTITY-SAMPLE-PART`, is `[unit, time]` float32, and after that a
        value for each unit: what `Saturation` says, and the orders as int32. A series,
        `series-NUMBER-SAMPLE-PART`, is `[feature, time]` float32.
        """
        for sample in range(len(self.about["samples"])):
            for number, one in enumerate(self.series):
                for part, values in enumerate(one.values[sample]):
                    yield f"series-{number}-{sample}-{part}", _float32(values.T.ravel())
            for number, layer in enumerate(self.layers):
                for place, (path, arrays) in enumerate(layer.quantities.items()):
                    for part, values in enumerate(arrays[sample]):
                        name = f"view-{number}-{place}-{sample}-{part}"
                        yield name, _view(values, path, layer.counts[sample, part])

    @property
    def size(self) -> int:
        """How many values of 4 bytes there are, near enough."""
        arrays = [array for layer in self.layers for array in layer.quantities.values()]
        return sum(array.size for array in [*arrays, *(one.values for one in self.series)])


def _view(values: np.ndarray, path: str, counts: np.ndarray) -> np.ndarray:
    found = saturation(values, path, counts)
    per_unit = [found.low, found.high, found.least, found.greatest, found.dead]
    orders = [order_of_units(values, name, path, counts) for name in ("correlation", "saturation")]
    return np.concatenate(
        [
            values.T.ravel(),
            *(np.asarray(one, dtype=np.float32) for one in per_unit),
            *(np.asarray(one, dtype=np.int32).view(np.float32) for one in orders),
        ]
    )


def _about_layer(layer: Layer, axis: int) -> dict[str, Any]:
    return {
        "name": layer.trace.name,
        "kind": layer.trace.kind,
        "backwards": layer.trace.backwards,
        "parts": layer.parts,
        "steps": layer.shape[1],
        "axis": axis,
        "masked": [[_runs(~part) for part in sample] for sample in layer.counts],
        "quantities": [_about_quantity(path, layer) for path in layer.quantities],
    }


def _about_quantity(path: str, layer: Layer) -> dict[str, Any]:
    values = layer.quantities[path]
    scale = scale_of(path)
    low, high = limits(values[layer.counts], scale)
    return {
        "path": path,
        "scale": scale,
        "units": values.shape[-1],
        "low": low,
        "high": high,
        "ends": ends(path),
    }


def _about_series(one: Series) -> dict[str, Any]:
    _, parts, steps, lines = one.values.shape
    return {
        "title": one.title,
        "parts": parts,
        "steps": steps,
        "lines": list(one.features[:lines]),
        "features": len(one.features),
    }


def _float32(values: np.ndarray) -> np.ndarray:
    # What is too large for it becomes infinite, and is marked as such.
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


def _runs(flags: np.ndarray) -> list[list[int]]:
    """Give the [first, past the last] of each run of True.

    >>> _runs(np.array([True, True, False, True]))
    [[0, 2], [3, 4]]
    """
    changes = np.flatnonzero(np.diff(flags.astype(np.int8), prepend=0, append=0))
    return changes.reshape(-1, 2).tolist()


def _wanted_layers(
    trace: Trace, layers: str | Sequence[str] | None, where: str
) -> list[LayerTrace]:
    asked = [layers] if isinstance(layers, str) else list(trace if layers is None else layers)
    wanted = [trace[name] for name in dict.fromkeys(asked)]
    with_time = [layer for layer in wanted if layer.over_time()]
    if not with_time:
        what = "no layer has anything with a time axis." if wanted else "there is no layer to show."
        todo = 'Trace with what=("states", "gates")' + (
            ", or pass other layers." if layers else "."
        )
        raise ArgumentError(message(where, what, todo))
    return with_time


def _chosen_samples(samples: Sequence[int] | None, total: int, where: str) -> list[int]:
    if samples is None:
        return list(range(min(total, _MOST_SAMPLES)))
    given = np.atleast_1d(np.asarray(samples))
    whole = np.issubdtype(given.dtype, np.integer) and given.ndim == 1 and given.size
    if not whole or given.min() < 0 or given.max() >= total:
        raise ArgumentError(
            message(
                where,
                f"samples is {samples!r}; expected numbers of samples from 0 to {total - 1}.",
                "Pass a list such as samples=[0, 1], or leave it out for the first "
                f"{_MOST_SAMPLES}.",
            )
        )
    return list(dict.fromkeys(given.tolist()))


def _layer(trace: LayerTrace, samples: list[int], total: int, where: str) -> Layer:
    found = {path: np.asarray(array) for path, array in trace.over_time().items()}
    first = next(iter(found.values()))
    # The axes that come before that of the unit: [sample, time] or [sample, part, time].
    axes = trace.time_axis + 1
    quantities = {}
    for path, array in found.items():
        if array.shape[:axes] != (total, *first.shape[1:axes]) or 0 in array.shape:
            raise InputError(
                message(
                    where,
                    f'"{trace.name}" {path} has shape {array.shape}; '
                    f"expected [sample, time, unit] with {total} samples and "
                    f"{first.shape[axes - 1]} time steps.",
                    "Pass arrays of one run of the model; with layers=, layers that have as many "
                    "samples as each other.",
                )
            )
        kept = _float32(array[samples])
        quantities[path] = kept if trace.parts else kept[:, None]
    counts = _counts(trace, samples, next(iter(quantities.values())).shape[:3], where)
    return Layer(trace, quantities, counts, first.shape[1] if trace.parts else None)


def _counts(
    trace: LayerTrace, samples: list[int], shape: tuple[int, ...], where: str
) -> np.ndarray:
    if trace.mask is None:
        return np.ones(shape, dtype=bool)
    mask = np.asarray(trace.mask)[samples].astype(bool)
    if mask.ndim == 2:
        mask = mask[:, None]
    if mask.ndim != 3 or mask.shape[::2] != shape[::2] or mask.shape[1] not in (1, shape[1]):
        raise InputError(
            message(
                where,
                f'the mask of "{trace.name}" has shape {np.shape(trace.mask)}; '
                f"expected [sample, time] with {shape[2]} time steps.",
                "Pass the mask that the layer was called with.",
            )
        )
    return np.broadcast_to(mask, shape)
