"""What `generate` gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from seqstate.state import State


@dataclass(frozen=True)
class Generated:
    """What was said for each row of a source; with `every_beam`, `[batch, beams, ...]` each.

    Attributes:
        tokens: `[batch, time]` int; after the end of a row its padding, or its stop token. None
            for values.
        values: `[batch, time, outputs]`, or None for tokens.
        lengths: `[batch]` int, how many steps a row has, the stop token among them.
        scores: `[batch]`: the logarithm of the probability of all of a row, in a beam search
            divided by its length penalty. None for values.
        token_scores: `[batch, time]`: the logarithm of the probability of each token; 0 after the
            end. None for values.
        states: after each step, by layer and name, each leaf `[batch, time, units]`, if asked
            for. Those after the end of a row mean nothing.
        attention: `[batch, time, source time]`: how much each step looked at each step of the
            source, if the states were asked for and there is attention.
    """

    tokens: np.ndarray | None
    values: np.ndarray | None
    lengths: np.ndarray
    scores: np.ndarray | None = None
    token_scores: np.ndarray | None = None
    states: State | None = None
    attention: np.ndarray | None = None

    def rows(self) -> list[Any]:
        """Give each row without its end: a list of tokens, the stop token left in, or values."""
        said = self.values if self.tokens is None else self.tokens
        assert said is not None
        return [row[:length] for row, length in zip(said, self.lengths, strict=True)]
