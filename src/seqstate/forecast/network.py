"""The model of a forecaster: recurrent layers, and a head that says the next steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from seqstate import state as states
from seqstate.forecast.heads import moved, shaped, size_of
from seqstate.forecast.lags import Reach
from seqstate.layers import RNN
from seqstate.state import State

_HIDDEN = 16  # of the small network that reads the covariates of the step to come


class Shape(NamedTuple):
    """What the model reads and says.

    Attributes:
        inputs: numbers it reads at each step.
        targets: values it says of each step to come.
        known: covariates of each step to come.
        reach: how far it looks.
        head: what it says of a value, see `heads`.
        levels: of the quantiles.
    """

    inputs: int
    targets: int
    known: int
    reach: Reach
    head: str
    levels: tuple[float, ...]


@keras.saving.register_keras_serializable(package="seqstate")
class Head(keras.layers.Layer):
    """Says `[batch, steps, horizon * targets * size]` from the outputs of the layers below.

    What is said is how a value will differ from that of the season before, in spreads: a dense
    layer on the output, and weights, the same for each step ahead, on how the value changed in
    the seasons before and on the known covariates of the step to come.
    """

    def __init__(self, shape: Shape, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shape = shape
        reach = shape.reach
        size = size_of(shape.head, shape.levels)
        self.sizes = (reach.horizon, shape.targets, size)
        # It starts from what its bias says, see `training`.
        self.from_output = keras.layers.Dense(
            int(np.prod(self.sizes)), kernel_initializer="zeros", name="from_output"
        )
        self.from_changes = keras.layers.Dense(
            1, use_bias=False, kernel_initializer="zeros", name="from_changes"
        )
        if shape.known:
            self.hidden = keras.layers.Dense(_HIDDEN, activation="tanh", name="hidden")
            self.from_known = keras.layers.Dense(shape.targets, name="from_known")

    def build(self, output_shape: Any, changes_shape: Any, known_shape: Any = None) -> None:
        """Build the layers inside."""
        self.from_output.build(output_shape)
        self.from_changes.build(changes_shape)
        if self.shape.known:
            self.hidden.build(known_shape)
            self.from_known.build((*known_shape[:-1], _HIDDEN))

    def call(self, output: Any, changes: Any, known: Any = None) -> Any:
        """Say the next steps.

        Args:
            output: of the layers below, `[batch, time, units]`; its last steps are used.
            changes: `[batch, steps, horizon, targets, seasons - 1]`.
            known: `[batch, steps, horizon, 2 * known]`: the covariates of the step to come and
                of the step that the forecast starts from.
        """
        steps, time = ops.shape(changes)[1], ops.shape(output)[1]
        said = self.from_output(output[:, time - steps :])
        said = ops.reshape(said, (-1, steps, *self.sizes))
        said = shaped(said, self.shape.head, self.shape.levels)
        location = ops.squeeze(self.from_changes(changes), axis=-1)
        if self.shape.known:
            location = location + self.from_known(self.hidden(known))
        said = moved(said, location, self.shape.head)
        return ops.reshape(said, (-1, steps, int(np.prod(self.sizes))))

    def compute_output_shape(
        self, output_shape: Any, changes_shape: Any, known_shape: Any = None
    ) -> Any:
        """Give `[batch, steps, values]`."""
        return (output_shape[0], changes_shape[1], int(np.prod(self.sizes)))


class Network:
    """The layers, and the models over them, which share their weights.

    Attributes:
        shape: what it reads and says.
        core: the recurrent layers.
        head: the head.
        learning: `[x, changes(, known)]` to what is said at the last steps; the one to fit.
        running: `{"x", "lengths", and each state by path}` to `{"output", and each state}`.
        saying: `[output, changes(, known)]` of one step to what is said.
    """

    def __init__(self, shape: Shape, core: Sequence[RNN]) -> None:
        self.shape = shape
        self.core = list(core)
        self.head = Head(shape, name="head")
        self.learning = self._learning()
        self.running = self._running()
        self.saying = self._saying()
        for model in (self.running, self.saying):
            # TensorFlow takes minutes to compile what then runs for a moment.
            model.jit_compile = keras.backend.backend() == "jax"

    @property
    def spec(self) -> State:
        """The sizes of the states, by layer and name."""
        return {layer.name: layer.steps.spec for layer in self.core}

    @property
    def units(self) -> int:
        """The size of the output of the last layer."""
        (size,) = self.core[-1].steps.output
        return int(size)

    def run(self, x: Any, state: State | None = None, lengths: Any = None) -> tuple[Any, State]:
        """Run the layers; give the results of the last one, and the state of each."""
        after: State = {}
        results: Any = {"sequence": x}
        for layer in self.core:
            before = None if state is None else state[layer.name]
            results = layer(results["sequence"], initial_state=before, lengths=lengths)
            after[layer.name] = results["state"]
        return results, after

    @property
    def carried(self) -> dict[str, tuple[int, ...]]:
        """The sizes of all that is carried: the output, and each state by its name."""
        sizes = {name: _sizes(size) for name, size in self.named(self.spec).items()}
        return {"output": (self.units,), **sizes}

    def named(self, state: State) -> dict[str, Any]:
        """Give a state with one name for each path, such as an input of a model can have."""
        return {path.replace("/", "_"): leaf for path, leaf in states.leaves(state)}

    def nested(self, named: Mapping[str, Any]) -> State:
        """Give the states, by name among other things, as they are nested."""
        flat = {path: named[path.replace("/", "_")] for path, _ in states.leaves(self.spec)}
        return states.nest(self.spec, flat)

    def zeros(self, rows: int) -> dict[str, np.ndarray]:
        """Give where a run starts, by name, for so many rows."""
        start = self.named({layer.name: layer.start(rows) for layer in self.core})
        start["output"] = np.zeros((rows, self.units))
        return {
            name: np.asarray(ops.convert_to_numpy(start[name]), "float32") for name in self.carried
        }

    def _learning(self) -> keras.Model:
        x = keras.Input((None, self.shape.inputs), name="x")
        ahead = self._ahead()
        results, _ = self.run(x)
        return keras.Model([x, *ahead], self.head(results["sequence"], *ahead), name="learning")

    def _running(self) -> keras.Model:
        given = {name: keras.Input(size, name=name) for name, size in self.carried.items()}
        given["x"] = keras.Input((None, self.shape.inputs), name="x")
        given["lengths"] = keras.Input((), dtype="int32", name="lengths")
        before = self.nested(given)
        results, after = self.run(given["x"], before, given["lengths"])
        # A row without a new step stays as it was.
        moves = ops.expand_dims(given["lengths"] > 0, -1)
        output = ops.where(moves, results["output"], given["output"])
        return keras.Model(given, {"output": output, **self.named(after)}, name="running")

    def _saying(self) -> keras.Model:
        output = keras.Input((1, self.units), name="output")
        ahead = self._ahead()
        return keras.Model([output, *ahead], self.head(output, *ahead), name="saying")

    def _ahead(self) -> list[Any]:
        horizon, _, seasons = self.shape.reach
        changes = keras.Input((None, horizon, self.shape.targets, seasons - 1), name="changes")
        if not self.shape.known:
            return [changes]
        return [changes, keras.Input((None, horizon, 2 * self.shape.known), name="known")]


def _sizes(size: Any) -> tuple[int, ...]:
    return tuple(size) if isinstance(size, list | tuple) else (int(size),)
