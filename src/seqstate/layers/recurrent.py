"""`RNN`: all that recurrent layers share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from seqstate import state as states
from seqstate.config import check_kernel
from seqstate.kernels import choice
from seqstate.kernels.pair import Pair
from seqstate.kernels.problem import Problem, Results, Watcher
from seqstate.layers import constructor, initial, inputs, masks
from seqstate.layers import returns as named_results
from seqstate.layers.carried import CarriedState
from seqstate.layers.initial import LearnedState
from seqstate.layers.keywords import check_keywords
from seqstate.layers.one_of_several import label
from seqstate.layers.stacked_cells import StackedRNNCells, check_cell
from seqstate.layers.steps import steps_of
from seqstate.result_order import arranged, order_on, read_order
from seqstate.state import State

Shape = Sequence[int | None]
ORDER_HERE = order_on(keras.backend.backend())


@keras.saving.register_keras_serializable(package="seqstate")
class RNN(CarriedState):
    """Runs a cell over a sequence; the base of `SimpleRNN`, `GRU` and `LSTM`.

    Args:
        cell: a cell, or a list of cells that are stacked. A cell has `call(inputs, states)`,
            which returns the output and the new states, and `state_size`. Where `state_size`
            is a dict from name to size (a number or a tuple), `states` and the new states are
            dicts too. `gate_sizes`, a dict of the same kind, makes `call` return the gates by
            name as a third value.
        return_sequences: return the output of every step, not only the last one.
        return_state: return the last state too: `output, *states`.
        go_backwards: start at the last time step; sequences come back reversed.
        stateful: start each batch from the state where the batch before it ended, row by row.
            Needs a static batch size. See `get_state`, `set_state`, `reset_state`.
        unroll: write the loop out; for short sequences of a static length.
        zero_output_for_mask: give zeros, not the output before, at steps that the mask skips.
        returns: what to return by name, instead of the two flags: "all", or any of "output",
            "sequence", "state", "states", "gates".
        learn_initial_state: make the initial state a trained weight (it starts at zero); rows
            also start anew from it.
        kernel: "auto" for the native kernels where they cover the run and for the portable path
            elsewhere, with the same numbers; "native" makes a run that they don't cover an
            error that says why; "portable" leaves them out. `seqstate.doctor(model)` shows
            which path a layer takes.
        result_order: of a saved model, filled in by `get_config`: how Keras counted the results
            by name where the model was made. Leave it out.
        **kwargs: of `keras.layers.Layer` (`name`, `dtype`, `trainable`, ...).

    Call arguments:
        sequences: `[batch, time, features]`.
        initial_state: the state before the first step: a list in the order of the states, or a
            dict by name, which may be partial (the rest are zeros). Each value is `[batch,
            units]`, or `[units]` or a number for every row.
        mask: `[batch, time]` bool; True means that the step counts. Where it does not, the
            state stays as it was, the output is that of the step before, and the gates are 0.
        training: whether dropout is applied.
        reset_mask: `[batch, time]` bool; True where a row starts anew before that step.
        lengths: `[batch]` int; only the first so many steps of a row count. With `mask`, both.
            Out of range they are refused; inside a compiled model, where the numbers are not
            known, they are clipped to 0 and the number of steps.

    Returns:
        By default the last output `[batch, units]`; with `return_sequences` the sequence
        `[batch, time, units]`; with `return_state` a tuple of that and each last state. With
        `returns` a dict:

        - `output`: `[batch, units]`, after the last step that counts.
        - `sequence`: `[batch, time, units]`.
        - `state`: by name, `[batch, units]`.
        - `states`: by name, `[batch, time, units]`, after each step.
        - `gates`: by name, `[batch, time, units]`, as activated at each step.

        `sequence`, `states` and `gates` are in the order of the run: reversed with
        `go_backwards`.

    Raises:
        ArgumentError: a constructor argument that can't be used; with `kernel="native"` a run
            that the native kernels don't cover.
        InputError: an input, a mask or lengths that don't fit.
        StateMismatchError: an initial state that does not fit.

    Example:
        >>> import keras, numpy as np
        >>> from seqstate.layers import GRUCell, LSTMCell
        >>> x = keras.Input((None, 5))
        >>> r = RNN([LSTMCell(8), GRUCell(4)], returns=("sequence", "state"))(x)
        >>> r["sequence"].shape, r["state"]["cell_0"]["c"].shape
        ((None, None, 4), (None, 8))
    """

    _mask_of_lengths: Any = None
    watcher: Watcher | None = None
    features: int | None = None

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        returns: str | Sequence[str] | None = None,
        learn_initial_state: bool = False,
        kernel: str = "auto",
        result_order: str | None = None,
        **kwargs: Any,
    ) -> None:
        if isinstance(cell, list | tuple):
            cell = StackedRNNCells(cell)
        check_cell(cell, type(self).__name__)
        check_keywords(type(self), kwargs)
        constructor.check_start(type(self).__name__, stateful, learn_initial_state)
        check_kernel(kernel, type(self).__name__)
        super().__init__(**kwargs)
        self.zero_output_for_mask = zero_output_for_mask
        self.cell = cell
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.stateful = stateful
        self.unroll = unroll
        self.supports_masking = True
        self.input_spec = None
        self.single_state = isinstance(cell.state_size, int)
        self.state_size = _listed_sizes(cell.state_size)
        self.steps = steps_of(cell)
        self.kernel = kernel
        if choice.stops_jit(self.steps, kernel):
            self.supports_jit = False
        self.returns = returns
        flags = [flag for flag in ("return_sequences", "return_state") if getattr(self, flag)]
        self.returned = named_results.read_names(returns, self.where, flags)
        self.result_order = read_order(result_order, ORDER_HERE, self.where)
        if self.returned and "gates" in self.returned and not named_results.asks_all(returns):
            constructor.check_has_gates(self.where, self.steps, cell)
        # Keras would penalize all that is returned, also gates that are only looked at.
        self._own_regularizer: Any = None
        if self.returned:
            self._own_regularizer = self.activity_regularizer
            self.activity_regularizer: Any = None
        self.learn_initial_state = learn_initial_state
        self.learned_state = (
            LearnedState(self.steps.spec, dtype=self.dtype_policy, trainable=self.trainable)
            if learn_initial_state
            else None
        )

    # Shapes, masks, weights

    def compute_output_shape(self, sequences_shape: Shape, initial_state_shape: Any = None) -> Any:
        """Give the shape of each result, nested as the results are."""
        batch, time = sequences_shape[:2]
        steps = self.steps
        if self.returned:
            shapes = named_results.shapes(
                self.returned, batch, time, steps.output, steps.spec, steps.gates
            )
            return arranged(shapes, self.result_order, ORDER_HERE)
        output = (batch, *([time] if self.return_sequences else []), *steps.output)
        if not self.return_state:
            return output
        return output, *steps.listed(states.map_leaves(lambda s: (batch, *s), steps.spec))

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Give the symbolic results; where there are several, each shows which one it is."""
        spec = super().compute_output_spec(*args, **kwargs)
        if not self.return_state and not self.returned:
            return spec
        first = "sequence" if self.return_sequences else "output"
        return label(spec, self.name, [first, *states.flatten(self.steps.spec)])

    def compute_mask(self, _: Any, mask: Any) -> Any:
        """Give each result that has a time axis the mask of the input."""
        mask = keras.tree.flatten(mask)[0]
        if self._mask_of_lengths is not None:
            # Keras asks right after the call; a mask made of `lengths` travels on like any other.
            mask, self._mask_of_lengths = self._mask_of_lengths, None
        if self.returned:
            shape = self.compute_output_shape((None, None))
            filled = named_results.fill(self.returned, shape, mask)
            return arranged(filled, self.result_order, ORDER_HERE)
        output_mask = mask if self.return_sequences else None
        if self.return_state:
            return [output_mask, *(None for _ in self.state_size)]
        return output_mask

    def build(self, sequences_shape: Shape, initial_state_shape: Any = None) -> None:
        """Build the cell and, for a stateful layer, the variables of its state."""
        if isinstance(self.cell, keras.layers.Layer) and not self.cell.built:
            if self.steps.vectors and sequences_shape[-1] is None:
                raise inputs.unknown_features(self.where, tuple(sequences_shape))
            self.cell.build((sequences_shape[0], *sequences_shape[2:]))
            self.cell.built = True
        self.features = sequences_shape[-1] if self.steps.vectors else None
        if self.learned_state is not None and not self.learned_state.built:
            self.learned_state.build()
        if not self.stateful:
            return
        if self._carried is not None:
            self.reset_state()
            return
        batch = constructor.static_batch(self.where, sequences_shape)
        self._create_carried(batch, self.variable_dtype)

    # Where a run starts

    def start(self, batch: Any) -> State:
        """Give the state that rows start from by themselves: zeros, or what was learned."""
        if self.learned_state is not None:
            return self.learned_state.for_rows(batch, self.steps.dtype)
        return super().start(batch)

    def get_initial_state(self, batch_size: Any) -> list[Any]:
        """Give `start` as the list that Keras's own layers give."""
        return self.steps.listed(self.start(batch_size))

    def _state_before(self, initial_state: Any, start: State) -> State:
        dtype = self.steps.dtype
        if initial_state is None and self._carried is not None:
            # Torch would otherwise overwrite in place what the gradient still needs.
            carried = states.unflatten(self._carried.named)
            return states.map_leaves(lambda v: ops.copy(ops.cast(v.value, dtype)), carried)
        given = {} if initial_state is None else initial_state
        return initial.initial_state(self.steps.spec, given, start, self.where, dtype)

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
        """Check what came, then call the layer; see the class for the arguments."""
        given = {
            "initial_state": initial.numbers_as_arrays(initial_state),
            "mask": inputs.as_array(mask),
            "training": training,
            "reset_mask": inputs.as_array(reset_mask),
            "lengths": lengths,
        }
        self._check_call(sequences, **given)
        # Not an update of `kwargs`: from there on torch's compiler can't follow Keras.
        more = {name: value for name, value in given.items() if value is not None}
        return super().__call__(sequences, **kwargs, **more)

    def _check_call(
        self, sequences: Any, initial_state: Any, mask: Any, reset_mask: Any, lengths: Any, **_: Any
    ) -> None:
        where = self.where
        inputs.check_sequences(sequences, where, exact=self.steps.vectors)
        features, got = self.features, sequences.shape[-1]
        if features is not None and got is not None and got != features:
            raise inputs.wrong_features(where, tuple(sequences.shape), features)
        batch = sequences.shape[0]
        if self._carried is not None:
            inputs.check_carried_batch(sequences, self._carried.batch, where)
        if initial_state is not None:
            initial.check_initial_state(self.steps.spec, initial_state, batch, where)
        for name, value in (("mask", mask), ("reset_mask", reset_mask)):
            if value is not None:
                inputs.check_steps(value, sequences, where, name)
        if lengths is not None:
            inputs.check_lengths(lengths, sequences, where)
        if self.unroll:
            constructor.check_static_time(where, tuple(sequences.shape))

    def call(
        self,
        sequences: Any,
        initial_state: Any = None,
        mask: Any = None,
        training: bool = False,
        reset_mask: Any = None,
        lengths: Any = None,
    ) -> Any:
        """Run the cell over the sequence; see the class for the arguments."""
        if mask is None:
            more = reset_mask is not None or lengths is not None
            mask = masks.travelling(sequences, initial_state, more, self.where)
        mask = masks.steps_that_count(sequences, mask, lengths)
        self._mask_of_lengths = mask if lengths is not None else None
        if self._carried is not None:
            sequences = inputs.with_carried_batch(sequences, self._carried.batch, self.where)
        start = self.start(ops.shape(sequences)[0])
        state = self._state_before(initial_state, start)
        drawn = self.steps.begin(sequences[:, 0], state, training)
        wanted = self.returned or (("sequence",) if self.return_sequences else ())
        watched = self.watcher.wanted if self.watcher else ()
        problem = Problem(
            steps=self.steps,
            sequences=sequences,
            state=state,
            fresh=start,
            drawn=drawn,
            mask=mask,
            reset_mask=masks.resets_in_running_order(reset_mask, self.go_backwards),
            go_backwards=self.go_backwards,
            unroll=self.unroll,
            every_step=any(name in (*wanted, *watched) for name in ("sequence", "states")),
            gates="gates" in wanted or "gates" in watched,
        )
        try:
            results = choice.run(problem, self.kernel, self.where, Pair.of(self))
        finally:
            self.steps.end()
        if self._carried is not None:
            for path, value in states.leaves(results.state):
                self._carried.named[path].assign(value)
        if self.watcher is not None:
            self.watcher.saw(problem, results)
        return self._returned(results, mask)

    def _returned(self, results: Results, mask: Any) -> Any:
        """Give the results as the flags, or `returns`, ask for them."""

        def cast(value: Any) -> Any:
            return ops.cast(value, self.compute_dtype)

        sequence, output = results.sequence, results.output
        if self.zero_output_for_mask and mask is not None:
            if sequence is not None:
                sequence = masks.zero_steps_skipped(sequence, mask, self.go_backwards)
            if not self.returned:
                last = mask[:, 0] if self.go_backwards else mask[:, -1]
                output = masks.zero_where_skipped(output, last)
        if self.returned:
            found = {
                "output": output,
                "sequence": sequence,
                "state": results.state,
                "states": results.states,
                "gates": results.gates,
            }
            named = {
                name: states.map_leaves(cast, found[name])
                if isinstance(found[name], Mapping)
                else cast(found[name])
                for name in self.returned
            }
            self._regularize(named)
            return arranged(named, self.result_order, ORDER_HERE)
        output = cast(sequence if self.return_sequences else output)
        if not self.return_state:
            return output
        return output, *self.steps.listed(states.map_leaves(cast, results.state))

    def _regularize(self, named: Mapping[str, Any]) -> None:
        value = named.get("sequence", named.get("output"))
        if self._own_regularizer is None or value is None:
            return
        penalty = self._own_regularizer(value)
        self.add_loss(penalty / ops.cast(ops.shape(value)[0], penalty.dtype))

    # Config

    def get_config(self) -> dict[str, Any]:
        """Give the config of Keras's own layer, and what was set beyond it."""
        config = {
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
            "go_backwards": self.go_backwards,
            "stateful": self.stateful,
            "unroll": self.unroll,
            "zero_output_for_mask": self.zero_output_for_mask,
            "cell": keras.saving.serialize_keras_object(self.cell),
        }
        if self.returns is not None:
            config["returns"] = (
                self.returns if isinstance(self.returns, str) else list(self.returns)
            )
            config["result_order"] = self.result_order
        if self.kernel != "auto":
            config["kernel"] = self.kernel
        if self.learn_initial_state:
            config["learn_initial_state"] = True
        if self._own_regularizer is not None:
            config["activity_regularizer"] = keras.regularizers.serialize(self._own_regularizer)
        return {**super().get_config(), **config}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> RNN:
        """Make the layer from its config."""
        config = dict(config)
        cell = keras.saving.deserialize_keras_object(
            config.pop("cell"), custom_objects=custom_objects
        )
        return cls(cell, **config)


def _listed_sizes(size: Any) -> list[Any]:
    if isinstance(size, Mapping):
        return list(size.values())
    return list(size) if isinstance(size, list | tuple) else [size]
