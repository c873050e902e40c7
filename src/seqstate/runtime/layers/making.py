"""`Making`: makes the layers of a saved model, and says of all at once which it can't."""

from __future__ import annotations

from typing import Any

from seqstate.errors import DataError, message
from seqstate.runtime.activations import (
    NAMES,
    OLD_HARD_SIGMOID,
    Activation,
    activation_name,
    activation_of,
)
from seqstate.runtime.archive.config import Config, computed
from seqstate.runtime.archive.weights import Weights
from seqstate.runtime.layers.known import KNOWN, layer_class
from seqstate.runtime.layers.layer import Layer

LAMBDA = (
    "holds code, and code of a file is never run",
    "Write it with layers, or as keras.ops on the tensors",
)


class Making:
    """Makes layers from their configs.

    Args:
        old: whether Keras 2 wrote the file.
    """

    def __init__(self, old: bool = False) -> None:
        self.old = old
        self.refused: list[tuple[str, str, str]] = []
        self._shared: dict[int, Weights] = {}
        self._unnumbered: dict[tuple[str, str], list[tuple[Config, Weights]]] = {}

    def layer(self, config: Config, weights: Weights) -> Layer:
        """Make a layer; one that is not known is noted, and nothing is made of it."""
        found = layer_class(config.kind)
        if found is not None:
            self._check_policy(config)
            return found(config, self._home(config, weights), self)
        if config.kind == "Lambda":
            self.refuse(config, *LAMBDA)
        else:
            self.refuse(
                config,
                f"the class {config.kind} is not known",
                "Replace it by layers that are: see docs/concepts/runtime.md",
            )
        return Layer(config, weights, self)

    def knows(self, config: Config) -> bool:
        """Tell whether the class of a layer is known."""
        return config.kind in KNOWN

    def refuse(self, config: Config, why: str, todo: str) -> None:
        """Note what can't be made."""
        self.refused.append((f'{config.class_name} "{config.name}"', why, todo))

    def activation(self, config: Config, argument: str, default: str = "linear") -> Activation:
        """Give the function of an argument that names an activation."""
        return activation_of(self.activation_name(config, argument, default))

    def activation_name(self, config: Config, argument: str, default: str = "linear") -> str:
        """Give the name in an argument that names an activation."""
        name = activation_name(config, argument, default)
        if not name:
            self.refuse(
                config,
                f"{argument} is {str(config.get(argument))[:60]}",
                f"Those that are known: {', '.join(NAMES)}",
            )
        if name == "hard_sigmoid" and self.old:
            return OLD_HARD_SIGMOID
        return name or "linear"

    def finish(self, where: str) -> None:
        """Refuse the model if a layer could not be made.

        Raises:
            DataError: it names every one, and what to do.
        """
        if not self.refused:
            return
        listed = "; ".join(f"{name}: {why}" for name, why, _ in dict.fromkeys(self.refused))
        todo = ". ".join(dict.fromkeys(todo for _, _, todo in self.refused))
        raise DataError(message(where, f"can't be run without Keras: {listed}.", f"{todo}."))

    def _check_policy(self, config: Config) -> None:
        policy = config.get("dtype")
        if isinstance(policy, dict) and "Quantized" in str(policy.get("class_name")):
            self.refuse(config, "its weights are quantized", "Save the model before quantizing it")

    def _home(self, config: Config, weights: Weights) -> Weights:
        """Give the weights of a layer, which stand in one place if two models share it."""
        number: Any = config.written.get("shared_object_id")
        if not isinstance(number, int):
            same = self._unnumbered.setdefault((config.kind, config.name), [])
            same.append((config, weights))
            return weights
        if number not in self._shared:
            self._shared[number] = self._first_home(config, weights)
        return self._shared[number]

    def _first_home(self, config: Config, weights: Weights) -> Weights:
        """Give the weights of a layer whose number is met for the first time.

        Where a layer stands in a model inside and again outside of it, Keras writes the number in
        the second place alone and the weights in the first alone.
        """
        same, own = self._unnumbered.get((config.kind, config.name), []), computed(config.given)
        homes = [home for one, home in same if computed(one.given) == own]
        if not homes or weights.written():
            return weights
        if len(homes) > 1:
            self.refuse(
                config,
                f"it is shared between models, and {len(homes)} layers may be the one it is",
                "Give each layer of the whole model a name of its own, and save it again",
            )
        return homes[0]
