"""`SimpleRNN` and `SimpleRNNCell`: the fully connected recurrence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from seqstate import cells
from seqstate.layers.cell import GatedCell, Masks, arguments
from seqstate.layers.cell_layer import CellLayer


@keras.saving.register_keras_serializable(package="seqstate")
class SimpleRNNCell(GatedCell):
    """One step of `SimpleRNN`: `h' = activation(x W + b + h U)`.

    The arguments are those of `keras.layers.SimpleRNNCell`, with the same defaults.

    Example:
        >>> import numpy as np
        >>> cell = SimpleRNNCell(4)
        >>> output, (h,) = cell(np.ones((2, 3), "float32"), cell.get_initial_state(2))
        >>> tuple(h.shape)
        (2, 4)

    References:
        Elman, Finding Structure in Time, Cognitive Science 14 (1990).
    """

    kind = cells.SIMPLE_RNN

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(arguments(locals()), **kwargs)

    def equations(
        self, projected: Any, state: Mapping[str, Any], masks: Masks = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Compute one step; see the class for the equation."""
        return {"h": self.activation(projected + self.recur(state["h"], masks))}, {}


@keras.saving.register_keras_serializable(package="seqstate")
class SimpleRNN(CellLayer):
    """Fully connected recurrence: the layer, with everything that `RNN` says of all layers.

    State `h`, no gates; `SimpleRNNCell` has the equation. The arguments are those of
    `keras.layers.SimpleRNN`, with the same defaults, and `returns` and `learn_initial_state`;
    see `RNN` for those and for the call arguments.

    Args:
        units: size of the state and of the output.
        activation: of the new state.
        use_bias: whether there is a bias.
        kernel_initializer: of the kernel `[features, units]`.
        recurrent_initializer: of the recurrent kernel `[units, units]`.
        bias_initializer: of the bias `[units]`.
        kernel_regularizer: penalty on the kernel.
        recurrent_regularizer: penalty on the recurrent kernel.
        bias_regularizer: penalty on the bias.
        activity_regularizer: penalty on what the layer returns.
        kernel_constraint: projection of the kernel after each update.
        recurrent_constraint: projection of the recurrent kernel.
        bias_constraint: projection of the bias.
        dropout: share of the input's features to drop in training.
        recurrent_dropout: share of the state's units to drop in training.
        return_sequences: return the output of every step.
        return_state: return the last state too.
        go_backwards: start at the last time step; the sequence comes back reversed.
        stateful: start each batch from the state where the batch before it ended.
        unroll: write the loop out; for short sequences of a static length.
        seed: of the dropout masks.
        **kwargs: of `RNN` (`returns`, `learn_initial_state`, `zero_output_for_mask`) and of
            `keras.layers.Layer` (`name`, `dtype`, `trainable`).

    Example:
        >>> import numpy as np
        >>> x = np.random.rand(32, 10, 8).astype("float32")
        >>> sequence, h = SimpleRNN(4, return_sequences=True, return_state=True)(x)
        >>> tuple(sequence.shape), tuple(h.shape)
        ((32, 10, 4), (32, 4))

    References:
        As for `SimpleRNNCell`.
    """

    cell_class = SimpleRNNCell

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(arguments(locals()), **kwargs)
