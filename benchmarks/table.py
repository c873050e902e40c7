"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Write a table; the first column is text, the others are figures."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines) + "\n"


def milliseconds(seconds: float) -> str:
    """Write a time with three digits."""
    ms = 1e3 * seconds
    return f"{ms:.{2 if ms >= 1 else 3 if ms >= 0.1 else 4}f}" if ms < 100 else f"{ms:.0f}"


def described(machine: dict[str, Any]) -> str:
    """Write the description of a machine as a list."""
    lines = []
    for name, value in machine.items():
        text = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
        lines.append(f"- {name}: {text}")
    return "\n".join(lines) + "\n"
