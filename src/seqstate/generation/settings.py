"""The settings of `generate`, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from seqstate.errors import ArgumentError, message

OF_METHOD: Mapping[str, tuple[str, ...]] = {
    "greedy": (),
    "beam": ("beam_width", "length_penalty", "every_beam"),
    "sample": ("temperature", "top_k", "top_p", "seed"),
}


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

        if method not in OF_METHOD:
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
        tokens = decoder.tokens or 0
        whole = {
            "max_length": (max_length, None),
            "beam_width": (settings.beam_width, None),
            "top_k": (settings.top_k, tokens),
        }
        for name, (value, most) in whole.items():
            if value is None:
                continue
            is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
            if not is_whole or value < 1 or (most and value > most):
                up_to = f" to {most}" if most else " on"
                raise wrong(
                    f"{name}={value!r}; expected a whole number from 1{up_to}.",
                    "Pass another number, or leave it out."
                    if name != "max_length"
                    else "Pass the number of steps after which a row ends in any case.",
                )
        ranges = {
            "temperature": (settings.temperature > 0, "above 0; for the best tokens say greedy"),
            "top_p": (settings.top_p is None or 0 < settings.top_p <= 1, "above 0, up to 1"),
            "length_penalty": (settings.length_penalty >= 0, "from 0 on"),
        }
        for name, (is_fine, expected) in ranges.items():
            if not is_fine:
                raise wrong(f"{name}={getattr(settings, name)!r}; expected {expected}.", "Mend it.")
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

    def chances(self, batch: int, length: int) -> np.ndarray:
        """Draw what decides on the tokens: `[batch, length]`, uniform from 0 to below 1."""
        if self.method != "sample":
            return np.zeros((batch, length), "float32")
        return np.random.default_rng(self.seed).random((batch, length), dtype="float32")
