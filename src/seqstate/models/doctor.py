"""`doctor`: what the kernels find on this machine, and which path each recurrent layer takes."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TextIO

import keras
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from seqstate import config
from seqstate.kernels import choice, frameworks, native
from seqstate.layers import RNN
from seqstate.models.recurrent_layers import directions_of, is_bidirectional, recurrent_layers

KERAS_OWN = "Keras's own"
# The column of the reasons is broken at the edge of the screen, never of a file.
_WIDE = 1000


@dataclass(frozen=True)
class LayerPath:
    """Which path the runs of a layer take.

    Attributes:
        name: of the layer, below the model; of a direction as `both/forward`.
        kind: its class.
        path: "native", "portable", "refused" (`kernel="native"` on what is not covered), or
            "Keras's own".
        why: the reason, unless it is native.
        todo: what to do to have it native.
    """

    name: str
    kind: str
    path: str
    why: str = ""
    todo: str = ""


@dataclass(frozen=True)
class Report:
    """What `doctor` found; `str()` is the text.

    Attributes:
        facts: about this process: what they are about, and what was found.
        layers: the recurrent layers of the model, in order.
    """

    facts: Mapping[str, str]
    layers: tuple[LayerPath, ...] = ()

    def __str__(self) -> str:
        file = io.StringIO()
        Console(file=file, width=_WIDE, highlight=False).print(self)
        return "\n".join(line.rstrip() for line in file.getvalue().splitlines())

    def __rich__(self) -> Group:
        facts = Table(box=None, pad_edge=False, show_header=False)
        for name, found in self.facts.items():
            facts.add_row(Text(name), Text(found))
        if not self.layers:
            return Group(facts)
        layers = Table(box=None, pad_edge=False)
        for title in ("layer", "class", "path", "why"):
            layers.add_column(title)
        for one in self.layers:
            why = f"{one.why}. {one.todo}" if one.why else ""
            layers.add_row(*map(Text, (one.name, one.kind, one.path, why)))
        return Group(facts, Text(), layers)


def doctor(model: Any = None, file: TextIO | None = None) -> Report:
    """Print what the native kernels find here, and which path each layer of a model takes.

    A call can still leave the native path: with data on another device than the CPU, and where
    it is traced for an export.

    Args:
        model: a Keras model, if its layers are asked for.
        file: where to print to; by default to the screen.

    Returns:
        The report: `doctor(model).layers[0].path` is "native" or "portable", for instance.

    Raises:
        ArgumentError: not a model, or one without a recurrent layer.

    Example:
        >>> import keras
        >>> from seqstate.layers import GRU
        >>> model = keras.Sequential([keras.Input((None, 2)), GRU(3, activation="gelu")])
        >>> report = doctor(model)  # doctest: +ELLIPSIS
        seqstate ...
        >>> report.layers[0].path
        'portable'
    """
    report = report_on(model)
    file = sys.stdout if file is None else file
    if file.isatty():
        Console(file=file, highlight=False).print(report)
    else:
        print(report, file=file)
    return report


def report_on(model: Any = None) -> Report:
    """Give what `doctor` prints."""
    layers = () if model is None else tuple(_paths(recurrent_layers(model, "doctor")))
    return Report(facts(), layers)


def facts() -> dict[str, str]:
    """Give what there is to know about this process, in words."""
    backend = keras.backend.backend()
    found = {
        "seqstate": version("seqstate"),
        "Keras": f"{keras.__version__} on {backend} {_version_of(backend)}".rstrip(),
        "kernel": f'"{config.kernel()}"; see seqstate.config',
    }
    if native.available():
        code = native.module()
        builds = [
            name if code.runs_here(name) else f"{name} (not on this machine)"
            for name in code.builds()
        ]
        found["native code"] = f"{code.build_name()}, picked from {', '.join(builds)}"
        threads = str(code.threads())
        found["threads"] = f"{threads}; on JAX those of XLA" if backend == "jax" else threads
        reason = frameworks.why_not()
        found["used"] = "yes" if reason is None else f"no: {reason[0]}. {reason[1]}"
    else:
        found["native code"] = f"none: {native.reason()}"
    for name in (config.KERNEL_VARIABLE, config.THREADS_VARIABLE, config.ISA_VARIABLE):
        found[name] = os.environ.get(name) or "not set"
    return found


def _version_of(package: str) -> str:
    for name in (package, f"{package}-cpu"):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return ""


def _paths(layers: Mapping[str, Any]) -> Iterator[LayerPath]:
    for name, layer in layers.items():
        if is_bidirectional(layer):
            inner = directions_of(layer)
            yield from _paths({f"{name}/{direction}": one for direction, one in inner.items()})
        elif isinstance(layer, RNN):
            path, reason = choice.path_of(layer.steps, layer.kernel)
            said = (reason.why, reason.todo) if reason else ()
            yield LayerPath(name, type(layer).__name__, path, *said)
        else:
            yield LayerPath(
                name,
                type(layer).__name__,
                KERAS_OWN,
                f"it is a {type(layer).__module__.partition('.')[0]} layer",
                "seqstate.accelerate(model) gives the model with layers of seqstate.",
            )
