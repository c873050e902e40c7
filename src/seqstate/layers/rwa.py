"""`RWA` and `RWACell`: the recurrent weighted average."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from seqstate import cells
from seqstate.layers.cell import GatedCell, Masks, arguments
from seqstate.layers.cell_layer import CellLayer, of_cell


@keras.saving.register_keras_serializable(package="seqstate")
class RWACell(GatedCell):
    """One step of `RWA`: the state is an average over all steps so far, weighted by attention.

    With `x` the input, `h` the state, `*` element by element, the paper writes

        u = x W_u + b_u                        what the input brings
        g = x W_g + h U_g + b_g
        a = x W_a + h U_a                      how much attention the step gets
        n' = n + u * tanh(g) * exp(a)
        d' = d + exp(a)
        h' = activation(n' / d')

    and starts with `n = d = 0` and `h = activation(start)`, where `start` is learned. An `a` of
    some hundreds would overflow, so what is carried is the same in other words, with `m` the
    largest `a` so far (`max`), `w = d exp(-m)` (`weight`) and `s = n / d` (`average`):

        m' = max(m, a)                         a, as long as w is 0
        w' = w exp(m - m') + exp(a - m')
        share = exp(a - m') / w'               share of this step in the average, 0 to 1
        candidate = u * tanh(g)
        s' = s + share * (candidate - s)
        h' = activation(s')

    So a state of zeros is one that has seen nothing, and every state that is finite is usable.

    Args:
        units: size of the state and of the output.
        activation: of the average, as the output.
        use_bias: whether there are biases `b_u` and `b_g`; one of `a` would cancel out.
        kernel_initializer: of the kernel `[features, 3 * units]`, for u, g and a.
        recurrent_initializer: of the recurrent kernel `[units, 2 * units]`, for g and a.
        bias_initializer: of the bias `[2 * units]`, for u and g.
        start_initializer: of `start` `[units]`.
        kernel_regularizer: penalty on the kernel.
        recurrent_regularizer: penalty on the recurrent kernel.
        bias_regularizer: penalty on the bias.
        start_regularizer: penalty on `start`.
        kernel_constraint: projection of the kernel after each update.
        recurrent_constraint: projection of the recurrent kernel.
        bias_constraint: projection of the bias.
        start_constraint: projection of `start`.
        dropout: share of the input's features to drop in training.
        recurrent_dropout: share of the state's units to drop in training.
        seed: of the dropout masks.
        **kwargs: of `keras.layers.Layer`.

    Example:
        >>> import numpy as np
        >>> cell = RWACell(4)
        >>> cell.build((2, 3))
        >>> output, states = cell(np.ones((2, 3), "float32"), cell.get_initial_state(2))
        >>> [tuple(state.shape) for state in states]  # h, average, weight, max
        [(2, 4), (2, 4), (2, 4), (2, 4)]

    References:
        Ostmeyer and Cowell, Machine Learning on Sequential Data Using a Recurrent Weighted
        Average, arXiv:1703.01253.
    """

    kind = cells.RWA

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        start_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        start_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        start_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(arguments(locals()), **kwargs)
        # The blocks of the two kernels differ: all of them share one mask.
        self.dropout_mask_count = None

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Create the weights for inputs `[batch, features]`."""
        units = self.units
        for name, shape, initializer in (
            ("kernel", (input_shape[-1], 3 * units), self.kernel_initializer),
            ("recurrent_kernel", (units, 2 * units), self.recurrent_initializer),
            ("bias", (2 * units,) if self.use_bias else None, self.bias_initializer),
            ("start", (units,), self.start_initializer),
        ):
            setattr(self, name, self._weight(name, shape, initializer) if shape else None)
        self.built = True

    def input_bias(self) -> Any:
        """Give the biases of u and g, and none for a."""
        return ops.pad(self.weight("bias"), [[0, self.units]])

    def equations(
        self, projected: Any, state: Mapping[str, Any], masks: Masks = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Compute one step; see the class for the equations."""
        average, weight, largest = (state[name] for name in ("average", "weight", "max"))
        u, x_g, x_a = ops.split(projected, 3, axis=-1)
        h_g, h_a = ops.split(self.recur(state["h"], masks), 2, axis=-1)
        a = x_a + h_a
        candidate = u * ops.tanh(x_g + h_g)
        weight = ops.maximum(weight, 0)
        before = ops.where(weight > 0, largest, a)
        largest = ops.maximum(before, a)
        own = ops.exp(a - largest)
        weight = weight * ops.exp(before - largest) + own
        share = own / weight
        average = average + share * (candidate - average)
        h = self.activation(average)
        new = {"h": h, "average": average, "weight": weight, "max": largest}
        return new, {"candidate": candidate, "share": share}

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """Give `[h, average, weight, max]`: the learned start, and zeros."""
        start = self.activation(self.weight("start"))
        h = ops.broadcast_to(start, (batch_size, self.units))
        return [h, *(ops.zeros_like(h) for _ in self.kind.states[1:])]


@keras.saving.register_keras_serializable(package="seqstate")
class RWA(CellLayer):
    """Recurrent weighted average: the layer, with everything that `RNN` says of all layers.

    States `h`, `average`, `weight`, `max`, gates `candidate`, `share`; `RWACell` has the
    equations. It has no native kernel and runs on the portable path.

    Args:
        units: size of the state and of the output.
        activation: of the average, as the output.
        use_bias: whether there are biases.
        kernel_initializer: of the kernel `[features, 3 * units]`.
        recurrent_initializer: of the recurrent kernel `[units, 2 * units]`.
        bias_initializer: of the bias `[2 * units]`.
        start_initializer: of the learned start `[units]` of `h`.
        kernel_regularizer: penalty on the kernel.
        recurrent_regularizer: penalty on the recurrent kernel.
        bias_regularizer: penalty on the bias.
        start_regularizer: penalty on the start.
        activity_regularizer: penalty on what the layer returns.
        kernel_constraint: projection of the kernel after each update.
        recurrent_constraint: projection of the recurrent kernel.
        bias_constraint: projection of the bias.
        start_constraint: projection of the start.
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
        >>> r = RWA(4, returns=("output", "states", "gates"))(x)
        >>> tuple(r["states"]["average"].shape), tuple(r["gates"]["share"].shape)
        ((32, 10, 4), (32, 10, 4))
        >>> float(r["gates"]["share"][0, 0, 0])  # the first step is all there is to average
        1.0

    References:
        As for `RWACell`.
    """

    cell_class = RWACell

    start_initializer = of_cell("start_initializer")
    start_regularizer = of_cell("start_regularizer")
    start_constraint = of_cell("start_constraint")

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        start_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        start_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        start_constraint: Any = None,
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
