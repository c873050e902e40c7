"""`Trace`: what was seen in a run of a model."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqstate.errors import ArgumentError, UnknownLayerError, message
from seqstate.traces.layer import LayerTrace

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Trace(Mapping[str, LayerTrace]):
    """The recurrent layers of a model in one run, by name, beside its inputs and outputs.

    Attributes:
        model: the name of the model.
        inputs: what went in, as it was given: an array, a list or a dict of arrays.
        outputs: what came out, as the model gives it.
        layers: by name, in the order in which they ran.

    Example:
        >>> import keras, numpy as np, seqstate
        >>> model = keras.Sequential([keras.Input((None, 2)), keras.layers.LSTM(3, name="lstm")])
        >>> trace = seqstate.trace(model, np.zeros((4, 6, 2), "float32"))
        >>> list(trace), trace["lstm"].states["c"].shape, trace["lstm"].gates["forget"].shape
        (['lstm'], (4, 6, 3), (4, 6, 3))
    """

    model: str
    inputs: Any = field(repr=False)
    outputs: Any = field(repr=False)
    layers: dict[str, LayerTrace]

    def __getitem__(self, name: str) -> LayerTrace:
        if name in self.layers:
            return self.layers[name]
        raise unknown_layer(f'trace of "{self.model}"', name, self.layers)

    def __iter__(self) -> Iterator[str]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def cut(self, start: int | None = None, stop: int | None = None) -> Trace:
        """Give some of the time steps, as `[start:stop]` does, of everything with a time axis.

        For a long run of which a part is to be looked at: the states had time to settle before.
        A layer's `state` is that of the last step, and is kept only if that step is.

        Raises:
            ArgumentError: no step is left, or the layers have time axes of several lengths.
        """
        times = {one.time for one in self.values() if one.time is not None}
        kept = len(range(*slice(start, stop).indices(max(times)))) if len(times) == 1 else 0
        if not kept:
            raise ArgumentError(
                message(
                    f'trace of "{self.model}"',
                    f"can't be cut to [{start}:{stop}]; it has {_several(times)} time steps.",
                    "Cut one layer with trace[name].cut(slice(...))."
                    if len(times) > 1
                    else "Give a start and a stop with steps between them.",
                )
            )
        steps, (time,) = slice(start, stop), times

        def part(array: Any) -> Any:
            has_time = array.ndim == 3 or (array.ndim == 2 and array.dtype.kind in "iu")
            return array[:, steps] if has_time and array.shape[1] == time else array

        return Trace(
            self.model,
            _each(part, self.inputs),
            _each(part, self.outputs),
            {name: one.cut(steps) for name, one in self.items()},
        )

    def to_npz(self, path: str | os.PathLike[str]) -> Path:
        """Write all arrays into one file that `numpy.load` reads, and `from_npz`.

        The names in the file are `encoder/lstm:states/c`, `inputs`, `outputs`.

        Args:
            path: of the file, ending in `.npz`; replaced if it is there.

        Returns:
            The path.

        Raises:
            ArgumentError: another ending, or a place that can't be written to.
        """
        from seqstate.traces.npz import write_npz

        return write_npz(self, path)

    @staticmethod
    def from_npz(path: str | os.PathLike[str]) -> Trace:
        """Read what `to_npz` wrote.

        Raises:
            DataError: the file is not there, is no trace, or is damaged.
        """
        from seqstate.traces.npz import read_npz

        return read_npz(path)

    def to_xarray(self) -> xarray.DataTree:
        """Give the layers as a tree of xarray, with axes `sample, time, unit`.

        `tree["encoder/lstm/states/c"]` is the cell state, `tree["encoder/lstm/sequence"]` the
        output of each step. Where a `Bidirectional` merges, or cells are stacked, the axis of the
        sequence is `output` instead of `unit`, and inside a `TimeDistributed` there is a `part`.

        Raises:
            MissingPackageError: xarray is not installed.
        """
        from seqstate.traces.labelled import to_data_tree

        return to_data_tree(self)

    def plot(
        self,
        sample: int = 0,
        layers: str | Sequence[str] | None = None,
        time: Any = None,
        title: str | None = None,
        order: str | Sequence[int] = "stored",
        *,
        features: Any = None,
        outputs: Any = None,
    ) -> Figure:
        """Draw one sample: input and output as lines, each state and gate as a heat map.

        What is not a finite number is black in a heat map and a gap in a line.

        Args:
            sample: its number.
            layers: the layers to draw, by name; all by default.
            time: `[time]` numbers or `datetime64` for the time axis; by default the step.
            title: of the figure.
            order: of the units: "stored", "correlation" (units that do alike lie together),
                "saturation", or a permutation of the units.
            features: the names of the features of the input, a sequence of texts; for several
                inputs a dict or a list of such sequences, as the inputs were given.
            outputs: the names of the features of the output, likewise.

        Returns:
            A matplotlib figure: `figure.savefig("states.png")`.

        Raises:
            ArgumentError: a sample, an order, a time axis or names that do not fit.
            UnknownLayerError: a layer that was not traced.
            MissingPackageError: matplotlib is not installed.
        """
        from seqstate.plots.trace_figure import trace_figure

        return trace_figure(
            self, sample, layers, time, title, order, features=features, outputs=outputs
        )

    def to_html(
        self,
        path: str | os.PathLike[str],
        samples: Sequence[int] | None = None,
        layers: str | Sequence[str] | None = None,
        time: Any = None,
        title: str | None = None,
        *,
        features: Any = None,
        outputs: Any = None,
    ) -> Path:
        """Write an explorer of the states: one HTML file that needs no network.

        What is not a finite number is black in a heat map and a gap in a line.

        Args:
            path: of the file, ending in `.html`.
            samples: the numbers of the samples to put in; by default the first eight.
            layers: the layers to put in, by name; all by default.
            time: `[time]` numbers or `datetime64` for the time axis; by default the step.
            title: of the page.
            features: the names of the features of the input, a sequence of texts; for several
                inputs a dict or a list of such sequences, as the inputs were given.
            outputs: the names of the features of the output, likewise.

        Returns:
            The path.

        Raises:
            ArgumentError: a sample, a time axis or names that do not fit, a path that can't be
                written to, or a file that would be larger than 100 MB.
            InputError: arrays that don't fit together.
            UnknownLayerError: a layer that was not traced.
            MissingPackageError: Bokeh is not installed.
        """
        from seqstate.plots.explorer import write_explorer

        return write_explorer(
            self, path, samples, layers, time, title, features=features, outputs=outputs
        )


def _each(fn: Callable[[Any], Any], nested: Any) -> Any:
    if isinstance(nested, Mapping):
        return {name: _each(fn, value) for name, value in nested.items()}
    if isinstance(nested, list | tuple):
        return [_each(fn, value) for value in nested]
    return fn(nested)


def _several(times: Any) -> str:
    return " and ".join(map(str, sorted(times))) or "no"


def unknown_layer(where: str, name: Any, known: Any) -> UnknownLayerError:
    """Make the error for a layer name that is not there."""
    names = [str(one) for one in known]
    close = [one for one in names if one.rpartition("/")[2] == name]
    close = close or difflib.get_close_matches(str(name), names, n=1)
    return UnknownLayerError(
        message(
            where,
            f"there is no recurrent layer {name!r}; there are: {', '.join(names)}.",
            f'Did you mean "{close[0]}"?' if close else "Use one of these names.",
        )
    )
