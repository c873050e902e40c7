"""Native calls to test: every kind of cell with everything that a call can have, at random."""

from contextlib import contextmanager
from typing import Any

import numpy as np

from seqstate.cells import KINDS
from seqstate.kernels import native
from seqstate.kernels.call import ACTIVATIONS, Spec

# Name, kind, reset_after
CELLS = {
    "LSTM": ("LSTM", True),
    "GRU": ("GRU", True),
    "GRU, reset before": ("GRU", False),
    "SimpleRNN": ("SimpleRNN", True),
}


def shapes(text: str) -> list[tuple[int, ...]]:
    """Read shapes of calls, written as batch x time x features x units."""
    return [tuple(map(int, shape.split("x"))) for shape in text.split()]


# One of each, no multiple of a vector, more rows than a tile, more entries than a block of the
# weight gradients' sums.
SHAPES = shapes("1x1x1x1 1x1x8x32 1x7x3x17 1x9x5x64 2x5x4x3 3x4x2x50 5x6x7x129 13x3x33x20 70x5x1x9")
# Enough work that it is given to threads: few long rows share their steps, many share the rows;
# the last two are few rows for many threads, with panels that are cut.
LONG = shapes("1x60x9x66 2x40x20x70 3x25x5x129 7x30x8x40 33x12x16x50 8x12x64x200 7x10x300x300")
FORMS: dict[str, dict[str, Any]] = {
    "plain": {},
    "no bias": {"bias": False},
    "initial state": {"initial": True},
    "mask": {"mask": True, "initial": True},
    "reset": {"reset": True, "fresh": True, "initial": True},
    "mask and reset": {"mask": True, "reset": True, "fresh": True, "initial": True},
    "one dropout mask": {"input_dropout": 1, "recurrent_dropout": 1, "mask": True},
    "a dropout mask a block": {"input_dropout": -1, "recurrent_dropout": -1, "initial": True},
    "dropout of the input": {"input_dropout": -1, "mask": True},
    "dropout of the state": {"recurrent_dropout": -1, "reset": True, "fresh": True},
}
PAIRS = [(a, b) for a in ACTIVATIONS for b in ACTIVATIONS]
# The builds that this machine can run, and those of them that give the same bits.
BUILDS = (
    [name for name in native.module().builds() if native.module().runs_here(name)]
    if native.available()
    else []
)
FUSED = [name for name in BUILDS if native.module().fused(name)]

MASKS = ("mask", "reset_mask")
DROPOUTS = ("input_dropout", "recurrent_dropout")
WEIGHTS = ("kernel", "recurrent_kernel", "bias", "recurrent_bias")


def spec_of(cell: str, **more: Any) -> Spec:
    kind, reset_after = CELLS[cell]
    return Spec(kind, reset_after=reset_after, **{"keep": True, **more})


def inputs_of(
    spec: Spec,
    shape: tuple[int, int, int, int],
    seed: int = 0,
    *,
    bias: bool = True,
    initial: bool = False,
    mask: bool = False,
    reset: bool = False,
    fresh: bool = False,
    input_dropout: int = 0,
    recurrent_dropout: int = 0,
) -> dict[str, Any]:
    """Give float32 inputs of unit scale: numbers from -1 to 1, weights like Keras's first ones.

    With `initial` and so on those too; dropout: 0, 1 or -1 (a mask for each block).
    """
    batch, time, features, units = shape
    rng = np.random.default_rng(seed)
    blocks = KINDS[spec.kind].blocks

    def numbers(*size: int) -> np.ndarray:
        return rng.uniform(-1, 1, size).astype(np.float32)

    def normal(*size: int, scale: float) -> np.ndarray:
        return (scale * rng.normal(size=size)).astype(np.float32)

    def orthogonal(*size: int) -> np.ndarray:
        # Another one would let errors grow from step to step.
        return np.ascontiguousarray(np.linalg.qr(rng.normal(size=size[::-1]))[0].T, np.float32)

    inputs = {
        "x": numbers(batch, time, features),
        "kernel": normal(features, blocks * units, scale=(2 / (features + blocks * units)) ** 0.5),
        "recurrent_kernel": orthogonal(units, blocks * units),
    }
    if bias:
        inputs["bias"] = normal(blocks * units, scale=0.3)
        if spec.kind == "GRU" and spec.reset_after:
            inputs["recurrent_bias"] = normal(blocks * units, scale=0.3)
    for name in KINDS[spec.kind].states:
        if initial:
            inputs[f"initial_{name}"] = numbers(batch, units)
        if fresh:
            inputs[f"fresh_{name}"] = numbers(batch, units)
    if mask:
        inputs["mask"] = rng.random((batch, time)) < 0.6
        inputs["mask"][0] = batch == 1
    if reset:
        inputs["reset_mask"] = rng.random((batch, time)) < 0.4
    for name, count, size in (
        ("input_dropout", input_dropout, features),
        ("recurrent_dropout", recurrent_dropout, units),
    ):
        if count:
            kept = rng.random((blocks if count < 0 else 1, batch, size)) < 0.7
            inputs[name] = (kept / 0.7).astype(np.float32)
    return inputs


def cotangents_of(spec: Spec, results: dict[str, Any], seed: int = 1) -> dict[str, Any]:
    """Give a cotangent for each result, of zeros for what `kept` holds beside the gates."""
    rng = np.random.default_rng(seed)
    found = {k: rng.uniform(-1, 1, v.shape).astype(np.float32) for k, v in results.items()}
    if "kept" in found:
        found["kept"][:, :, len(spec.names.gates) :] = 0
    return found


def rows_of(arrays: dict[str, Any], rows: Any) -> dict[str, Any]:
    """Give the inputs, results or cotangents of some rows of a batch."""

    def of(name: str, value: Any) -> Any:
        if name in WEIGHTS:
            return value
        return value[:, rows] if name == "kept" or name in DROPOUTS else value[rows]

    return {name: of(name, value) for name, value in arrays.items()}


def steps_of(inputs: dict[str, Any], steps: slice) -> dict[str, Any]:
    """Give the inputs of some time steps."""
    timed = ("x", *MASKS)
    return {k: v[:, steps] if k in timed else v for k, v in inputs.items()}


def assert_same_bits(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert set(found) == set(expected)
    for name, value in expected.items():
        a, b = (np.ascontiguousarray(v).view(np.int32) for v in (found[name], value))
        np.testing.assert_array_equal(a, b, err_msg=name)


@contextmanager
def threads(count: int) -> Any:
    """Let the kernels use so many threads."""
    module = native.module()
    before = module.threads()
    module.set_threads(count)
    try:
        yield
    finally:
        module.set_threads(before)
