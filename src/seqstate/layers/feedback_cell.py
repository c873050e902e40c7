"""`FeedbackCell`: a cell whose answer at one step is an input of the next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from seqstate.errors import ArgumentError, message
from seqstate.layers.composed_cell import ComposedCell
from seqstate.layers.feedback_steps import FeedbackSteps
from seqstate.layers.inner_layer import build_for
from seqstate.layers.stacked_cells import StackedRNNCells, check_cell

FORCING = ("never", "training", "always")


@keras.saving.register_keras_serializable(package="seqstate")
class FeedbackCell(ComposedCell):
    """A cell with a readout, whose output is fed back: output-to-hidden recurrence.

    With `x` the input of a step, `y` the output of the step before and `s` the state of the cell:

        inner, s' = cell([x, y], s)
        y' = readout(inner)

    The states are `{"cell": {...}, "output": y}`; where `y` starts is part of `initial_state`.
    In place of its own `y` the cell can be given the true one, which is known when it learns:
    teacher forcing. Then the true output of the step before stands in the last features of the
    input, and where that is NaN, because it is not known, the cell takes its own. A history
    followed by NaN is a forecast: the cell reads the history and runs on from it freely.

    Args:
        cell: a cell; a list of them, stacked; or a layer such as `Dense`, which keeps no state
            of its own, so that the output is all that is carried (states `{"output": y}`).
        readout: a layer from the cell's output `[batch, units]` to the answer `[batch, outputs]`.
        forcing: where the true output of the step before is taken:

            - "never": its own is fed back. The input is `x` alone.
            - "training": in training. In inference it takes its own, whatever the input says.
            - "always": in training and in inference, where it is not NaN.
            - a number from 0 to 1: as "training", but at so large a share of the steps, drawn
              anew for each row and step (scheduled sampling).

            All but "never" read `[batch, features of x + outputs]`. Cells that share `cell` and
            `readout` have the same weights, so that one model can learn in one way and another
            run in another.
        seed: of that draw.
        **kwargs: of `keras.layers.Layer`.

    Raises:
        ArgumentError: no cell, no layer, a `forcing` that is none of these, or an input with
            too few features for it.

    Example:
        >>> import numpy as np
        >>> from seqstate.layers import GRUCell, RNN
        >>> cell = FeedbackCell(GRUCell(8), keras.layers.Dense(1), forcing="always")
        >>> history = np.sin(np.arange(20) / 3).reshape(1, 20, 1)
        >>> unknown = np.full((1, 4, 1), np.nan)
        >>> r = RNN(cell, returns=("sequence", "state"))(np.concatenate([history, unknown], 1))
        >>> tuple(r["sequence"].shape), tuple(r["state"]["cell"]["h"].shape)
        ((1, 24, 1), (1, 8))

    References:
        Jordan, Serial order: a parallel distributed processing approach, ICS report 8604 (1986).
        Williams and Zipser, A learning algorithm for continually running fully recurrent neural
        networks, Neural Computation 1 (1989): teacher forcing.
        Bengio et al., Scheduled sampling, arXiv:1506.03099.
    """

    def __init__(
        self,
        cell: Any,
        readout: Any,
        forcing: str | float = "never",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        cell = StackedRNNCells(cell) if isinstance(cell, list | tuple) else cell
        if not isinstance(cell, keras.layers.Layer) or hasattr(cell, "return_sequences"):
            check_cell(cell, "FeedbackCell")
        _check_readout(readout)
        _check_forcing(forcing)
        self.cell = cell
        self.readout = readout
        self.forcing = forcing
        self.seed = seed
        self.seed_generator = None if isinstance(forcing, str) else keras.random.SeedGenerator(seed)
        self.as_steps()  # says what is wrong with the sizes

    def as_steps(self) -> FeedbackSteps:
        """Give the cell as a layer runs it."""
        return FeedbackSteps(self)

    @property
    def reads_truth(self) -> bool:
        """Whether the last features of the input are the true output of the step before."""
        return self.forcing != "never"

    def share_forced(self, training: bool | None) -> float:
        """Give the share of the steps at which the true output is taken."""
        if isinstance(self.forcing, str):
            return float(
                self.forcing == "always" or (self.forcing == "training" and bool(training))
            )
        return float(self.forcing) if training else 0.0

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Build the cell for the input with the output beside it, and the readout."""
        steps = self.as_steps()
        (outputs,) = steps.output
        features: Any = input_shape[-1]
        if self.reads_truth and features < outputs:
            raise ArgumentError(
                message(
                    "FeedbackCell",
                    f"the input has {features} features; with forcing={self.forcing!r} it needs "
                    f"{outputs} or more.",
                    f"The last {outputs} are the true output of the step before, or NaN where "
                    'that is not known. With forcing="never" there are none.',
                )
            )
        own = features if self.reads_truth else features + outputs
        if isinstance(self.cell, keras.layers.Layer) and not self.cell.built:
            self.cell.build((input_shape[0], own))
            self.cell.built = True
        build_for(self.readout, steps.hidden_sizes, self.compute_dtype)
        self.built = True

    def get_config(self) -> dict[str, Any]:
        """Give the config, with the cell and the readout serialized."""
        return {
            **super().get_config(),
            "cell": keras.saving.serialize_keras_object(self.cell),
            "readout": keras.saving.serialize_keras_object(self.readout),
            "forcing": self.forcing,
            "seed": self.seed,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> FeedbackCell:
        """Make the cell from its config."""
        config = dict(config)
        for name in ("cell", "readout"):
            config[name] = keras.saving.deserialize_keras_object(
                config[name], custom_objects=custom_objects
            )
        return cls(**config)


def _check_readout(readout: Any) -> None:
    if not isinstance(readout, keras.layers.Layer) or hasattr(readout, "state_size"):
        raise ArgumentError(
            message(
                "FeedbackCell",
                f"readout={readout!r}; expected a layer from [batch, units] to [batch, outputs].",
                "For one number at each step: keras.layers.Dense(1).",
            )
        )


def _check_forcing(forcing: Any) -> None:
    number = isinstance(forcing, int | float) and not isinstance(forcing, bool)
    if forcing not in FORCING and not (number and 0 <= forcing <= 1):
        raise ArgumentError(
            message(
                "FeedbackCell",
                f"forcing={forcing!r}; expected one of {', '.join(map(repr, FORCING))}, or a "
                "number from 0 to 1.",
                'Take "training" to learn with the true outputs and to run freely afterwards.',
            )
        )
