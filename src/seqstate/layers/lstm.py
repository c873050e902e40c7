"""`LSTM` and `LSTMCell`: long short-term memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from seqstate import cells
from seqstate.layers.cell import GatedCell, Masks, arguments
from seqstate.layers.cell_layer import CellLayer, of_cell


@keras.saving.register_keras_serializable(package="seqstate")
class LSTMCell(GatedCell):
    """One step of `LSTM`.

    With `x` the input, `h` and `c` the states, `*` element by element:

        i = recurrent_activation(x W_i + h U_i + b_i)      input gate
        f = recurrent_activation(x W_f + h U_f + b_f)      forget gate
        g = activation(x W_c + h U_c + b_c)                candidate
        o = recurrent_activation(x W_o + h U_o + b_o)      output gate
        c' = f * c + i * g
        h' = o * activation(c')

    The arguments are those of `keras.layers.LSTMCell`, with the same defaults.

    Example:
        >>> import numpy as np
        >>> cell = LSTMCell(4)
        >>> output, (h, c) = cell(np.ones((2, 3), "float32"), cell.get_initial_state(2))
        >>> tuple(c.shape)
        (2, 4)

    References:
        Hochreiter and Schmidhuber, Long Short-Term Memory, Neural Computation 9 (1997);
        Gers, Schmidhuber and Cummins, Learning to Forget, Neural Computation 12 (2000).
    """

    kind = cells.LSTM

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
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

    def initial_bias(self) -> Any:
        """Give the bias initializer; with `unit_forget_bias`, one at the forget gate."""
        if not self.unit_forget_bias:
            return self.bias_initializer

        def initial(shape: tuple[int, ...], *args: Any, **kwargs: Any) -> Any:
            units = self.units
            return ops.concatenate(
                [
                    self.bias_initializer((units,), *args, **kwargs),
                    keras.initializers.get("ones")((units,), *args, **kwargs),
                    self.bias_initializer((units * 2,), *args, **kwargs),
                ]
            )

        return initial

    def equations(
        self, projected: Any, state: Mapping[str, Any], masks: Masks = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Compute one step; see the class for the equations."""
        i, f, g, o = ops.split(projected + self.recur(state["h"], masks), 4, axis=-1)
        i, f, o = (self.recurrent_activation(gate) for gate in (i, f, o))
        g = self.activation(g)
        c = f * state["c"] + i * g
        h = o * self.activation(c)
        return {"h": h, "c": c}, {"input": i, "forget": f, "candidate": g, "output": o}


@keras.saving.register_keras_serializable(package="seqstate")
class LSTM(CellLayer):
    """Long short-term memory: the layer, with everything that `RNN` says of all layers.

    States `h` and `c`, gates `input`, `forget`, `candidate`, `output`; `LSTMCell` has the
    equations. The arguments are those of `keras.layers.LSTM`, with the same defaults, and
    `returns` and `learn_initial_state`; see `RNN` for those and for the call arguments.

    Args:
        units: size of the states and of the output.
        activation: of the candidate and of the cell state on its way out.
        recurrent_activation: of the three gates.
        use_bias: whether there is a bias.
        kernel_initializer: of the kernel `[features, 4 * units]`.
        recurrent_initializer: of the recurrent kernel `[units, 4 * units]`.
        bias_initializer: of the bias `[4 * units]`.
        unit_forget_bias: start the bias of the forget gate at one (Jozefowicz et al., 2015).
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
        use_cudnn: accepted for Keras's sake; there is no cuDNN path, so True is refused.
        **kwargs: of `RNN` (`returns`, `learn_initial_state`, `zero_output_for_mask`) and of
            `keras.layers.Layer` (`name`, `dtype`, `trainable`).

    Example:
        >>> import numpy as np
        >>> x = np.random.rand(32, 10, 8).astype("float32")
        >>> sequence, h, c = LSTM(4, return_sequences=True, return_state=True)(x)
        >>> tuple(sequence.shape), tuple(h.shape), tuple(c.shape)
        ((32, 10, 4), (32, 4), (32, 4))
        >>> named = LSTM(4, returns=("output", "states", "gates"))(x)
        >>> tuple(named["states"]["c"].shape), sorted(named["gates"])
        ((32, 10, 4), ['candidate', 'forget', 'input', 'output'])

    References:
        As for `LSTMCell`.
    """

    cell_class = LSTMCell
    recurrent_activation = of_cell("recurrent_activation")
    unit_forget_bias = of_cell("unit_forget_bias")

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
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
        use_cudnn: bool | str = "auto",
        **kwargs: Any,
    ) -> None:
        super().__init__(arguments(locals()), **kwargs)
