"""The order of pushes: rounds where a key comes several times, and the sequence numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from seqstate.errors import ArgumentError, message
from seqstate.runtime.streams.places import LARGEST_NUMBER, NO_NUMBER, Places, Rows


@dataclass
class Order:
    """What is to be done with each of several pushes.

    Attributes:
        apply: the places in the call of those that move a state, in order.
        same: of those that repeat another one of the same call: the place, and that of the other.
        kept: of those whose output is kept: the place, the row among `Places`, and the number.
    """

    apply: list[int] = field(default_factory=list)
    same: list[tuple[int, int]] = field(default_factory=list)
    kept: list[tuple[int, int, int]] = field(default_factory=list)


def rounds(rows: Rows) -> list[Rows]:
    """Cut pushes into rounds in which each row comes once, its first push in the first round.

    >>> [one.tolist() for one in rounds(np.array([7, 8, 7, 7, 8]))]
    [[0, 1], [2, 4], [3]]
    """
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    rank = np.arange(len(rows)) - np.repeat(starts, np.diff(np.r_[starts, len(rows)]))
    turn = np.empty(len(rows), np.int64)
    turn[order] = rank
    by_turn = np.argsort(turn, kind="stable")
    return np.split(by_turn, np.cumsum(np.bincount(turn))[:-1])


def checked_numbers(
    sequences: Sequence[int | None], pushes: int, keys: Sequence[str], where: str
) -> list[int]:
    """Give the sequence numbers of pushes, `NO_NUMBER` where there is none.

    Raises:
        ArgumentError: another count of them, or one that is no whole number from 0.
    """
    if not isinstance(sequences, Iterable):
        raise ArgumentError(
            message(
                where,
                f"sequences is {sequences!r:.80}; expected a list.",
                "Pass a number for each key, None for a push without one.",
            )
        )
    listed: list[Any] = sequences.tolist() if isinstance(sequences, np.ndarray) else list(sequences)
    if len(listed) != pushes:
        raise ArgumentError(
            message(
                where,
                f"{len(listed)} sequence numbers came with {pushes} keys.",
                "Pass one for each key, None for a push without a number.",
            )
        )
    for i, number in enumerate(listed):
        if number is None:
            listed[i] = NO_NUMBER
        elif (
            not isinstance(number, int | np.integer)
            or isinstance(number, bool)
            or not 0 <= number < LARGEST_NUMBER
        ):
            raise ArgumentError(
                message(
                    where,
                    f"the sequence number of key {keys[i]!r} is {number!r}; expected a whole "
                    "number from 0.",
                    "Number the pushes of a key 0, 1, 2 ...",
                )
            )
    return listed


def arranged(
    numbers: Sequence[int], local: Rows, places: Places, keys: Sequence[str], where: str
) -> Order:
    """Say what is to be done with each of several pushes with numbers.

    Args:
        numbers: of the pushes, `NO_NUMBER` where there is none.
        local: for each push the row of its key among `places`.
        places: where the keys stand.
        keys: of the pushes, for messages.
        where: the call, for messages.

    Raises:
        ArgumentError: a number that leaves out others, or whose output is not kept any more.
    """
    order = Order()
    last = places.number.tolist()
    count = places.count.tolist()
    now = list(last)
    here: dict[tuple[int, int], int] = {}
    for i, (number, row) in enumerate(zip(numbers, local.tolist(), strict=True)):
        if number == NO_NUMBER:
            order.apply.append(i)
        elif now[row] == NO_NUMBER or number == now[row] + 1:
            now[row] = number
            here[row, number] = i
            order.apply.append(i)
        elif (row, number) in here:
            order.same.append((i, here[row, number]))
        elif last[row] - count[row] < number <= last[row]:
            order.kept.append((i, row, number))
        else:
            raise _out_of_order(keys[i], number, now[row], count[row], where)
    return order


def _out_of_order(key: str, number: int, last: int, count: int, where: str) -> ArgumentError:
    if number > last:
        missing = "one is" if number == last + 2 else f"{number - last - 1} are"
        return ArgumentError(
            message(
                where,
                f"key {key!r}: number {number} came; expected {last + 1}: {missing} missing.",
                "Push what lies between first. To go on without it: "
                "set_state(key, state(key), sequence=...). No state was moved.",
            )
        )
    since = f"from {last - count + 1} on" if count else "of none of them"
    return ArgumentError(
        message(
            where,
            f"key {key!r}: number {number} came; expected {last + 1}. It was applied before, and "
            f"outputs are kept {since}.",
            "Ask for more of them, streams(..., keep_outputs=...), where repeats come this late. "
            "No state was moved.",
        )
    )
