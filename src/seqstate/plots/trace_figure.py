"""The figure of a trace: what went in and came out as lines, states and gates as heat maps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from seqstate.errors import ArgumentError, message
from seqstate.plots.end_panels import lines_of, said_of, vector_of
from seqstate.plots.ends import read_ends
from seqstate.plots.heat import HeatMap, gate_maps, state_maps
from seqstate.plots.states import Panel, Section, sections_figure
from seqstate.plots.times import read_times
from seqstate.plots.units import order_of_units
from seqstate.state import leaves

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from seqstate.traces import LayerTrace, Trace

MOST_PANELS = 40
"""More would make a picture that programs refuse to open."""

STEPS, NUMBERS = "time step", "number of the value"
OnAxis = tuple[str, int, Panel]
"""What the axis counts, how far, and the panel on it."""


def trace_figure(
    trace: Trace,
    sample: int = 0,
    layers: str | Sequence[str] | None = None,
    time: Any = None,
    title: str | None = None,
    order: str | Sequence[int] = "stored",
    *,
    features: Any = None,
    outputs: Any = None,
) -> Figure:
    """Draw one sample of a trace; see `Trace.plot`.

    Raises:
        ArgumentError: a sample, an order, a time axis or names that do not fit.
        UnknownLayerError: a layer that was not traced.
        MissingPackageError: matplotlib is not installed.
    """
    where = f'plot of "{trace.model}"'
    chosen, left_out = _chosen(trace, layers, where)
    samples = _samples_of(chosen, where)
    _check_sample(sample, samples, where)
    seen = [_Seen(layer, int(sample)) for layer in chosen]

    runs = {(one.parts, one.steps) for one in seen}
    ends = [
        *read_ends("input", trace.inputs, features, runs, where),
        *read_ends("output", trace.outputs, outputs, runs, where),
    ]
    several = f"Sample {sample} of {samples} (0 to {samples - 1})"
    notes = [several if samples > 1 else "The only sample"]
    panels: list[OnAxis] = []
    for end in ends:
        if end.array.shape[:1] != (samples,):
            notes.append(f"{end.title}, not drawn: shape {end.array.shape}, no row for each sample")
            continue
        if end.series is not None:
            lines = lines_of(end.series, int(sample))
            steps = end.series.values.shape[2]
            masks = [one.skipped for one in seen if one.steps == steps]
            panels.append((STEPS, steps, Panel(lines, skipped=masks[0] if masks else None)))
            continue
        vector = vector_of(end.name, end.array, int(sample))
        if vector is not None:
            panels.append((NUMBERS, len(vector.lines[0].values), Panel(vector)))
        else:
            notes.append(said_of(end, int(sample)))
    for one in seen:
        panels.extend((STEPS, one.steps, panel) for panel in one.panels(order))

    notes.extend(_explained(panels, seen, order))
    if left_out:
        notes.append(f"Not drawn, for lack of room: {', '.join(left_out)}; choose with layers=")
    return sections_figure(
        _sections(panels, time, where),
        title or f'Inside "{trace.model}": input, output, states and gates over time',
        "\n".join(notes),
    )


class _Seen:
    """One sample of a layer: what has a time axis, as `[time, unit]`."""

    def __init__(self, layer: LayerTrace, sample: int) -> None:
        arrays = layer.over_time()
        self.layer = layer
        mask = None if layer.mask is None else np.asarray(layer.mask)[sample]
        # Inside TimeDistributed a layer runs for each part: [sample, part, time, unit].
        self.parts = next(iter(arrays.values())).shape[1] if layer.parts else None
        if layer.parts and mask is not None and mask.ndim == 2:
            mask = mask[0]
        self.arrays = {
            path: np.asarray(leaf[sample, 0] if layer.parts else leaf[sample], dtype=np.float64)
            for path, leaf in arrays.items()
        }
        self.flattened = any(
            np.ndim(leaf) > layer.time_axis + 2
            for kind in ("states", "gates")
            for _, leaf in leaves(layer.found.get(kind, {}))
        )
        self.steps = len(next(iter(self.arrays.values())))
        self.skipped = None if mask is None or mask.all() else ~mask
        self.finite = all(np.isfinite(values).all() for values in self.arrays.values())

    def panels(self, order: str | Sequence[int]) -> Iterator[Panel]:
        """Give a heat map of each state and gate, with the units in the order asked for."""
        rows: dict[tuple[str, int], list[int]] = {}
        for path, values in self.arrays.items():
            # What belongs to the same cell has the same units: they stay in one order.
            cell = (_cell_of(path), values.shape[1])
            if cell not in rows:
                counts = None if self.skipped is None else ~self.skipped
                rows[cell] = order_of_units(values, order, path, counts)
            yield Panel(self._map(path, values), rows[cell], self.skipped)

    def _map(self, path: str, values: np.ndarray) -> HeatMap:
        kind, _, name = path.partition("/")
        if kind == "sequence":
            (heat,) = state_maps({path: values})
            direction = f", {name}" if name else ""
            heat = replace(heat, title=f"sequence{direction}: the output at each step")
        else:
            (heat,) = (gate_maps if kind == "gates" else state_maps)({name: values})
        of = f"{self.layer.name} ({self.layer.kind})"
        if self.layer.backwards:
            of += ", runs from the last step to the first"
        return replace(heat, title=f"{of}: {heat.title}")


def _cell_of(path: str) -> str:
    """Give the cell that a path belongs to: `forward/cell_0` of `states/forward/cell_0/h`."""
    kind, *cell, _ = path.split("/") if "/" in path else (path, "")
    return "/".join(cell) if kind != "sequence" else path


def _chosen(
    trace: Trace, layers: str | Sequence[str] | None, where: str
) -> tuple[list[LayerTrace], list[str]]:
    """Give the layers that are drawn, and the names of those that there is no room for."""
    names = list(trace) if layers is None else [layers] if isinstance(layers, str) else layers
    room = MOST_PANELS
    chosen: list[LayerTrace] = []
    left_out: list[str] = []
    for name in names:
        layer = trace[name]
        count = len(layer.over_time())
        if count <= room or (layers is None and not chosen and count):
            chosen += [layer] if count else []
            room -= count
        elif layers is None:
            left_out.append(name)
        else:
            total = sum(len(trace[one].over_time()) for one in names)
            raise ArgumentError(
                message(
                    where,
                    f"the layers that you chose have {total} maps; at most {MOST_PANELS} fit.",
                    "Draw fewer layers in one picture, for example "
                    f'layers="{names[0]}", or write trace.to_html("states.html").',
                )
            )
    if not chosen:
        raise ArgumentError(
            message(
                where,
                "nothing in it has a time axis: no sequence, states or gates.",
                'Trace with what left out, or with "states" in it, and name layers that ran.',
            )
        )
    return chosen, left_out


def _samples_of(layers: Sequence[LayerTrace], where: str) -> int:
    counts = {layer.name: len(next(iter(layer.over_time().values()))) for layer in layers}
    if len(set(counts.values())) > 1:
        has = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise ArgumentError(
            message(
                where,
                f"the layers have different numbers of samples: {has}.",
                "Draw those that have as many as each other, with layers=.",
            )
        )
    return next(iter(counts.values()))


def _check_sample(sample: Any, samples: int, where: str) -> None:
    whole = isinstance(sample, int | np.integer) and not isinstance(sample, bool)
    if not whole or not 0 <= sample < samples:
        raise ArgumentError(
            message(
                where,
                f"sample={sample!r}; there {f'are {samples}' if samples > 1 else 'is only one'}.",
                f"Pass a number from 0 to {samples - 1}." if samples > 1 else "Pass 0.",
            )
        )


def _sections(panels: Sequence[OnAxis], time: Any, where: str) -> list[Section]:
    """Put panels of the same length that follow each other on one time axis."""
    lengths = {steps for axis, steps, _ in panels if axis == STEPS}
    given = None if time is None else read_times(time, lengths, where)
    sections = []
    for (axis, steps), group in groupby(panels, key=lambda panel: panel[:2]):
        shown = [panel for *_, panel in group]
        if axis == STEPS and given is not None and len(given) == steps:
            sections.append(Section(given.values, shown, given.label))
        else:
            sections.append(Section(np.arange(steps), shown, axis))
    return sections


def _explained(
    panels: Sequence[OnAxis], seen: Sequence[_Seen], order: str | Sequence[int]
) -> Iterator[str]:
    """Say what can't be seen from the panels themselves."""
    if order in ("correlation", "saturation"):
        yield (
            "Units that do alike lie together"
            if order == "correlation"
            else "The most saturated units lie on top"
        ) + ", by the first map of each layer; all maps of a layer have the same order"
    if any(panel.skipped is not None for *_, panel in panels):
        yield "Hatched: steps that the mask skips; the states stay as they were, the gates are 0"
    if any(one.parts is not None for one in seen):
        names = [one.layer.name for one in seen if one.parts is not None]
        yield f"Part 0 of the parts that {', '.join(names)} runs over (TimeDistributed)"
    if any(one.flattened for one in seen):
        yield "States with several axes are laid out in rows, one for each number"
    broken = [one.layer.name for one in seen if not one.finite]
    if broken:
        yield f"Black: not a finite number (NaN or infinite), in {', '.join(broken)}"
