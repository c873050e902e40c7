"""The settings of `generate`, checked."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any

import numpy as np

from seqstate.errors import ArgumentError, message

OF_METHOD: Mapping[str, tuple[str, ...]] = {
    "greedy": (),
    "beam": ("beam_width", "length_penalty", "every_beam"),
    "sample": ("temperature", "top_k", "top_p", "seed"),
}


MAY_BE_NONE = ("top_k", "top_p", "seed")


@dataclass(frozen=True)
class Settings:
    """How `generate` says a target.

    Attributes:
        method: "greedy", "beam" or "sample".
        beam_width: how many beginnings are kept in a beam search.
        length_penalty: the score of a sentence of `n` tokens is the logarithm of its probability
            divided by `((5 + n) / 6) ** length_penalty`; from 0 on.
        every_beam: give all `beam_width` sentences of a row, best first.
        temperature: above 0; scores are divided by it before tokens are drawn. Below 1 the likely
            ones become likelier.
        top_k: draw only from so many of the best tokens.
        top_p: draw only from the best tokens that have this probability together.
        seed: for the same draws each time, on every backend.
    """

    method: str = "greedy"
    beam_width: int = 4
    length_penalty: float = 0.0
    every_beam: bool = False
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    seed: int | None = None

    @classmethod
    def read(
        cls, method: str, given: Mapping[str, Any], decoder: Any, max_length: Any, where: str
    ) -> Settings:
        """Check the settings of a call.

        Raises:
            ArgumentError: an unknown method, a setting of another one, or one out of range.
        """

        def wrong(what: str, todo: str) -> ArgumentError:
            return ArgumentError(message(f"{where}.generate", what, todo))

        if not isinstance(method, str) or method not in OF_METHOD:
            raise wrong(
                f"method={method!r}; expected {', '.join(map(repr, OF_METHOD))}.",
                "See help(EncoderDecoder.generate).",
            )
        if decoder.tokens is None and method != "greedy":
            raise wrong(
                f"method={method!r}, but the decoder says real values, which have no "
                "probabilities.",
                "Leave it out: each step reads what the step before said.",
            )
        known = {field.name for field in fields(cls)} - {"method"}
        for name in given:
            if name not in known:
                raise wrong(
                    f"there is no setting {name!r}; there are {', '.join(sorted(known))}.",
                    "Leave it out.",
                )
            if name not in OF_METHOD[method]:
                home = next(kind for kind, names in OF_METHOD.items() if name in names)
                raise wrong(
                    f"{name} is a setting of method={home!r}; this is {method!r}.",
                    f"Say method={home!r}, or leave it out.",
                )
        settings = cls(method=method, **given)
        whole: Mapping[str, tuple[Any, int, int | None]] = {
            "max_length": (max_length, 1, None),
            "beam_width": (settings.beam_width, 1, None),
            "top_k": (settings.top_k, 1, decoder.tokens),
            "seed": (settings.seed, 0, None),
        }
        for name, (value, least, most) in whole.items():
            if value is None and name in MAY_BE_NONE:
                continue
            is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
            if not is_whole or value < least or (most is not None and value > most):
                up_to = f" to {most}" if most else " on"
                raise wrong(
                    f"{name}={value!r}; expected a whole number from {least}{up_to}.",
                    "Pass another number, or leave it out."
                    if name != "max_length"
                    else "Pass the number of steps after which a row ends in any case.",
                )
        ranges: Mapping[str, tuple[Callable[[float], bool], str]] = {
            "temperature": (lambda t: t > 0, "above 0; for the best tokens say greedy"),
            "top_p": (lambda p: 0 < p <= 1, "above 0, up to 1"),
            "length_penalty": (lambda p: 0 <= p < math.inf, "from 0 on"),
        }
        for name, (is_fine, expected) in ranges.items():
            value = getattr(settings, name)
            if value is None and name in MAY_BE_NONE:
                continue
            if isinstance(value, bool) or not isinstance(value, Real) or not is_fine(float(value)):
                raise wrong(
                    f"{name}={value!r}; expected {expected}.",
                    "Pass another number, or leave it out.",
                )
        if not isinstance(settings.every_beam, bool | np.bool_):
            raise wrong(
                f"every_beam={settings.every_beam!r}; expected True or False.",
                "True gives all sentences of a row, best first.",
            )
        return settings

    @property
    def key(self) -> tuple[Any, ...]:
        """What makes another program of it; the rest are numbers that a program is given."""
        return (
            self.method,
            self.beam_width,
            self.every_beam,
            self.top_k,
            self.top_p is None,
        )

    @property
    def numbers(self) -> np.ndarray:
        """Temperature, `top_p` and length penalty, as a program is given them."""
        coldest = float(np.finfo("float32").tiny)
        return np.array(
            [max(self.temperature, coldest), self.top_p or 1.0, self.length_penalty], "float32"
        )

    def chances(self, batch: int, length: int) -> np.ndarray:
        """Draw what decides on the tokens: `[batch, length]`, uniform from 0 to below 1."""
        if self.method != "sample":
            return np.zeros((batch, length), "float32")
        return np.random.default_rng(self.seed).random((batch, length), dtype="float32")
