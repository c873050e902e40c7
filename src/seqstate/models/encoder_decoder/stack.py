"""`Stack`: layers on top of each other, run whole or a step at a time, whose states have names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from seqstate.errors import ArgumentError, message
from seqstate.kernels import choice
from seqstate.kernels.problem import Problem
from seqstate.layers import RNN, Bidirectional, masks
from seqstate.state import Spec, State

# What gives each step the same, whether the steps come together or one by one.
STEPWISE = (
    keras.layers.Activation,
    keras.layers.Dense,
    keras.layers.Identity,
    keras.layers.LayerNormalization,
    keras.layers.LeakyReLU,
    keras.layers.ReLU,
    keras.layers.Rescaling,
)


# What a decoder looks at, beside the states of its layers.
MEMORY = "memory"


class Stack(keras.layers.Layer):
    """Runs layers on top of each other and hands out the states of the recurrent ones by name.

    Recurrent layers are copied, with the weights that they have, so that they return what is
    needed here; their own flags do not matter.

    Args:
        layers: layers; at least one of them recurrent.
        where: whose layers they are, for messages.
        gives: what the last recurrent layer gives to what follows: "output" or "sequence".
        by_step: whether the layers are to be run a step at a time too.

    Raises:
        ArgumentError: a layer that can't be used here.
    """

    def __init__(
        self, layers: Any, where: str, gives: str = "sequence", by_step: bool = False
    ) -> None:
        super().__init__(name="stack")
        self.supports_masking = True
        listed = list(layers) if isinstance(layers, list | tuple) else [layers]
        _check_layers(listed, where, by_step)
        self.where = where
        self._weights_at_start = {
            layer.name: layer.get_weights()
            for layer in listed
            if layer.built and is_recurrent(layer)
        }
        self.parts = [
            _returning(layer, ("sequence", "state")) if is_recurrent(layer) else layer
            for layer in listed
        ]
        self.give(gives)

    def give(self, gives: str) -> None:
        """Settle what the last recurrent layer gives: "output" or "sequence"."""
        last = self.recurrent()[-1]
        # A copy of the copy would leave the first one among Keras's layers.
        both = last.directions().values() if isinstance(last, Bidirectional) else ()
        for layer in (last, *both):
            layer.returns, layer.returned = [gives, "state"], (gives, "state")

    @property
    def spec(self) -> Spec:
        """The states of one row, by layer and name."""
        return {
            layer.name: layer.spec if isinstance(layer, Bidirectional) else layer.steps.spec
            for layer in self.recurrent()
        }

    def recurrent(self) -> list[Any]:
        """Give the recurrent layers, in order."""
        return [layer for layer in self.parts if is_recurrent(layer)]

    def build(self, input_shape: Any) -> None:
        """Build each layer on the one below."""
        shape: Any = tuple(input_shape)
        for layer in self.parts:
            build_once(layer, shape)
            shape = layer.compute_output_shape(shape)
            if isinstance(shape, dict):
                shape = shape.get("sequence", shape.get("output"))
        self.output_features = shape[-1]
        for layer in self.recurrent():
            if layer.name in self._weights_at_start:
                layer.set_weights(self._weights_at_start[layer.name])
        self._weights_at_start = {}
        self.built = True

    def call(
        self, inputs: Any, initial_state: State | None = None, training: bool | None = None
    ) -> tuple[Any, State]:
        """Run all steps.

        Args:
            inputs: `[batch, time, features]`.
            initial_state: by layer and name; zeros where there is none.
            training: whether dropout is applied.

        Returns:
            What the last layer gives, and the state after the last step, by layer and name.
        """
        state: State = {}
        for layer in self.parts:
            if is_recurrent(layer):
                before = None if initial_state is None else initial_state[layer.name]
                results = layer(inputs, initial_state=before, training=training)
                inputs = results.get("sequence", results.get("output"))
                state[layer.name] = results["state"]
                if getattr(layer, "go_backwards", False) and "sequence" in results:
                    inputs = self._in_time_order(inputs)
            elif _takes_training(layer):
                inputs = layer(inputs, training=training)
            else:
                inputs = layer(inputs)
        return inputs, state

    def _in_time_order(self, sequence: Any) -> Any:
        """Turn round what a layer gave that runs from the end: its mask is in order of time."""
        mask = masks.travelling(sequence, None, True, self.where)
        return masks.travels_with(ops.flip(sequence, axis=1), mask)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Give none: the sequence has the one that its layer gave it."""
        return None

    # A step at a time

    def begin(self, batch: Any, features: int, state: State, training: bool | None) -> State:
        """Draw what stays the same over a sequence, for `step`: the dropout masks of each layer.

        Args:
            batch: the number of rows.
            features: of the input of a step.
            state: before the first step.
            training: whether dropout is applied.
        """
        drawn = {}
        inputs = ops.ones((batch, features), dtype=self.compute_dtype)
        for layer in self.parts:
            if is_recurrent(layer):
                drawn[layer.name] = layer.steps.begin(inputs, state[layer.name], training)
                inputs = ops.ones((batch, *layer.steps.output), dtype=layer.steps.dtype)
            else:
                inputs = layer(inputs)
        return drawn

    def step(self, inputs: Any, state: State, drawn: State) -> tuple[Any, State]:
        """Run one step.

        Args:
            inputs: `[batch, features]`.
            state: before the step, by layer and name.
            drawn: what `begin` gave.

        Returns:
            The output `[batch, units]` and the state after the step.
        """
        new: State = {}
        for layer in self.parts:
            if not is_recurrent(layer):
                inputs = layer(inputs)
                continue
            before = state[layer.name]
            problem = Problem(
                steps=layer.steps,
                sequences=inputs[:, None],
                state=before,
                fresh=before,
                drawn=drawn[layer.name],
                every_step=False,
            )
            results = choice.run(problem, layer.kernel, layer.where)
            inputs, new[layer.name] = results.output, results.state
        return inputs, new

    def end(self) -> None:
        """Forget what `begin` drew."""
        for layer in self.recurrent():
            layer.steps.end()


def build_once(layer: Any, *shapes: Any) -> None:
    """Build a layer, unless it is: one that comes from a file is built by itself."""
    if not layer.built:
        layer.build(*shapes)
        layer.built = True


def is_recurrent(layer: Any) -> bool:
    """Tell whether a layer is one of ours that carries a state."""
    return isinstance(layer, RNN | Bidirectional)


def check_name(name: Any, taken: Sequence[str], where: str) -> None:
    """Refuse a name under which states can't be kept.

    Raises:
        ArgumentError: no text, empty, with a slash, or a name that means something else.
    """
    if not isinstance(name, str) or not name or "/" in name or name in taken:
        raise ArgumentError(
            message(
                where,
                f"the name {name!r} can't stand in a state; expected a text without a slash"
                f"{', and not ' + ' or '.join(map(repr, taken)) if taken else ''}.",
                "Take another name.",
            )
        )


def _takes_training(layer: Any) -> bool:
    return bool(getattr(layer, "_call_has_training_arg", False))


def _returning(layer: Any, names: Sequence[str]) -> Any:
    """Give a copy of a layer, without its weights, that returns these by name."""
    config = layer.get_config()
    returns = {"return_sequences": False, "return_state": False, "returns": list(names)}
    if not isinstance(layer, Bidirectional):
        return type(layer).from_config({**config, **returns})
    for key in ("layer", "backward_layer"):
        part = config[key]
        config[key] = {**part, "config": {**part["config"], **returns}}
    return type(layer).from_config(config)


def _check_layers(layers: list[Any], where: str, by_step: bool) -> None:
    def wrong(layer: Any, what: str, todo: str) -> ArgumentError:
        named = f'{type(layer).__name__} "{getattr(layer, "name", "")}"'
        return ArgumentError(message(where, f"the layer {named} {what}", todo))

    for layer in layers:
        if isinstance(layer, keras.layers.RNN | keras.layers.Bidirectional):
            kind = type(layer).__name__
            raise wrong(
                layer,
                "is one of Keras's own.",
                f"Use seqstate.layers.{kind}, with the same arguments.",
            )
        if not isinstance(layer, keras.layers.Layer):
            raise ArgumentError(
                message(
                    where,
                    f"got {layer!r}; expected a layer, or a list of layers.",
                    "Pass, for example, [LSTM(64), LSTM(64)] of seqstate.layers.",
                )
            )
        if getattr(layer, "stateful", False):
            raise wrong(
                layer,
                "is stateful.",
                "Leave stateful=True out: `encode` and `step` hand the state out and take it.",
            )
        if not by_step:
            continue
        if isinstance(layer, Bidirectional) or getattr(layer, "go_backwards", False):
            raise wrong(
                layer,
                "reads the steps from the end, which are not there yet when a step is made.",
                "A decoder runs forwards; an encoder may run both ways.",
            )
        if not isinstance(layer, (RNN, *STEPWISE)):
            kinds = ", ".join(kind.__name__ for kind in STEPWISE)
            raise wrong(
                layer,
                "may do something else for a step than for a sequence.",
                f"Beside recurrent layers a decoder takes {kinds}; for dropout say "
                "dropout=... in the recurrent layer.",
            )
    if not any(is_recurrent(layer) for layer in layers):
        raise ArgumentError(
            message(
                where,
                "got no recurrent layer.",
                "Pass at least one of seqstate.layers: SimpleRNN, GRU, LSTM, RNN.",
            )
        )
    names = [layer.name for layer in layers]
    for name in names if by_step else ():
        check_name(name, (MEMORY,), where)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ArgumentError(
            message(
                where,
                f"two layers have the name {twice[0]!r}, under which its state is kept.",
                "Give each layer a name of its own.",
            )
        )
