"""`explain`: what goes into each layer, what it carries, what comes out, by name and shape."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any, TextIO

import keras

from seqstate.errors import ArgumentError, MissingPackageError, message
from seqstate.models.explain.facts import LayerFacts
from seqstate.models.explain.layer_facts import facts_of
from seqstate.models.explain.recurrent_facts import holds_recurrent, knows_states
from seqstate.models.explain.text import text_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Explanation:
    """What `explain` found out: `str()` is the text, `draw()` the picture.

    A notebook shows the picture, where matplotlib is installed.

    Attributes:
        title: the class and the name of what is explained.
        layers: the facts about each layer, in order.
        is_model: whether a whole model is explained.
    """

    title: str
    layers: tuple[LayerFacts, ...]
    is_model: bool

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<explanation of {self.title}: str() is the text, draw() the picture>"

    def text(self, columns: int | None = None) -> str:
        """Give the text, broken to so many columns; by default as wide as it is."""
        return text_of(self.title, self.layers, self.is_model, columns)

    def draw(self) -> Figure:
        """Draw it: the layers from the input up, and the time steps from left to right.

        Returns:
            A matplotlib figure: `figure.savefig("model.png")`.

        Raises:
            MissingPackageError: matplotlib is not installed.
        """
        from seqstate.plots.explain_figure import explain_figure

        return explain_figure(self.title, self.layers)

    def _repr_png_(self) -> bytes | None:
        file = BytesIO()
        try:
            self.draw().savefig(file, format="png")
        except MissingPackageError:
            return None
        return file.getvalue()


def explain(layer_or_model: Any, file: TextIO | None = None) -> Explanation:
    """Print what goes in, what is carried from step to step and what comes out.

    Of a model there is a line for each layer, those of nested models as `encoder/lstm`; of a
    recurrent layer each result by name and place, and how many weights there are.

    Args:
        layer_or_model: a Keras layer or model, with recurrent layers of Keras or of seqstate.
        file: where to print to; by default to the screen.

    Returns:
        The explanation: `explain(model).draw()` is a picture of it.

    Raises:
        ArgumentError: neither a layer nor a model.

    Example:
        >>> from seqstate.layers import LSTM
        >>> memory = explain(LSTM(4, return_state=True, name="memory"))  # doctest: +ELLIPSIS
        LSTM "memory"
        ...
        >>> [value.titled() for value in memory.layers[0].comes_out]
        ['1. output', '2. state h', '3. state c']
    """
    if not isinstance(layer_or_model, keras.layers.Layer):
        raise ArgumentError(_not_a_layer(layer_or_model))
    is_model = isinstance(layer_or_model, keras.Model)
    walked = _walk(layer_or_model) if is_model else [(layer_or_model.name, layer_or_model, None)]
    explanation = Explanation(
        f'{type(layer_or_model).__name__} "{layer_or_model.name}"',
        tuple(facts_of(layer, name, nodes) for name, layer, nodes in walked),
        is_model,
    )
    file = sys.stdout if file is None else file
    columns = get_terminal_size().columns if file.isatty() else None
    print(explanation.text(columns), file=file)
    return explanation


def _walk(model: Any, prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield the layers in order, each with its name and the calls that belong to the model."""
    nodes = _nodes_of(model)
    for layer in model._flatten_layers(include_self=False, recursive=False):
        if isinstance(layer, keras.layers.InputLayer):
            continue
        name = f"{prefix}{layer.name}"
        yield name, layer, nodes
        inside = isinstance(layer, keras.Model) or holds_recurrent(layer)
        if inside and not knows_states(layer):
            yield from _walk(layer, f"{name}/")


def _nodes_of(model: Any) -> list[Any] | None:
    """Give the calls that a functional model is made of; None for another model."""
    functional = getattr(model, "_functional", None) or model
    by_depth = getattr(functional, "_nodes_by_depth", None)
    return None if by_depth is None else [node for nodes in by_depth.values() for node in nodes]


def _not_a_layer(given: Any) -> str:
    if isinstance(given, type) and issubclass(given, keras.layers.Layer):
        what = f"got the class {given.__name__}; expected a layer or a model."
        todo = f"Make one of it: explain({given.__name__}(32))."
    elif hasattr(given, "shape"):
        what = (
            f"got an array or a tensor of shape {tuple(given.shape)}; expected a layer or a model."
        )
        todo = "Pass the layer that made it, such as explain(layer)."
    else:
        what = f"got a {type(given).__name__}; expected a Keras layer or model."
        todo = 'For a file: explain(keras.saving.load_model("model.keras")).'
    return message("explain", what, todo)
