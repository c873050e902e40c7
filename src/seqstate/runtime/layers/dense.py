"""Layers that multiply with a kernel: `Dense` and `EinsumDense`."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from seqstate.kernels.call import ACTIVATIONS as NATIVE
from seqstate.kernels.dense import Dense
from seqstate.runtime.activations import activation_of
from seqstate.runtime.archive.config import Config
from seqstate.runtime.archive.weights import Weights
from seqstate.runtime.layers.layer import Array, Layer, OneToOne, same_steps
from seqstate.runtime.layers.making import Making
from seqstate.runtime.plan.maker import Maker
from seqstate.runtime.plan.value import Shape


class DenseLayer(OneToOne):
    """`Dense`: on the last axis, whatever stands before it."""

    hands_mask_on = True

    def __init__(self, config: Config, weights: Weights, making: Making) -> None:
        super().__init__(config, weights, making)
        self.units = config.whole("units")
        arrays = weights.arrays("kernel", "bias")
        kernel = self.weight(arrays, 0, "kernel", (None, self.units))
        bias = None
        if config.flag("use_bias", True):
            bias = self.weight(arrays, 1, "bias", (self.units,))
        self.features = len(kernel)
        name = making.activation_name(config, "activation")
        own = name in NATIVE
        self.dense = Dense(kernel, bias, name if own else "linear")
        self.activation = None if own else activation_of(name)

    def apply(self, x: Array) -> Array:
        """See `OneToOne`."""
        shape = x.shape
        rows = x.reshape(-1, self.features) if len(shape) != 2 else x
        if rows.dtype != np.float32:
            rows = rows.astype(np.float32)
        made = self.dense(rows)
        if self.activation is not None:
            made = self.activation(made)
        return made if len(shape) == 2 else made.reshape(*shape[:-1], self.units)

    def shape(self, shape: Shape) -> Shape:
        """See `OneToOne`."""
        if shape[-1] not in (None, self.features):
            raise self.config.wrong(
                f"its input has shape {shape}; its kernel is for {self.features} features."
            )
        return (*shape[:-1], self.units)


class EinsumDenseLayer(Layer):
    """`EinsumDense`, where the kernel is multiplied with axes that the output has not."""

    def __init__(self, config: Config, weights: Weights, making: Making) -> None:
        super().__init__(config, weights, making)
        inputs, kernel, self.output = self._read(config.text("equation", ""))
        self.inputs, self.outer = inputs, [a for a in kernel if a not in inputs]
        self.inner = [axis for axis in inputs if axis not in self.output]
        both = set(inputs) & set(kernel) & set(self.output)
        lost = set(self.inner) ^ (set(kernel) & set(inputs))
        if both or lost or not self.inner:
            making.refuse(
                config,
                f"its equation {config.get('equation')} is not known",
                "Use one whose kernel is summed over, such as abc,cd->abd",
            )
            return
        bias_axes = config.get("bias_axes")
        arrays = weights.arrays("kernel", "bias")
        full = self.weight(arrays, 0, "kernel", (None,) * len(kernel))
        sizes = dict(zip(kernel, full.shape, strict=True))
        self.sizes = tuple(sizes[axis] for axis in self.outer)
        self.summed = tuple(sizes[axis] for axis in self.inner)
        order = [kernel.index(axis) for axis in (*self.inner, *self.outer)]
        self.dense = Dense(full.transpose(order).reshape(prod(self.summed), prod(self.sizes)))
        self.bias: Array | None = None
        self.bias_steps: int | None = None
        if bias_axes:
            # As Keras has it: one size for each axis of the output from the first of its own on.
            first = min(self.output.index(axis) for axis in bias_axes)
            self.bias = self.weight(arrays, 1, "bias", (None,) * (len(self.output) - first))
            self.bias_steps = self.bias.shape[0] if first == 1 and self.bias.shape[0] > 1 else None
        self.activation = making.activation(config, "activation")

    def _read(self, equation: str) -> tuple[list[str], list[str], list[str]]:
        left, _, output = equation.replace(" ", "").partition("->")
        inputs, _, kernel = left.partition(",")
        if inputs.startswith("...") and output.startswith("..."):
            # One axis for the batch and one for the time; there are no more in a sequence.
            inputs, output = f"01{inputs[3:]}", f"01{output[3:]}"
        return list(inputs), list(kernel), list(output)

    def call(self, maker: Maker, x: Any, **given: Any) -> Any:
        """See `Layer`."""
        x = self.one(x)
        inputs, output = self.inputs, self.output
        if inputs[:2] == ["0", "1"] and x.rank == len(inputs) - 1:
            inputs, output = inputs[1:], output[1:]
        if x.rank != len(inputs) or inputs[0] != output[0]:
            raise self.config.wrong(f"its input has shape {x.shape}; expected {inputs}.")
        if x.time and (len(output) < 2 or inputs[1] != output[1]):
            maker.no_step(f"{self.where} moves or sums up the time axis")
        kept = [axis for axis in inputs if axis not in self.inner]
        order = [inputs.index(axis) for axis in (*kept, *self.inner)]
        back = [[*kept, *self.outer].index(axis) for axis in output]

        own = self.bias_steps
        if own is not None and x.time:
            maker.no_step(f"{self.where} has weights of its own for each time step")

        def compute(array: Array) -> Array:
            if own is not None and output[1] in inputs:
                same_steps(self.where, array.shape[inputs.index(output[1])], own)
            moved = array.transpose(order)
            rows = moved.reshape(-1, prod(self.summed)).astype(np.float32, copy=False)
            made = self.dense(np.ascontiguousarray(rows))
            made = made.reshape(*moved.shape[: len(kept)], *self.sizes).transpose(back)
            return self.activation(made if self.bias is None else made + self.bias)

        sizes = dict(zip(inputs, x.shape, strict=True))
        sizes.update(zip(self.outer, self.sizes, strict=True))
        return maker.emit(compute, x, shape=tuple(sizes[axis] for axis in output))
