"""The four ways of asking a layer, and the equations of the LSTM checked by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from seqstate.errors import SeqstateError, message
from seqstate.layers import LSTM

# float32 carries about seven digits; these values are below 1.
TOLERANCE = 1e-5

BY_FLAGS: Mapping[str, tuple[dict[str, bool], tuple[str, ...]]] = {
    "output": ({}, ("output",)),
    "sequence": ({"return_sequences": True}, ("sequence",)),
    "state": ({"return_state": True}, ("output", "h", "c")),
    "both": ({"return_sequences": True, "return_state": True}, ("sequence", "h", "c")),
}


@dataclass(frozen=True)
class Call:
    """One way of asking, and what came back.

    Attributes:
        way: its name.
        code: the call as one would write it, an argument a line.
        results: by name, each `[batch, units]` or `[batch, time, units]`.
    """

    way: str
    code: str
    results: dict[str, np.ndarray]


@dataclass(frozen=True)
class Equation:
    """An equation and how far its two sides are apart at most."""

    text: str
    gap: float


def four_ways(x: np.ndarray, units: int) -> tuple[list[Call], dict[str, Any]]:
    """Ask one LSTM in the four ways of Keras, and once by name.

    Args:
        x: `[batch, time, features]`.
        units: of the LSTM; all the layers made here have the same weights.

    Returns:
        The four calls, and the dict of NumPy arrays that `returns="all"` gives.
    """
    by_name = LSTM(units, returns="all")
    everything = keras.tree.map_structure(keras.ops.convert_to_numpy, by_name(x))
    calls = []
    for way, (flags, names) in BY_FLAGS.items():
        layer = LSTM(units, **flags)
        layer.build(x.shape)
        layer.set_weights(by_name.get_weights())
        given = layer(x)
        values = given if isinstance(given, list | tuple) else [given]
        results = dict(zip(names, map(keras.ops.convert_to_numpy, values), strict=True))
        arguments = ",\n  ".join([str(units), *(f"{name}=True" for name in flags)])
        code = f"LSTM({arguments}\n)(x)" if flags else f"LSTM({units})(x)"
        calls.append(Call(way, code, results))
    return calls, everything


def equations(results: Mapping[str, Any]) -> list[Equation]:
    """Compute both sides of the LSTM's equations from what a layer returned.

    Args:
        results: of `returns="all"`: `states` and `gates` with arrays `[batch, time, units]`, of
            a run that started from zeros.
    """
    h, c = results["states"]["h"], results["states"]["c"]
    i, f, g, o = (results["gates"][name] for name in ("input", "forget", "candidate", "output"))
    before = np.concatenate([np.zeros_like(c[:, :1]), c[:, :-1]], axis=1)
    return [
        Equation("h = o * tanh(c)", _gap(h, o * np.tanh(c))),
        Equation("c = f * c(before) + i * g", _gap(c, f * before + i * g)),
    ]


def same_numbers(results: Mapping[str, Any]) -> list[Equation]:
    """Compare the three places where the last output stands in `returns="all"`."""
    output = results["output"]
    return [
        Equation("output = last step of sequence", _gap(output, results["sequence"][:, -1])),
        Equation("output = state h", _gap(output, results["state"]["h"])),
    ]


def _gap(left: np.ndarray, right: np.ndarray) -> float:
    return float(np.abs(left - right).max())


def require_all(checked: list[Equation]) -> None:
    """Stop if an equation doesn't hold.

    Raises:
        SeqstateError: the two sides differ by more than rounding.
    """
    for equation in checked:
        if not equation.gap <= TOLERANCE:
            raise SeqstateError(
                message(
                    "seqstate tour",
                    f"{equation.text} is off by {equation.gap:.1e}; expected {TOLERANCE:.0e} "
                    "at most.",
                    "The layer computed something wrong on this machine: please report it, with "
                    "your Keras backend and its version.",
                )
            )
