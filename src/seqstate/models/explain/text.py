"""What `explain` prints: of a model a table, of a layer all that there is to say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import StringIO

from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from seqstate.models.explain.facts import UNKNOWN, LayerFacts, Value

WIDTH = 100
_TABLE_WIDTH = 400  # Lines of a table are not broken by width but where it makes sense.
_NARROWEST = 72  # With less room shapes would be cut off.
_LONGEST_CELL = 34
_UNKNOWN = "not known until it is called"


def text_of(
    title: str, layers: Sequence[LayerFacts], is_model: bool, columns: int | None = None
) -> str:
    """Write the explanation, in lines of 100 characters where names and shapes are not too long.

    Args:
        title: of what is explained.
        layers: the facts about each layer.
        is_model: whether it is a table of layers.
        columns: how many characters there is room for; by default enough.
    """
    if not layers:
        return f"{title}\n\nIts layers are not known: they are made when it is called."
    legend = _grid(2)
    for word, says in _legend(layers, is_model):
        legend.add_row(word, Text(says))
    body = _table(layers) if is_model else _details(layers[0])
    wide = max(columns or (_TABLE_WIDTH if is_model else WIDTH), _NARROWEST)
    return "\n\n".join(
        filter(None, [title, _rendered(body, wide), _rendered(legend, min(wide, WIDTH))])
    )


def _rendered(part: RenderableType, width: int) -> str:
    file = StringIO()
    Console(file=file, width=width, color_system=None).print(part)
    return "\n".join(line.rstrip() for line in file.getvalue().strip("\n").splitlines())


def _grid(columns: int) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(columns):
        grid.add_column()
    return grid


def _table(layers: Sequence[LayerFacts]) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("layer", "goes in", "is carried", "comes out"):
        table.add_column(name, overflow="fold")
    for facts in layers:
        table.add_row(
            Text(_layer(facts)),
            Text(_goes_in(facts)),
            Text(_carried(facts)),
            Text("\n".join(_named(value) for value in facts.comes_out) or "?"),
        )
    return table


def _layer(facts: LayerFacts) -> str:
    """Give what the layer is called, indented inside a model."""
    return f"{'  ' * facts.name.count('/')}{facts.titled()}"


def _goes_in(facts: LayerFacts) -> str:
    arrays = [value.written() for value in facts.goes_in if not value.state]
    states = [value.state for value in facts.goes_in if value.state]
    if states:
        arrays.append(f"initial state {', '.join(states)}")
    return "\n".join(arrays) or "?"


def _carried(facts: LayerFacts) -> str:
    """Give the states with their sizes; several with long names get a line each."""
    states = [f"{path} {' x '.join(map(str, sizes))}" for path, sizes in facts.carried.items()]
    return ("\n" if any("/" in one for one in states) else ", ").join(states) or "-"


def _named(value: Value) -> str:
    parts = [value.titled(), value.written()] if value.name else [value.written()]
    return (" " if len(" ".join(parts)) <= _LONGEST_CELL else "\n  ").join(parts)


def _details(facts: LayerFacts) -> Table:
    batch = facts.goes_in[0].shape[0] if facts.goes_in else None
    carried = [
        Value(path, ("batch", *("units" for _ in sizes)), (batch, *sizes), "to the next step")
        for path, sizes in facts.carried.items()
    ]
    comes_out = f"comes out{', a dict' if facts.by_name else ''}"
    grid = _grid(4)
    grid.columns[2].no_wrap = True
    for word, values in (
        ("goes in", facts.goes_in),
        ("is carried", carried),
        (comes_out, facts.comes_out),
    ):
        for number, value in enumerate(values):
            grid.add_row(
                "" if number else word, Text(value.titled()), Text(value.written()), value.says
            )
        if not values and word != "is carried":
            grid.add_row(word, _UNKNOWN)
    return grid


def _legend(layers: Sequence[LayerFacts], is_model: bool) -> Iterator[tuple[str, str]]:
    """Say in words what the shapes don't."""
    if not is_model:
        yield from _of_one(layers[0])
    recurrent = [facts for facts in layers if facts.recurrent]
    if recurrent:
        (units, *_), *_ = recurrent[0].carried.values()
        yield "batch", "rows: each is a sequence of its own, with a state of its own."
        yield "time", "steps: they come with the data. A layer runs once for each, same weights."
        yield "features", "numbers that come in at each step, from the data or the layer before."
        yield (
            "units",
            "numbers that a layer keeps: your choice. They have nothing to do with time:\n"
            f"{units} units do not mean {units} steps.",
        )
    if is_model and recurrent:
        yield "is carried", "goes from each step to the next, inside the layer."
        yield "sequence", "the output at each step; output: at the last one only."
    arrays = [value for facts in layers for value in (*facts.goes_in, *facts.comes_out)]
    sizes = [size for value in arrays for size in value.shape[1:]]
    if None in sizes:
        yield "no number", "any size goes."
    if UNKNOWN in sizes:
        yield "?", f"{_UNKNOWN}."


def _of_one(facts: LayerFacts) -> Iterator[tuple[str, str]]:
    if facts.reads == ("backward",):
        yield "direction", "from the last step to the first; a sequence comes out in that order."
    if facts.starts:
        yield "start", f"{facts.starts}."
    for what, how in facts.held_back.items():
        yield "held back", f"{what}; to have it: {how}."
    if facts.weights:
        yield "weights", f"{facts.weights}{', for any number of steps' if facts.recurrent else ''}."
