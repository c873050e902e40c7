"""`LayerTrace`: what one recurrent layer did in a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from seqstate import state as states
from seqstate.errors import NoStateError, message

QUANTITIES = ("sequence", "state", "states", "gates")
"""What can be seen of a layer, in the order in which it is shown."""


@dataclass(frozen=True)
class LayerTrace:
    """What one recurrent layer did: arrays by name, with the time axis in the data's order.

    Also a layer that runs backwards has its `sequence`, `states` and `gates` in the order of
    the data: `states["h"][:, t]` is the state after the step that read the input at `t`.

    Attributes:
        name: of the layer, with the models that it stands in: `encoder/lstm`.
        kind: the class of the layer, such as "LSTM" or "Bidirectional".
        found: what was asked for, of `QUANTITIES`.
        mask: `[sample, time]` bool, True where the step counted; None where all did.
        backwards: whether the layer runs from the last time step to the first.
        parts: whether a `TimeDistributed` ran the layer once for each part of its input: then
            there is an axis more, `[sample, part, time, unit]`.
    """

    name: str
    kind: str
    found: Mapping[str, Any] = field(repr=False)
    mask: np.ndarray | None = field(default=None, repr=False)
    backwards: bool = False
    parts: bool = False

    @property
    def sequence(self) -> Any:
        """The output at each step, `[sample, time, unit]`, as the layer gives it.

        For a `Bidirectional` with `merge_mode=None`, `{"forward": ..., "backward": ...}`.
        """
        return self._asked("sequence")

    @property
    def state(self) -> dict[str, Any]:
        """Each state after the last step, `[sample, unit]`, by name."""
        return self._asked("state")

    @property
    def states(self) -> dict[str, Any]:
        """Each state after each step, `[sample, time, unit]`, by name."""
        return self._asked("states")

    @property
    def gates(self) -> dict[str, Any]:
        """Each activated gate at each step, `[sample, time, unit]`; 0 where masked.

        Empty for a layer without gates, such as `SimpleRNN`.
        """
        return self._asked("gates")

    def over_time(self) -> dict[str, np.ndarray]:
        """Give all that has a time axis by path: `states/h`, `gates/forward/input`, `sequence`.

        The states come first, then the gates; the sequence comes where the states were not
        asked for, or where it is something else than a state. What a unit has of more axes
        than one, as a state of a cell of your own may, is laid out along one.
        """
        flat = {
            f"{kind}/{path}": leaf
            for kind in ("states", "gates")
            for path, leaf in states.leaves(self.found.get(kind, {}))
        }
        sequence = self.found.get("sequence")
        if isinstance(sequence, Mapping):
            flat.update({f"sequence/{path}": leaf for path, leaf in states.leaves(sequence)})
        elif sequence is not None and not any(
            leaf.shape == sequence.shape and np.array_equal(leaf, sequence, equal_nan=True)
            for leaf in flat.values()
        ):
            flat["sequence"] = sequence
        axes = self.time_axis + 1
        return {path: leaf.reshape(*leaf.shape[:axes], -1) for path, leaf in flat.items()}

    @property
    def time_axis(self) -> int:
        """Which axis is the time."""
        return 2 if self.parts else 1

    @property
    def time(self) -> int | None:
        """The number of time steps, where something with a time axis was asked for."""
        with_time = {name: value for name, value in self.found.items() if name != "state"}
        for _, leaf in states.leaves(with_time):
            return int(leaf.shape[self.time_axis])
        return None

    def cut(self, steps: slice) -> LayerTrace:
        """Give some of the time steps; `state` only if the last one is among them."""
        kept = {
            quantity: self._cut(value, steps)
            for quantity, value in self.found.items()
            if quantity != "state"
        }
        if self.time is not None and steps.indices(self.time)[1] == self.time:
            kept = {name: kept.get(name, self.found[name]) for name in self.found}
        mask = None if self.mask is None else self.mask[..., steps]
        return replace(self, found=kept, mask=mask)

    def _cut(self, value: Any, steps: slice) -> Any:
        if isinstance(value, Mapping):
            return {name: self._cut(inner, steps) for name, inner in value.items()}
        return value[(slice(None),) * self.time_axis + (steps,)]

    def _asked(self, quantity: str) -> Any:
        if quantity not in self.found:
            raise NoStateError(
                message(
                    f'trace of "{self.name}"',
                    f"{quantity} was not asked for; there is: {', '.join(self.found)}.",
                    f'Trace with what={(*self.found, quantity)!r}, or leave "what" out for all.',
                )
            )
        return self.found[quantity]
