"""`GRU` and `GRUCell`: the gated recurrent unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from seqstate import cells
from seqstate.layers.cell import GatedCell, Masks, arguments
from seqstate.layers.cell_layer import CellLayer, of_cell


@keras.saving.register_keras_serializable(package="seqstate")
class GRUCell(GatedCell):
    """One step of `GRU`.

    With `x` the input, `h` the state, `*` element by element:

        z = recurrent_activation(x W_z + b_z + h U_z + d_z)      update gate
        r = recurrent_activation(x W_r + b_r + h U_r + d_r)      reset gate
        g = activation(x W_h + b_h + r * (h U_h + d_h))          candidate, reset_after=True
        g = activation(x W_h + b_h + (r * h) U_h)                candidate, reset_after=False
        h' = z * h + (1 - z) * g

    `b` and `d` are the rows of the bias; with `reset_after=False` there is no `d`. The
    arguments are those of `keras.layers.GRUCell`, with the same defaults.

    Example:
        >>> import numpy as np
        >>> cell = GRUCell(4)
        >>> output, (h,) = cell(np.ones((2, 3), "float32"), cell.get_initial_state(2))
        >>> tuple(h.shape)
        (2, 4)

    References:
        Cho et al., arXiv:1406.1078, version 1 (`reset_after=True`) and 3 (`False`).
    """

    kind = cells.GRU

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
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
        reset_after: bool = True,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(arguments(locals()), **kwargs)

    def bias_shape(self) -> tuple[int, ...]:
        """Give `[2, 3 * units]` with `reset_after` (input, state), else `[3 * units]`."""
        columns = 3 * self.units
        return (2, columns) if self.reset_after else (columns,)

    def input_bias(self) -> Any:
        """Give the bias that is added to the projected input."""
        bias = self.weight("bias")
        return bias[0] if self.reset_after else bias

    def equations(
        self, projected: Any, state: Mapping[str, Any], masks: Masks = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Compute one step; see the class for the equations."""
        h, units = state["h"], self.units
        x_z, x_r, x_h = ops.split(projected, 3, axis=-1)
        if self.reset_after:
            inner = self.recur(h, masks)
            if self.bias is not None:
                inner = inner + self.weight("bias")[1]
            h_z, h_r, h_h = ops.split(inner, 3, axis=-1)
        else:
            kernel = self.weight("recurrent_kernel")
            m_z, m_r, m_h = masks or (1, 1, 1)
            h_z = ops.matmul(h * m_z, kernel[:, :units])
            h_r = ops.matmul(h * m_r, kernel[:, units : 2 * units])
        z = self.recurrent_activation(x_z + h_z)
        r = self.recurrent_activation(x_r + h_r)
        if self.reset_after:
            candidate = self.activation(x_h + r * h_h)
        else:
            candidate = self.activation(x_h + ops.matmul(r * h * m_h, kernel[:, 2 * units :]))
        h = z * h + (1 - z) * candidate
        return {"h": h}, {"update": z, "reset": r, "candidate": candidate}


@keras.saving.register_keras_serializable(package="seqstate")
class GRU(CellLayer):
    """Gated recurrent unit: the layer, with everything that `RNN` says of all layers.

    State `h`, gates `update`, `reset`, `candidate`; `GRUCell` has the equations. The arguments
    are those of `keras.layers.GRU`, with the same defaults, and `returns` and
    `learn_initial_state`; see `RNN` for those and for the call arguments.

    Args:
        units: size of the state and of the output.
        activation: of the candidate.
        recurrent_activation: of the two gates.
        use_bias: whether there is a bias.
        kernel_initializer: of the kernel `[features, 3 * units]`.
        recurrent_initializer: of the recurrent kernel `[units, 3 * units]`.
        bias_initializer: of the bias.
        kernel_regularizer: penalty on the kernel.
        recurrent_regularizer: penalty on the recurrent kernel.
        bias_regularizer: penalty on the bias.
        activity_regularizer: penalty on what the layer returns.
        kernel_constraint: projection of the kernel after each update.
        recurrent_constraint: projection of the recurrent kernel.
        bias_constraint: projection of the bias.
        dropout: share of the input's features to drop in training.
        recurrent_dropout: share of the state's units to drop in training.
        seed: of the dropout masks.
        return_sequences: return the output of every step.
        return_state: return the last state too.
        go_backwards: start at the last time step; the sequence comes back reversed.
        stateful: start each batch from the state where the batch before it ended.
        unroll: write the loop out; for short sequences of a static length.
        reset_after: apply the reset gate after the matrix product (version 1 of the paper).
        use_cudnn: accepted for Keras's sake; there is no cuDNN path, so True is refused.
        **kwargs: of `RNN` (`returns`, `learn_initial_state`, `zero_output_for_mask`) and of
            `keras.layers.Layer` (`name`, `dtype`, `trainable`).

    Example:
        >>> import numpy as np
        >>> x = np.random.rand(32, 10, 8).astype("float32")
        >>> sequence, h = GRU(4, return_sequences=True, return_state=True)(x)
        >>> tuple(sequence.shape), tuple(h.shape)
        ((32, 10, 4), (32, 4))
        >>> sorted(GRU(4, returns="gates")(x)["gates"])
        ['candidate', 'reset', 'update']

    References:
        As for `GRUCell`.
    """

    cell_class = GRUCell
    recurrent_activation = of_cell("recurrent_activation")
    reset_after = of_cell("reset_after")

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
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
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        reset_after: bool = True,
        use_cudnn: bool | str = "auto",
        **kwargs: Any,
    ) -> None:
        super().__init__(arguments(locals()), **kwargs)
