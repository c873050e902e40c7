"""`GatedCell`: all that the cells of `SimpleRNN`, `GRU` and `LSTM` share.

A cell's own file states its constructor and its equations; the weights, the projection of the
input, the dropout masks, the config and the Keras calling convention are here.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from seqstate.cells import CellKind
from seqstate.errors import ArgumentError, message

Masks = Any

_REGISTRIES = {
    "activation": keras.activations,
    "initializer": keras.initializers,
    "regularizer": keras.regularizers,
    "constraint": keras.constraints,
}


class GatedCell(keras.layers.Layer):
    """One step of a recurrent layer with a kernel, a recurrent kernel and a bias.

    Subclasses set `kind` and write `equations`.

    Weights:
        kernel: `[features, blocks * units]`.
        recurrent_kernel: `[units, blocks * units]`.
        bias: `[blocks * units]`; for `GRU(reset_after=True)` `[2, blocks * units]`.
    """

    kind: ClassVar[CellKind]

    def __init__(self, arguments: Mapping[str, Any], **kwargs: Any) -> None:
        arguments = dict(arguments)
        names = tuple(arguments)
        self._check_units(arguments["units"])
        implementation = kwargs.pop("implementation", 2) if self.kind.gates else 1
        super().__init__(**kwargs)
        if not self.kind.gates:
            # Keras draws the seed of this cell before those of its initializers.
            self._set_seed(arguments["seed"])
        self.implementation = implementation
        # Not from the signature: a subclass may have another one, and pass the rest on.
        self._own_arguments = names
        for name, value in arguments.items():
            registry = _REGISTRIES.get(name.rpartition("_")[2])
            if registry is not None:
                value = self._look_up(registry, name, value)
            elif name.endswith("dropout"):
                value = min(1.0, max(0.0, value))
            setattr(self, name, value)
        if self.kind.gates:
            if self.recurrent_dropout != 0.0:
                self.implementation = 1
            self._set_seed(arguments["seed"])
        self.state_size: Any = (
            self.units if len(self.kind.states) == 1 else [self.units] * len(self.kind.states)
        )
        self.output_size = self.units
        self.dropout_mask_count = (
            self.kind.blocks if self.kind.gates and self.implementation == 1 else None
        )
        self._dropout_mask: Masks = None
        self._recurrent_dropout_mask: Masks = None

    def _set_seed(self, seed: int | None) -> None:
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed=seed)

    def _check_units(self, units: Any) -> None:
        if isinstance(units, bool) or not isinstance(units, int | np.integer) or units <= 0:
            shape = getattr(units, "shape", None)
            shown = repr(units) if shape is None else f"an array of shape {tuple(shape)}"
            raise ArgumentError(
                message(
                    self.kind.name,
                    f"units={shown}; expected a positive integer.",
                    "`units` is the size of the state and of the output, for example "
                    f"{self.kind.name}(32). It is not the number of time steps.",
                )
            )

    def _look_up(self, registry: Any, name: str, value: Any) -> Any:
        if name.endswith("activation") and isinstance(value, int | float):
            raise ArgumentError(
                message(
                    self.kind.name,
                    f"the second argument is `activation` and got {value!r}; "
                    "expected a name such as 'tanh', a function or None.",
                    "The number of time steps and of features comes with the data, "
                    "[batch, time, features]. For two layers on top of each other write "
                    f"{self.kind.name}({self.units}, return_sequences=True) and then "
                    f"{self.kind.name}({value!r}).",
                )
                if name == "activation"
                else message(
                    self.kind.name,
                    f"{name}={value!r}; expected a name such as 'sigmoid', a function or None.",
                    "Pass numbers by the name of their argument.",
                )
            )
        return registry.get(value)

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Create the weights for inputs `[batch, features]`."""
        columns = self.units * self.kind.blocks
        self.kernel = self._weight("kernel", (input_shape[-1], columns), self.kernel_initializer)
        self.recurrent_kernel = self._weight(
            "recurrent_kernel", (self.units, columns), self.recurrent_initializer
        )
        self.bias = (
            self._weight("bias", self.bias_shape(), self.initial_bias()) if self.use_bias else None
        )
        self.built = True

    def _weight(self, name: str, shape: tuple[Any, ...], initializer: Any) -> Any:
        prefix = name.removesuffix("_kernel")
        return self.add_weight(
            shape=shape,
            name=name,
            initializer=initializer,
            regularizer=getattr(self, f"{prefix}_regularizer"),
            constraint=getattr(self, f"{prefix}_constraint"),
        )

    def bias_shape(self) -> tuple[int, ...]:
        """Give the shape of the bias."""
        return (self.units * self.kind.blocks,)

    def initial_bias(self) -> Any:
        """Give the initializer of the bias."""
        return self.bias_initializer

    def weight(self, name: str) -> Any:
        """Give a weight in the compute type of this cell, whatever layer runs it."""
        return ops.cast(getattr(self, name), self.compute_dtype)

    # One step

    def project(self, inputs: Any, masks: Masks = None) -> Any:
        """Give the share of the input in all blocks, for one step or a whole sequence.

        Args:
            inputs: `[batch, features]` or `[batch, time, features]`.
            masks: dropout masks `[batch, features]`: one, one for each block, or None.

        Returns:
            `[..., blocks * units]`, with the bias of the input added.
        """
        projected = self._times(self.weight("kernel"), inputs, masks)
        return projected if self.bias is None else projected + self.input_bias()

    def input_bias(self) -> Any:
        """Give the bias that is added to the projected input."""
        return self.weight("bias")

    def recur(self, h: Any, masks: Masks = None) -> Any:
        """Give the share of the state `h` `[batch, units]` in all blocks."""
        return self._times(self.weight("recurrent_kernel"), h, masks)

    def _times(self, kernel: Any, x: Any, masks: Masks) -> Any:
        def masked(mask: Any) -> Any:
            return x * (mask if len(x.shape) == 2 else ops.expand_dims(mask, 1))

        if masks is None:
            return ops.matmul(x, kernel)
        if not isinstance(masks, list):
            return ops.matmul(masked(masks), kernel)
        blocks = ops.split(kernel, self.kind.blocks, axis=-1)
        pairs = zip(masks, blocks, strict=True)
        return ops.concatenate([ops.matmul(masked(m), k) for m, k in pairs], axis=-1)

    def equations(
        self, projected: Any, state: Mapping[str, Any], masks: Masks = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Write the cell: one step from the projected input and the state before it.

        Args:
            projected: `[batch, blocks * units]`, from `project`.
            state: by name, each `[batch, units]`.
            masks: recurrent dropout masks `[batch, units]`: one, one a block, or None.

        Returns:
            The new state by name, whose first entry is the output, and the gates by name.
        """
        raise NotImplementedError

    def call(self, inputs: Any, states: Any, training: bool = False) -> tuple[Any, Any]:
        """Run one step in the Keras manner: `(inputs, states) -> (output, new states)`.

        Args:
            inputs: `[batch, features]`.
            states: a list in the order of `kind.states`, each `[batch, units]`; a single
                state may also come bare.
            training: whether dropout is applied.

        Returns:
            The output `[batch, units]` and the new states, in the structure of `states`.
        """
        bare = not isinstance(states, list | tuple)
        state = dict(zip(self.kind.states, [states] if bare else states, strict=True))
        masks, recurrent_masks = self.dropout_masks(inputs, state, training)
        new, _ = self.equations(self.project(inputs, masks), state, recurrent_masks)
        values = list(new.values())
        return values[0], values[0] if bare else values

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """Give a list of zero states, each `[batch_size, units]`."""
        return [
            ops.zeros((batch_size, self.units), dtype=self.compute_dtype) for _ in self.kind.states
        ]

    # Dropout: the same masks at every step of a sequence (Gal and Ghahramani, arXiv:1512.05287)

    def dropout_masks(
        self, inputs: Any, state: Mapping[str, Any], training: bool | None
    ) -> tuple[Masks, Masks]:
        """Draw, or recall, the masks for the input and for the state; None where unused."""
        masks = self.get_dropout_mask(inputs)
        recurrent = self.get_recurrent_dropout_mask(state[self.kind.states[0]])
        return (
            masks if training and self._drops(self.dropout) else None,
            recurrent if training and self._drops(self.recurrent_dropout) else None,
        )

    def _drops(self, rate: float) -> bool:
        return 0.0 < rate < 1.0 if self.kind.gates else rate > 0.0

    def get_dropout_mask(self, step_input: Any) -> Masks:
        """Give the masks of the input `[batch, features]`, drawn once until they are reset."""
        if self._dropout_mask is None and self.dropout > 0:
            self._dropout_mask = self._draw(step_input, self.dropout)
        return self._dropout_mask

    def get_recurrent_dropout_mask(self, step_input: Any) -> Masks:
        """Give the masks of the state `[batch, units]`, drawn once until they are reset."""
        if self._recurrent_dropout_mask is None and self.recurrent_dropout > 0:
            self._recurrent_dropout_mask = self._draw(step_input, self.recurrent_dropout)
        return self._recurrent_dropout_mask

    def _draw(self, like: Any, rate: float) -> Masks:
        ones = ops.ones_like(like)
        draws = [
            keras.random.dropout(ones, rate, seed=self.seed_generator)
            for _ in range(self.dropout_mask_count or 1)
        ]
        return draws if self.dropout_mask_count else draws[0]

    def reset_dropout_mask(self) -> None:
        """Forget the masks of the input."""
        self._dropout_mask = None

    def reset_recurrent_dropout_mask(self) -> None:
        """Forget the masks of the state."""
        self._recurrent_dropout_mask = None

    # Config

    @classmethod
    def argument_names(cls) -> tuple[str, ...]:
        """List the constructor's own arguments, in order."""
        parameters = list(inspect.signature(cls).parameters.values())
        return tuple(p.name for p in parameters if p.kind is not p.VAR_KEYWORD)

    def get_config(self) -> dict[str, Any]:
        """Give the config that Keras's own cell of this name gives."""
        config = dict(super().get_config())
        for name in self._own_arguments:
            value = getattr(self, name)
            registry = _REGISTRIES.get(name.rpartition("_")[2])
            config[name] = value if registry is None else registry.serialize(value)
        if self.kind.gates and self.implementation == 1 and self.recurrent_dropout == 0.0:
            config["implementation"] = 1
        return config


def arguments(values: Mapping[str, Any]) -> dict[str, Any]:
    """Give the named arguments of a constructor from its `locals()`.

    The constructors spell out their arguments for the reader, the editor and the type checker;
    what is done with them is the same for all and stands in the base classes.
    """
    return {k: v for k, v in values.items() if k not in ("self", "kwargs", "__class__")}
