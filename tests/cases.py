"""The one table of shapes, masks, arguments and tolerances that the tests share."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

BATCH, TIME, FEATURES, UNITS = 3, 5, 4, 3

# Largest absolute difference to an oracle with the same weights.
TOLERANCE = {"float32": 1e-5, "mixed_bfloat16": 2e-2, "mixed_float16": 2e-3}

LAYERS = ("SimpleRNN", "GRU", "LSTM")

MASKS = {
    "right padded": [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0]],
    "left padded": [[1, 1, 1, 1, 1], [0, 0, 1, 1, 1], [0, 0, 0, 0, 1]],
    "with holes": [[1, 0, 1, 0, 1], [1, 1, 0, 0, 1], [0, 1, 1, 0, 0]],
    "a row skipped": [[1, 1, 1, 1, 1], [0, 0, 0, 0, 0], [1, 1, 0, 1, 1]],
}
MASKS = {name: np.array(rows, bool) for name, rows in MASKS.items()}


@dataclass(frozen=True)
class Case:
    """A layer made with `made`, called with `called`, compared with Keras's own."""

    name: str
    made: dict[str, Any] = field(default_factory=dict)
    called: dict[str, Any] = field(default_factory=dict)
    only: tuple[str, ...] = LAYERS


BOTH = {"return_sequences": True, "return_state": True}
MASKED = [Case(f"mask {name}", BOTH, {"mask": mask}) for name, mask in MASKS.items()]
ZEROED = [
    Case(f"zeroed, mask {name}", {**BOTH, "zero_output_for_mask": True}, {"mask": mask})
    for name, mask in MASKS.items()
]
CASES = [
    Case("output"),
    Case("sequence", {"return_sequences": True}),
    Case("state", {"return_state": True}),
    Case("both", BOTH),
    *MASKED,
    *ZEROED,
    Case("mask, output", {}, {"mask": MASKS["with holes"]}),
    Case("mask as numbers", BOTH, {"mask": MASKS["with holes"].astype("int32")}),
    Case("mask, backwards", {**BOTH, "go_backwards": True}, {"mask": MASKS["right padded"]}),
    Case("backwards", {**BOTH, "go_backwards": True}),
    Case("unroll", {**BOTH, "unroll": True}),
    Case("unroll, mask", {**BOTH, "unroll": True}, {"mask": MASKS["with holes"]}),
    Case("unroll, backwards", {**BOTH, "unroll": True, "go_backwards": True}),
    Case("no bias", {**BOTH, "use_bias": False}),
    Case("relu", {**BOTH, "activation": "relu"}),
    Case("linear", {**BOTH, "activation": None}),
    Case("hard_sigmoid", {**BOTH, "recurrent_activation": "hard_sigmoid"}, only=("GRU", "LSTM")),
    Case("initial state", BOTH, {"initial_state": True}),
    Case("initial state, mask", BOTH, {"initial_state": True, "mask": MASKS["right padded"]}),
    Case("initial state, backwards", {**BOTH, "go_backwards": True}, {"initial_state": True}),
    Case("dropout", {**BOTH, "dropout": 0.4, "seed": 3}, {"training": True}),
    Case("dropout, inference", {**BOTH, "dropout": 0.4, "seed": 3}, {"training": False}),
    Case("recurrent dropout", {**BOTH, "recurrent_dropout": 0.4, "seed": 3}, {"training": True}),
    Case(
        "both dropouts, mask",
        {**BOTH, "dropout": 0.3, "recurrent_dropout": 0.4, "seed": 3},
        {"training": True, "mask": MASKS["with holes"]},
    ),
    Case("reset before", {**BOTH, "reset_after": False}, only=("GRU",)),
    Case("reset before, no bias", {**BOTH, "reset_after": False, "use_bias": False}, only=("GRU",)),
    Case(
        "reset before, dropout",
        {**BOTH, "reset_after": False, "dropout": 0.3, "recurrent_dropout": 0.4, "seed": 3},
        {"training": True},
        only=("GRU",),
    ),
    Case("no unit forget bias", {**BOTH, "unit_forget_bias": False}, only=("LSTM",)),
]


def pairs() -> list[Any]:
    """Give every layer with every case that is for it, and readable ids for pytest."""
    return [(layer, case) for case in CASES for layer in case.only]


def ids(values: list[Any]) -> list[str]:
    return [f"{layer}: {case.name}" for layer, case in values]


def data(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype("float32")
