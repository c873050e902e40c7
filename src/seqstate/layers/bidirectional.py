"""`Bidirectional`: one layer that reads the sequence forwards and one that reads it backwards."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import keras
from keras import ops

from seqstate import state as states
from seqstate.errors import NoStateError, message
from seqstate.kernels import frameworks
from seqstate.kernels.pair import Pair
from seqstate.layers import initial, inputs, masks
from seqstate.layers.directions import MERGES, can_pair, check_arguments, check_pair, copied
from seqstate.layers.one_of_several import label
from seqstate.layers.recurrent import ORDER_HERE, RNN
from seqstate.layers.returns import WITH_TIME, fill
from seqstate.result_order import arranged
from seqstate.state import Spec, State

DIRECTIONS = ("forward", "backward")


@keras.saving.register_keras_serializable(package="seqstate")
class Bidirectional(keras.layers.Layer):
    """Runs a recurrent layer in both directions and merges the two outputs.

    Args:
        layer: the layer to run forwards; it is copied, without its weights. What it returns
            (`return_sequences`, `return_state`, `returns`) decides what this layer returns.
        merge_mode: how the outputs are merged: "concat", "sum", "ave", "mul", or None for both.
        weights: weights to start from: those of the forward, then those of the backward layer.
        backward_layer: a layer for the other direction; by default a copy of `layer` with the
            other `go_backwards`.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        sequences: `[batch, time, features]`.
        initial_state: the states of the forward, then those of the backward layer as one list;
            or `{"forward": ..., "backward": ...}`, each as the layer takes it, also partial.
        mask, training, reset_mask, lengths: as in `RNN`, in the order of the input.

    Returns:
        The merged output `[batch, 2 * units]` (for "concat"), or sequence `[batch, time, 2 *
        units]`; with `return_state` a tuple of that, the forward and the backward states.
        With `returns` of the wrapped layer a dict: `output` and `sequence` are merged (with
        merge_mode None they are `{"forward": ..., "backward": ...}`); `state`, `states` and
        `gates` are `{"forward": {...}, "backward": {...}}`. Everything with a time axis is in
        the order of the input, for both directions.

    Raises:
        ArgumentError: no layer, an unknown merge mode, two layers that don't go together.
        StateMismatchError: an initial state that does not fit.

    Example:
        >>> import keras
        >>> from seqstate.layers import LSTM
        >>> x = keras.Input((None, 3))
        >>> r = Bidirectional(LSTM(4, returns=("sequence", "states")))(x)
        >>> r["sequence"].shape, r["states"]["backward"]["c"].shape
        ((None, None, 8), (None, None, 4))

    References:
        Schuster and Paliwal, Bidirectional recurrent neural networks, IEEE TSP 45 (1997).
    """

    _mask_of_lengths: Any = None

    def __init__(
        self,
        layer: Any,
        merge_mode: str | None = "concat",
        weights: Sequence[Any] | None = None,
        backward_layer: Any = None,
        **kwargs: Any,
    ) -> None:
        check_arguments(layer, merge_mode, backward_layer, kwargs)
        super().__init__(**kwargs)
        self.forward_layer: Any = copied(layer, "forward")
        self.backward_layer: Any = (
            copied(layer, "backward", go_backwards=True)
            if backward_layer is None
            else backward_layer
        )
        check_pair(self.forward_layer, self.backward_layer, self.where)
        for one in (self.forward_layer, self.backward_layer):
            if hasattr(one, "zero_output_for_mask"):
                names = getattr(one, "returned", None) or ()
                one.zero_output_for_mask = one.return_sequences or "sequence" in names
        self.merge_mode = merge_mode
        self.stateful = layer.stateful
        self.return_sequences = layer.return_sequences
        self.return_state = layer.return_state
        self.returned = getattr(layer, "returned", None)
        self.supports_masking = True
        self.input_spec = layer.input_spec
        self._weights_at_start = weights

    @property
    def where(self) -> str:
        """The layer as messages name it: class and name."""
        return f'Bidirectional "{self.name}"'

    def directions(self) -> dict[str, Any]:
        """Give the two layers by direction.

        A method, because Keras names what it saves after the first property that holds it.
        """
        return dict(zip(DIRECTIONS, (self.forward_layer, self.backward_layer), strict=True))

    @property
    def spec(self) -> Spec:
        """The states of one row, by direction and name."""
        return {direction: layer.steps.spec for direction, layer in self.directions().items()}

    # Shapes, masks, weights

    def compute_output_shape(
        self, sequences_shape: Sequence[int | None], initial_state_shape: Any = None
    ) -> Any:
        """Give the shape of each result, nested as the results are."""
        shapes = [
            layer.compute_output_shape(sequences_shape) for layer in self.directions().values()
        ]
        if self.returned:
            forward, backward = shapes
            shapes = self._by_name(forward, backward, merge=self._merged_shape)
            return arranged(shapes, self.result_order, ORDER_HERE)
        if not self.return_state:
            return self._merged_shape(*shapes)
        (first, *forward), (second, *backward) = shapes
        merged = self._merged_shape(first, second)
        return (*(merged if self.merge_mode is None else [merged]), *forward, *backward)

    def _merged_shape(self, forward: Any, backward: Any) -> Any:
        if self.merge_mode is None:
            return (forward, backward)
        if self.merge_mode == "concat":
            return (*forward[:-1], forward[-1] + backward[-1])
        return tuple(forward)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Give the symbolic results; where there are several, each shows which one it is."""
        spec = super().compute_output_spec(*args, **kwargs)
        if not self._names_states() or not (self.return_state or self.returned):
            return spec
        first = "sequence" if self.return_sequences else "output"
        parts = [first] if self.merge_mode else [f"{d}/{first}" for d in DIRECTIONS]
        return label(spec, self.name, [*parts, *states.flatten(self.spec)])

    def compute_mask(self, _: Any, mask: Any) -> Any:
        """Give each result that has a time axis the mask of the input."""
        mask = keras.tree.flatten(mask)[0]
        if self._mask_of_lengths is not None:
            mask, self._mask_of_lengths = self._mask_of_lengths, None
        if self.returned:
            filled = fill(self.returned, self.compute_output_shape((None, None)), mask)
            return arranged(filled, self.result_order, ORDER_HERE)
        first = mask if self.return_sequences else None
        masks = (first, first) if self.merge_mode is None else (first,)
        if self.return_state:
            shape = self.compute_output_shape((None, None))
            return (*masks, *(None for _ in shape[len(masks) :]))
        return masks if self.merge_mode is None else first

    def build(self, sequences_shape: Sequence[int | None], initial_state_shape: Any = None) -> None:
        """Build both layers."""
        for layer in self.directions().values():
            if not layer.built:
                layer.build(sequences_shape)
                layer.built = True
        if self._weights_at_start is not None:
            self.set_weights(self._weights_at_start)
            self._weights_at_start = None
        self.built = True

    # The call

    def __call__(
        self,
        sequences: Any,
        initial_state: Any = None,
        mask: Any = None,
        training: bool | None = None,
        reset_mask: Any = None,
        lengths: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Check what came, then call both layers; see the class for the arguments."""
        inputs.check_sequences(sequences, self.where, exact=self.input_spec is not None)
        given = {
            "initial_state": initial.numbers_as_arrays(initial_state),
            "mask": inputs.as_array(mask),
            "training": training,
            "reset_mask": inputs.as_array(reset_mask),
            "lengths": lengths,
        }
        if initial_state is not None and self._names_states():
            initial.check_initial_state(
                self.spec, given["initial_state"], sequences.shape[0], self.where
            )
        # Not an update of `kwargs`: from there on torch's compiler can't follow Keras.
        more = {name: value for name, value in given.items() if value is not None}
        return super().__call__(sequences, **kwargs, **more)

    @property
    def result_order(self) -> str:
        """In which order Keras counts the results; see `seqstate.result_order`."""
        return getattr(self.forward_layer, "result_order", ORDER_HERE)

    def _names_states(self) -> bool:
        return all(isinstance(layer, RNN) for layer in self.directions().values())

    def call(
        self,
        sequences: Any,
        initial_state: Any = None,
        mask: Any = None,
        training: bool | None = None,
        reset_mask: Any = None,
        lengths: Any = None,
    ) -> Any:
        """Run both layers; see the class for the arguments."""
        given = {"training": training, "reset_mask": reset_mask, "lengths": lengths, "mask": mask}
        given = {name: value for name, value in given.items() if value is not None}
        self._mask_of_lengths = None
        if lengths is not None:
            if mask is None:
                mask = masks.travelling(sequences, initial_state, True, self.where)
            self._mask_of_lengths = masks.steps_that_count(sequences, mask, lengths)
        states_in = self._split(initial_state)
        forward, backward = self._both(sequences, states_in, given)
        if self.returned:
            forward, backward = (
                {
                    k: _flip(v) if k in WITH_TIME and layer.go_backwards else v
                    for k, v in got.items()
                }
                for layer, got in zip(self.directions().values(), (forward, backward), strict=True)
            )
            named = self._by_name(forward, backward, merge=self._merge)
            return arranged(named, self.result_order, ORDER_HERE)
        last = ()
        if self.return_state:
            (forward, *first), (backward, *second) = forward, backward
            last = (*first, *second)
        if self.return_sequences:
            backward = _flip(backward)
        merged = self._merge(forward, backward)
        if not self.return_state:
            return merged
        return (*(merged if self.merge_mode is None else [merged]), *last)

    def _both(
        self, sequences: Any, states_in: Mapping[str, Any], given: dict[str, Any]
    ) -> tuple[Any, Any]:
        """Call both layers, so that their runs can be one."""
        layers = self.directions()

        def one(direction: str) -> Any:
            state = states_in.get(direction)
            return layers[direction](sequences, initial_state=state, **given)

        # A compiler of torch sees no way through a pair.
        if not frameworks.is_compiling() and all(can_pair(layer) for layer in layers.values()):
            calls = [partial(one, direction) for direction in layers]
            return Pair([*layers.values()], calls).call()
        return one("forward"), one("backward")

    def _merge(self, forward: Any, backward: Any) -> Any:
        return MERGES[self.merge_mode](
            ops.cast(forward, self.compute_dtype), ops.cast(backward, self.compute_dtype)
        )

    def _by_name(self, forward: Mapping[str, Any], backward: Mapping[str, Any], merge: Any) -> Any:
        """Merge what is merged and put the rest side by side."""
        return {
            name: merge(forward[name], backward[name])
            if name in ("output", "sequence") and self.merge_mode is not None
            else dict(zip(DIRECTIONS, (forward[name], backward[name]), strict=True))
            for name in self.returned or ()
        }

    def _split(self, initial_state: Any) -> dict[str, Any]:
        """Give each direction its part of the initial state."""
        if initial_state is None:
            return {}
        if isinstance(initial_state, Mapping):
            named = states.name_leaves(self.spec, initial_state, self.where)
            return states.unflatten(named)
        parts = list(initial_state)
        half = len(parts) // 2
        return {"forward": parts[:half], "backward": parts[half:]}

    # The carried state

    @property
    def states(self) -> tuple[Any, ...] | None:
        """The variables of both layers' carried states, or None."""
        forward, backward = self.forward_layer.states, self.backward_layer.states
        return None if forward is None or backward is None else (*forward, *backward)

    def get_state(self) -> State:
        """Give the carried state, `{"forward": {...}, "backward": {...}}`, as NumPy arrays."""
        return {direction: layer.get_state() for direction, layer in self.directions().items()}

    def set_state(self, state: Any, rows: Any = None) -> None:
        """Set the carried state; see `LSTM.set_state`. Nothing is changed if a part does not fit.

        Args:
            state: by direction and name, also partial; or one list.
            rows: the rows to set; all by default.
        """
        before = self.get_state()
        named = states.unflatten(states.name_leaves(self.spec, state, self.where, "state"))
        try:
            for direction, part in named.items():
                self.directions()[direction].set_state(part, rows)
        except Exception:
            for direction, part in before.items():
                self.directions()[direction].set_state(part)
            raise

    def reset_state(self, states: Any = None, rows: Any = None) -> None:
        """Start both directions anew: from zeros (or what was learned), or from `states`.

        Raises:
            NoStateError: the layer is not stateful.
        """
        if not self.stateful:
            raise NoStateError(
                message(
                    self.where,
                    "can't reset the state: it keeps none (stateful=False).",
                    "Wrap a layer made with stateful=True.",
                )
            )
        if states is not None:
            self.set_state(states, rows)
            return
        for layer in self.directions().values():
            layer.reset_state(rows=rows) if rows is not None else layer.reset_state()

    def reset_states(self) -> None:
        """Do what `reset_state()` does; the name that Keras keeps for old code."""
        self.reset_state()

    # Config

    def get_config(self) -> dict[str, Any]:
        """Give the config, with both layers serialized."""
        return {
            **super().get_config(),
            "merge_mode": self.merge_mode,
            "layer": keras.saving.serialize_keras_object(self.forward_layer),
            "backward_layer": keras.saving.serialize_keras_object(self.backward_layer),
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> Bidirectional:
        """Make the layer from its config."""
        config = copy.deepcopy(config)
        for name in ("layer", "backward_layer"):
            if config.get(name) is not None:
                config[name] = keras.saving.deserialize_keras_object(
                    config[name], custom_objects=custom_objects
                )
        return cls(**config)


def _flip(value: Any) -> Any:
    if isinstance(value, Mapping):
        return states.map_leaves(lambda leaf: ops.flip(leaf, axis=1), value)
    return ops.flip(value, axis=1)
