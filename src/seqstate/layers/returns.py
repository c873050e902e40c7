"""`returns=`: which results a layer gives, by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seqstate import state as states
from seqstate.errors import ArgumentError, message

NAMES = {
    "output": "the last output, [batch, units]; what a layer returns by default",
    "sequence": "the output of each step, [batch, time, units]",
    "state": "each state after the last step, [batch, units]",
    "states": "each state after each step, [batch, time, units]",
    "gates": "each gate at each step, [batch, time, units]",
}
WITH_TIME = ("sequence", "states", "gates")


def read_names(returns: Any, where: str, flags: Sequence[str] = ()) -> tuple[str, ...] | None:
    """Check `returns=` and give the names in the order of `NAMES`.

    Args:
        returns: None, a name, several names, or "all".
        where: the layer, for the message.
        flags: Keras's flags that were set as well.

    Raises:
        ArgumentError: an unknown name, no name, or `returns` beside a flag.
    """
    if returns is None:
        return None
    if flags:
        raise ArgumentError(
            message(
                where,
                f"returns={returns!r} can't be used together with "
                f"{' and '.join(f'{flag}=True' for flag in flags)}.",
                'Say all in returns: return_sequences=True is "sequence", return_state=True is '
                '"state" (and "output" is the last output).',
            )
        )
    asked = [returns] if isinstance(returns, str) else returns
    if isinstance(asked, set | frozenset):
        asked = sorted(asked)
    if asks_all(asked):
        return tuple(NAMES)
    known = ", ".join(f'"{name}"' for name in NAMES)
    if not isinstance(asked, list | tuple) or not asked:
        raise ArgumentError(
            message(
                where,
                f"returns={returns!r} names nothing.",
                f'Pass "all" or some of {known}.',
            )
        )
    wrong = [name for name in asked if name not in NAMES]
    if wrong:
        raise ArgumentError(
            message(
                where,
                f"returns has the unknown name {', '.join(map(repr, wrong))}; "
                f'expected "all" or some of {known}.',
                "; ".join(f'"{name}" is {what}' for name, what in NAMES.items()) + ".",
            )
        )
    return tuple(name for name in NAMES if name in asked)


def asks_all(returns: Any) -> bool:
    """Tell whether `returns=` is "all", alone or as the one name of a list."""
    return returns == "all" or (isinstance(returns, list | tuple) and list(returns) == ["all"])


def shapes(
    names: Sequence[str],
    batch: int | None,
    time: int | None,
    output: tuple[int, ...],
    spec: states.Spec,
    gates: states.Spec,
) -> dict[str, Any]:
    """Give the shape of each result, nested as the results are."""

    def with_time(sizes: tuple[int, ...]) -> tuple[int | None, ...]:
        return (batch, time, *sizes)

    all_shapes = {
        "output": (batch, *output),
        "sequence": with_time(output),
        "state": states.map_leaves(lambda sizes: (batch, *sizes), spec),
        "states": states.map_leaves(with_time, spec),
        "gates": states.map_leaves(with_time, gates),
    }
    return {name: all_shapes[name] for name in names}


def fill(names: Sequence[str], shape: dict[str, Any], mask: Any) -> dict[str, Any]:
    """Give each result its mask: `mask` where there is a time axis, else None."""

    def each(value: Any, mask: Any) -> Any:
        if isinstance(value, dict):
            return {key: each(inner, mask) for key, inner in value.items()}
        return mask

    return {name: each(shape[name], mask if name in WITH_TIME else None) for name in names}
