"""What is said of single units: which are saturated, which are dead, and which are alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seqstate.errors import ArgumentError, InputError, message
from seqstate.plots.scales import scale_of

END = 0.01
"""A value is saturated when it is closer than this to an end of its range."""

STILL = 1e-3
"""A unit is dead when the values that it takes lie closer together than this."""

# The state c has no ends, but the tanh that h is made with has: there is nothing to gain beyond.
_END_OF_C = float(np.arctanh(1 - END))

ORDERS = ("stored", "correlation", "saturation")


@dataclass(frozen=True)
class Saturation:
    """Which units are saturated and which are dead, over the finite values of steps that count.

    A step is saturated where the value is closer than 0.01 to an end of its range: a gate below
    0.01 or above 0.99; `h`, `candidate` and the sequence below -0.99 or above 0.99; `c` where
    that is true of `tanh(c)`, beyond 2.65 on either side. Other states have no ends. A unit is
    dead when it never moves: its largest and smallest value are closer than 0.001. Where fewer
    than two steps count nothing can be said, and the unit is not called dead.

    Attributes:
        low: `[unit]`, the share of steps at the lower end, 0 to 1.
        high: `[unit]`, the share of steps at the upper end, 0 to 1.
        least: `[unit]`, the smallest value; NaN where no step counts.
        greatest: `[unit]`, the largest value; NaN where no step counts.
        dead: `[unit]` bool.
    """

    low: np.ndarray
    high: np.ndarray
    least: np.ndarray
    greatest: np.ndarray
    dead: np.ndarray

    @property
    def share(self) -> np.ndarray:
        """The share of saturated steps, `[unit]`, 0 to 1."""
        return self.low + self.high


def ends(quantity: str) -> tuple[float, float] | None:
    """Give the values beyond which a quantity is saturated; None where it has no ends.

    Args:
        quantity: its path, as in `LayerTrace.over_time`.
    """
    scale = scale_of(quantity)
    if scale == "gate":
        return END, 1 - END
    if scale == "tanh":
        return END - 1, 1 - END
    return (-_END_OF_C, _END_OF_C) if quantity.split("/")[-1] == "c" else None


def saturation(
    values: np.ndarray, quantity: str = "states/h", counts: np.ndarray | None = None
) -> Saturation:
    """Tell which units are saturated and which are dead.

    Args:
        values: `[time, unit]`; what is not finite does not count.
        quantity: the path of what they are, as in `LayerTrace.over_time`: it says where the ends
            of the range are.
        counts: `[time]` bool, True where the step counts; None where all do.

    Raises:
        InputError: values of another rank or type; a mask of another length.

    Example:
        >>> import numpy as np
        >>> gate = np.array([[0.5, 1.0], [0.001, 1.0]])
        >>> found = saturation(gate, "gates/forget")
        >>> found.share.tolist(), found.dead.tolist()
        ([0.5, 1.0], [False, True])
    """
    seen = _counted(values, counts)
    steps = np.isfinite(seen).sum(axis=0)
    between = ends(quantity)
    low = high = np.zeros(seen.shape[1])
    if between is not None:
        low = (seen < between[0]).sum(axis=0) / np.maximum(steps, 1)
        high = (seen > between[1]).sum(axis=0) / np.maximum(steps, 1)
    least = np.fmin.reduce(seen, axis=0, initial=np.nan)
    greatest = np.fmax.reduce(seen, axis=0, initial=np.nan)
    dead = (greatest - least < STILL) & (steps > 1)
    return Saturation(low, high, least, greatest, dead)


def order_of_units(
    values: np.ndarray,
    order: str | Sequence[int] = "stored",
    quantity: str = "states/h",
    counts: np.ndarray | None = None,
) -> list[int]:
    """Give the units in the order in which they are shown.

    Args:
        values: `[time, unit]`; what is not finite does not count.
        order: "stored" is 0, 1, 2 ...; "correlation" puts units that behave alike next to each
            other, and those that never move last; "saturation" puts the most saturated first;
            or a permutation of the units.
        quantity: the path of what the values are, see `saturation`.
        counts: `[time]` bool, True where the step counts; None where all do.

    Raises:
        ArgumentError: an order that is none of these.
        InputError: values of another rank or type; a mask of another length.

    Example:
        >>> import numpy as np
        >>> up, down = np.linspace(-0.5, 0.5, 9), np.linspace(0.5, -0.5, 9)
        >>> order_of_units(np.stack([up, down, up, down], axis=1), "correlation")
        [0, 2, 1, 3]
    """
    seen = _counted(values, counts)
    units = seen.shape[1]
    if isinstance(order, str):
        if order == "stored":
            return list(range(units))
        if order == "correlation":
            return _by_correlation(seen)
        if order == "saturation":
            share = saturation(seen, quantity).share
            return np.argsort(-share, kind="stable").tolist()
        raise _wrong_order(order, units)
    try:
        given = [int(unit) for unit in order]
        whole = given == list(order)
    except (TypeError, ValueError) as error:
        raise _wrong_order(order, units) from error
    if not whole or sorted(given) != list(range(units)):
        raise _wrong_order(order, units)
    return given


def _by_correlation(seen: np.ndarray) -> list[int]:
    """Walk from each unit to the one most like it that is left.

    The walk starts at an end of the direction in which the units differ most. Where there are
    groups whose members are more alike than any two of different groups, each stays together.
    """
    lowest = np.fmin.reduce(seen, axis=0, initial=np.nan)
    moves = np.fmax.reduce(seen, axis=0, initial=np.nan) - lowest >= STILL
    still = np.flatnonzero(~moves).tolist()
    moving = np.flatnonzero(moves)
    if len(moving) < 3:
        return [*moving.tolist(), *still]
    centred = seen[:, moving] - np.nanmean(seen[:, moving], axis=0)
    # A step at which a unit is not known says nothing of what it is like.
    centred = np.nan_to_num(centred, nan=0.0)
    alike = centred / np.linalg.norm(centred, axis=0)
    # Rounded, so that among equals the first one comes first.
    alike = np.round(alike.T @ alike, 9)
    main = np.round(np.linalg.eigh(alike)[1][:, -1], 6)
    # The sign of an eigenvector is anyone's choice: let the first unit stand at the front.
    here = int(np.argmax(main if main[0] >= 0 else -main))
    walk = [here]
    left = np.ones(len(moving), dtype=bool)
    for _ in range(len(moving) - 1):
        left[here] = False
        here = int(np.argmax(np.where(left, alike[here], -np.inf)))
        walk.append(here)
    return [*moving[walk].tolist(), *still]


def _counted(values: np.ndarray, counts: np.ndarray | None) -> np.ndarray:
    """Give the values of the steps that count, NaN for what is not finite."""
    values = np.asarray(values)
    where = "units"
    if values.ndim != 2 or not np.issubdtype(values.dtype, np.floating):
        raise InputError(
            message(
                where,
                f"values have shape {values.shape} and type {values.dtype}; "
                "expected floats of [time, unit].",
                "Pass one quantity of one sample, such as states[0].",
            )
        )
    if counts is not None:
        counts = np.asarray(counts)
        if counts.shape != values.shape[:1] or counts.dtype != bool:
            raise InputError(
                message(
                    where,
                    f"the mask has shape {counts.shape} and type {counts.dtype}; "
                    f"expected bool of {values.shape[:1]}, [time].",
                    "Pass True for each time step that counts.",
                )
            )
        values = values[counts]
    found = values.astype(np.float64)
    return np.where(np.isfinite(found), found, np.nan)


def _wrong_order(order: object, units: int) -> ArgumentError:
    names = ", ".join(f'"{name}"' for name in ORDERS)
    return ArgumentError(
        message(
            "order",
            f"got {order!r}; expected {names} or a permutation of the {units} units.",
            f"Leave it out for the order as stored, or pass each of 0 to {units - 1} once.",
        )
    )
