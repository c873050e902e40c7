"""What was promised of the kernels, and whether a figure keeps it."""

from __future__ import annotations

from dataclasses import dataclass

from cases import CELLS, DROPOUT, EVERY, FORWARD, GRADIENT, MASK, SHAPES

# How many times as long the fastest peer takes, at least. Ahead of it is anything above 1.
AHEAD: dict[tuple[str, str], dict[str, float]] = {
    ("LSTM", FORWARD): {
        "seq": 1.25, "b1": 3, "step": 10, "big": 1.15, "small": 1.8, "wide": 1.6,
    },
    ("LSTM", GRADIENT): {"seq": 1.6, "b1": 4, "big": 1.6, "small": 2.6, "wide": 3},
    **{
        (cell, task): dict.fromkeys(SHAPES, 1.0)
        for cell in CELLS[1:]
        for task in (FORWARD, GRADIENT)
    },
}  # fmt: skip
# How many times our own plain time, at most.
VARIANT = {MASK: 1.5, EVERY: 1.5, DROPOUT: 1.5}
# The largest error of values beside float64, absolute.
ERROR = 5e-7
# How many times the memory of torch, at most.
MEMORY = 1.2
# How many times as long Keras's own layer takes for an epoch of fit, at least: backend, shape.
FIT = {
    ("jax", "seq"): 3.0,
    ("torch", "seq"): 8.0,
    ("tensorflow", "seq"): 2.0,
    ("tensorflow", "small"): 2.0,
}

# How many times as long a step takes elsewhere, at least; how many million samples a second; which
# part of what the store alone does.
STREAM_STEP = {"Keras on JAX, predict_on_batch": 20.0, "ONNX Runtime": 1.0}
STREAM_MILLIONS = 1.0
STREAM_STORED = 0.5


@dataclass(frozen=True)
class Verdict:
    """A figure beside its goal.

    Attributes:
        figure: a ratio.
        goal: what it should be, or None.
        at_most: whether less is better.
    """

    figure: float
    goal: float | None
    at_most: bool = False

    @property
    def reached(self) -> bool:
        """Whether the goal is reached; so is one that was never set."""
        if self.goal is None:
            return True
        return self.figure <= self.goal if self.at_most else self.figure >= self.goal

    def __str__(self) -> str:
        if self.goal is None:
            return f"{self.figure:.2f}x, no goal"
        goal = f"{'at most' if self.at_most else 'at least'} {self.goal:g}x"
        if self.reached:
            return f"{self.figure:.2f}x, {goal}: reached"
        far = abs(self.figure / self.goal - 1)
        return f"{self.figure:.2f}x, {goal}: **{'over' if self.at_most else 'short'} by {far:.0%}**"
