"""What the tour prints: its tables, and the sentences that depend on the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from seqstate.forecast.baselines import NAIVE, SEASONAL
from seqstate.tour.baselines import DRIFT, Score
from seqstate.tour.calls import Call, Equation
from seqstate.tour.data import DAY, Split, Temperatures
from seqstate.tour.forecaster import LEARNED

SAYS = {
    NAIVE: "the last hour, 24 times",
    SEASONAL: "the day before, hour by hour",
    DRIFT: "that day, plus its own change",
    LEARNED: "that day, plus a learned change",
}
AXES = {2: "batch, units", 3: "batch, time, units"}


def section(console: Console, number: int, title: str, text: str) -> None:
    """Print a numbered heading and its explanation."""
    console.print()
    console.print(Rule(Text(f"{number}. {title}", style="bold cyan"), align="left", style="cyan"))
    say(console, text)


def say(console: Console, text: str, style: str = "") -> None:
    """Print a paragraph as it stands: brackets are brackets, not markup."""
    console.print(Text(text, style=style))


def verbatim(console: Console, text: str, style: str = "") -> None:
    """Print lines that are to be copied, such as paths and code: never broken."""
    console.print(Text(text, style=style), soft_wrap=True)


def _table(*columns: str, right: Sequence[str] = ()) -> Table:
    table = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))
    for name in columns:
        table.add_column(name, justify="right" if name in right else "left")
    return table


def parts_table(series: Temperatures, parts: Split) -> Table:
    """Show the three parts of the series: their days, and what each is used for."""
    table = _table("part", "from", "to", "days", "used for", right=("days",))
    for name, part, use in (
        ("training", parts.train, "the weights, the scale of the inputs"),
        ("validation", parts.validation, "when to stop training"),
        ("held out", parts.held_out, "the scores, nothing else"),
    ):
        days = series.time[part].astype("datetime64[D]")
        count = (part.stop - part.start) // DAY
        table.add_row(name, str(days[0]), str(days[-1]), str(count), use)
    return table


def calls_table(calls: Sequence[Call]) -> Table:
    """Show each way of asking as code and, by name, what comes back: shape, axes, values."""
    table = _table("the call", "gives", "shape, axes", "values")
    for call in calls:
        cells = [_result(name, array) for name, array in call.results.items()]
        gives, shapes, values = (Text("\n").join(column) for column in zip(*cells, strict=True))
        code = Text.assemble((f"{call.way}\n", "bold"), (call.code, "green"))
        table.add_row(code, gives, shapes, values, end_section=True)
    return table


def results_table(results: Mapping[str, Any]) -> Table:
    """Show a result by name, path by path: shape, axes, values."""
    table = _table("name", "shape, axes", "values")
    for name, values in results.items():
        inner: Mapping[str, Any] = values if isinstance(values, Mapping) else {"": values}
        for key, array in inner.items():
            table.add_row(*_result(f"{name}/{key}" if key else name, array))
    return table


def _result(name: str, array: np.ndarray) -> tuple[Text, Text, Text]:
    shape = f"{array.shape}\n{AXES[array.ndim]}"
    if array.ndim == 2:
        values = f"{_numbers(array[0])}\n"
    else:
        values = f"{_numbers(array[0, 0])} t=1\n{_numbers(array[0, -1])} t={array.shape[1]}"
    return Text(f"{name}\n", style="bold"), Text(shape), Text(values)


def _numbers(values: np.ndarray) -> str:
    return " ".join(f"{value:+.2f}" for value in values)


def equations_table(checked: Sequence[Equation]) -> Table:
    """Show each equation and how far apart its two sides are at most."""
    table = _table("by hand, in NumPy", "largest difference", right=("largest difference",))
    for equation in checked:
        table.add_row(Text(equation.text), gap(equation.gap))
    return table


def gap(difference: float) -> str:
    """Write a difference; none at all is worth a word.

    >>> gap(1.5e-8), gap(0.0)
    ('1.5e-08', 'none')
    """
    return f"{difference:.1e}" if difference else "none"


def scores_table(scores: Mapping[str, Score], reference: str) -> Table:
    """Show how far each forecast is off, and on how many days it beats the reference.

    Args:
        scores: by the name of the forecast.
        reference: the name of the one to compare with.
    """
    right = ("MAE °C", "RMSE °C", "better days")
    table = _table("forecast", "what it says", *right, right=right)
    for name, score in scores.items():
        days = "" if name == reference else _better_days(score, scores[reference])
        best = score.mae == min(other.mae for other in scores.values())
        cells = (name, SAYS[name], f"{score.mae:.3f}", f"{score.rmse:.3f}", days)
        table.add_row(*cells, style="bold green" if best else "")
    return table


def _better_days(score: Score, other: Score) -> str:
    return f"{int((score.by_day < other.by_day).sum())} of {len(score.by_day)}"


def verdict(scores: Mapping[str, Score], learned: str) -> str:
    """Say against each other forecast whether the learned one has the lower MAE, or not."""
    own = scores[learned]
    sentences = []
    for name, other in scores.items():
        if name == learned:
            continue
        relation = f"{own.mae:.3f} °C against {other.mae:.3f} °C"
        if own.mae < other.mae:
            sentences.append(
                f"The {learned} beats {name}: {relation}, {1 - own.mae / other.mae:.0%} less error."
            )
        else:
            sentences.append(f"The {learned} does NOT beat {name}: {relation}.")
    return "\n".join(sentences)
