"""What a native kernel is given and gives back, the same for every framework.

A call is a `Spec` (what is static) and arrays by name. Absent arrays are left out of the dicts.

Inputs, all float32 but the masks:

    x                    [batch, time, features], in the order of the input
    kernel               [features, blocks * units]
    recurrent_kernel     [units, blocks * units]
    bias                 [blocks * units], optional
    recurrent_bias       [blocks * units], optional: the second row of a GRU's bias
    initial_h, initial_c [batch, units], the state before the first step, optional (zeros)
    fresh_h, fresh_c     [batch, units], what a row starts anew from, optional (zeros)
    mask, reset_mask     [batch, time] bool, in the order of the input, optional
    input_dropout        [1 or blocks, batch, features], optional, already scaled
    recurrent_dropout    [1 or blocks, batch, units], optional

Results, those with a time axis in the order of the run:

    last_h, last_c       [batch, units], always
    states_h, states_c   [batch, time, units], where `spec.every_step`
    kept                 [time, batch, spec.kept, units], where `spec.keep`: the named gates in
                         the order of `cells.py`, and what else the gradient reads; it goes back
                         step by step through all rows, so a step lies in one stretch

The gradient reads the inputs, `states_*` and `kept`, and the cotangents of results by the
result's name; it gives a gradient for each float input by the input's name, dropout excepted.
"""

from __future__ import annotations

from typing import NamedTuple

from seqstate.cells import KINDS, CellKind

INPUTS = (
    "x",
    "kernel",
    "recurrent_kernel",
    "bias",
    "recurrent_bias",
    "initial_h",
    "initial_c",
    "fresh_h",
    "fresh_c",
    "mask",
    "reset_mask",
    "input_dropout",
    "recurrent_dropout",
)
RESULTS = ("last_h", "last_c", "states_h", "states_c", "kept")
DIFFERENTIABLE = INPUTS[:9]
# In the order of the enumeration in native/kernels/api.h.
ACTIVATIONS = ("linear", "tanh", "sigmoid", "relu", "hard_sigmoid")


class Spec(NamedTuple):
    """The static part of a call.

    Attributes:
        kind: "SimpleRNN", "GRU" or "LSTM".
        activation: a name in `ACTIVATIONS`.
        recurrent_activation: a name in `ACTIVATIONS`; not used by SimpleRNN.
        reset_after: the variant of the GRU.
        go_backwards: start at the last time step.
        every_step: whether `states_*` are wanted.
        keep: whether `kept` is wanted.
    """

    kind: str
    activation: str = "tanh"
    recurrent_activation: str = "sigmoid"
    reset_after: bool = True
    go_backwards: bool = False
    every_step: bool = True
    keep: bool = False

    @property
    def names(self) -> CellKind:
        """The names of the states and of the gates."""
        return KINDS[self.kind]

    @property
    def kept(self) -> int:
        """How many arrays `kept` holds: the gates, and one more for a GRU with `reset_after`."""
        return len(self.names.gates) + (self.kind == "GRU" and self.reset_after)

    def static(self) -> tuple[str, str, str, bool, bool]:
        """Give what the compiled module takes before the arrays, in its order."""
        return (
            self.kind,
            self.activation,
            self.recurrent_activation,
            self.reset_after,
            self.go_backwards,
        )

    def results(self) -> tuple[str, ...]:
        """List the results of this call, in the order of `RESULTS`."""
        wanted = [f"last_{name}" for name in self.names.states]
        if self.every_step:
            wanted += [f"states_{name}" for name in self.names.states]
        if self.keep and self.kept:
            wanted.append("kept")
        return tuple(wanted)
