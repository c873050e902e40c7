"""The arguments of a `Forecaster`, checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from seqstate.arguments import whole_number
from seqstate.errors import ArgumentError, message
from seqstate.forecast.frames import Columns
from seqstate.forecast.heads import HEADS

METHODS = ("recursive", "direct", "sequence")
# What is fed back is drawn from between these; a few far levels would leave it coarse.
_FINE = tuple(level / 10 for level in range(1, 10))


@dataclass(frozen=True)
class Settings:
    """The arguments, see `Forecaster`, and what follows from them.

    Attributes:
        levels: the quantiles that are trained; the median is always one of them.
        horizon_said: the steps that the head says at once.
    """

    where: str
    horizon: int
    method: str
    layer: Any
    units: Any
    head: str
    levels: tuple[float, ...]
    season: Any
    calendar: Any
    window: int | None
    validation: float
    epochs: int
    patience: int
    batch_size: int
    learning_rate: float
    seed: int

    @property
    def horizon_said(self) -> int:
        """One for the recursive method, else all."""
        return 1 if self.method == "recursive" else self.horizon


def settings_of(given: dict[str, Any], where: str) -> Settings:
    """Check the arguments.

    Raises:
        ArgumentError: one of them can't be used.
    """
    wanted = checked_levels(given["quantiles"], where)
    one_of("method", given["method"], METHODS, where)
    one_of("head", given["head"], HEADS, where)
    fine = _FINE if given["method"] == "recursive" else ()
    window = given["window"]
    return Settings(
        where=where,
        horizon=whole_number(given["horizon"], where, "horizon"),
        method=given["method"],
        layer=given["layer"],
        units=given["units"],
        head=given["head"],
        levels=tuple(sorted({*wanted, 0.5, *fine})),
        season=given["season"],
        calendar=given["calendar"],
        window=None if window is None else whole_number(window, where, "window", least=4),
        validation=_number(given["validation"], where, "validation", 0.0, 0.9, 0.15),
        epochs=whole_number(given["epochs"], where, "epochs"),
        patience=whole_number(given["patience"], where, "patience"),
        batch_size=whole_number(given["batch_size"], where, "batch_size"),
        learning_rate=_number(given["learning_rate"], where, "learning_rate", 1e-9, 1.0, 0.003),
        seed=whole_number(given["seed"], where, "seed", least=0),
    )


def checked_levels(given: Any, where: str) -> tuple[float, ...]:
    """Give the levels of quantiles, rising.

    Raises:
        ArgumentError: no numbers between 0 and 1.
    """
    given = given.tolist() if isinstance(given, np.ndarray) else given
    levels = given if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    # The third of np.arange(0.1, 1, 0.1) is the same level as 0.3.
    numbers = [round(float(v), 9) for v in levels if isinstance(v, float | int) and 0 < v < 1]
    if len(numbers) != len(levels) or not numbers:
        raise ArgumentError(
            message(
                where,
                f"quantiles={given!r}; expected numbers between 0 and 1.",
                "Write quantiles=(0.1, 0.5, 0.9) for the middle 80% and the median.",
            )
        )
    return tuple(sorted(set(numbers)))


def columns_of(given: dict[str, Any], wall: bool | None = None) -> Columns:
    """Give what the columns of a frame are; `wall` as the fit has read the times."""
    return Columns(
        wall=wall,
        time=given["time"],
        target=_names(given["target"]),
        series=given["series"],
        known=_names(given["known"]),
        past=_names(given["past"]),
    )


def one_of(name: str, value: Any, expected: Sequence[str], where: str) -> None:
    """Refuse a value that is none of the names."""
    if value not in expected:
        raise ArgumentError(
            message(
                where,
                f"{name}={value!r}; expected {', '.join(map(repr, expected))}.",
                f"Pass for example {name}={expected[-1]!r}.",
            )
        )


def _names(given: Any) -> tuple[Any, ...]:
    if given is None:
        return ()
    return tuple(given) if isinstance(given, list | tuple) else (given,)


def _number(given: Any, where: str, name: str, least: float, most: float, usual: float) -> float:
    value = 0.0 if given is None else given
    good = isinstance(value, float | int) and not isinstance(value, bool)
    if not good or not least <= value <= most:
        raise ArgumentError(
            message(
                where,
                f"{name}={given!r}; expected a number from {least:g} to {most:g}.",
                f"Pass for example {name}={usual}.",
            )
        )
    return float(value)
