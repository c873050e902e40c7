"""A model made anew from its own archive, with other classes for some of its layers.

A `.keras` archive holds all that belongs to a model: its graph, its weights, the vocabularies of
its layers. Only what the file leaves out is copied by hand: how it is compiled, the optimizer's
memory, and the carried states of Keras's own stateful layers.
"""

from __future__ import annotations

import json
import types
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras

from seqstate.errors import ArgumentError, message
from seqstate.models.recurrent_layers import recurrent_layers
from seqstate.models.state import carried_variables

Node = dict[str, Any]
"""An object in the config: a dict with `module`, `class_name`, `registered_name`, `config`."""

_CONFIG = "config.json"
# Keras may put the bytes of a lambda into a message.
_LONGEST = 300


def rebuilt(model: Any, change: Callable[[Node], None], where: str) -> Any:
    """Save a model, change its config, load it.

    Args:
        model: a Keras model; it stays as it is.
        change: is given the config of the whole model, and changes it in place.
        where: who asks, for messages.

    Returns:
        The new model: same weights, names, compile settings and carried states.

    Raises:
        ArgumentError: Keras can't save the model, or can't make it from its config.
    """
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        # A model that is not built yet has no weights to save.
        warnings.filterwarnings("ignore", message=".*has not yet been built.*")
        # The file lives as long as this block.
        warnings.filterwarnings("ignore", message=".*includes a `lambda`.*")
        saved, changed = Path(folder) / "model.keras", Path(folder) / "changed.keras"
        _explained(lambda: model.save(saved), where, "saved")
        with zipfile.ZipFile(saved) as old, zipfile.ZipFile(changed, "w") as new:
            for name in old.namelist():
                content = old.read(name)
                if name == _CONFIG:
                    config = json.loads(content)
                    change(config)
                    content = json.dumps(config).encode()
                new.writestr(name, content)
        made = _explained(
            # The model is the caller's own, in this process: its lambdas may run here too.
            lambda: keras.saving.load_model(
                changed, custom_objects=_own_objects(model), compile=False, safe_mode=False
            ),
            where,
            "made from its config",
        )
    _compile_like(made, model)
    _carry_on(made, model, where)
    return made


def nodes(config: Any) -> Iterator[Node]:
    """Walk a config and yield every object in it, the outer ones first."""
    if isinstance(config, list):
        for part in config:
            yield from nodes(part)
    elif isinstance(config, dict):
        if "class_name" in config and isinstance(config.get("config"), dict):
            yield config
        for part in config.values():
            yield from nodes(part)


def _explained(do: Callable[[], Any], where: str, what: str) -> Any:
    try:
        return do()
    except Exception as error:
        said = str(error).strip().split("\n")[0][:_LONGEST]
        raise ArgumentError(
            message(
                where,
                f"the model can't be {what}: {said}",
                "What Keras can't save and load can't be rebuilt. Give classes of your own a "
                "get_config, or write the model with seqstate.layers from the start.",
            )
        ) from error


def _own_objects(model: Any) -> dict[str, Any]:
    """Give the classes and functions of a model's author, which Keras has no other way to find."""
    found: dict[str, Any] = {}
    for layer in model._flatten_layers():
        found[type(layer).__name__] = type(layer)
        for value in vars(layer).values():
            if isinstance(value, types.FunctionType):
                found[value.__name__] = value
            elif hasattr(value, "get_config"):
                found[type(value).__name__] = type(value)
    return {
        name: value for name, value in found.items() if not value.__module__.startswith("keras.")
    }


def _compile_like(made: Any, model: Any) -> None:
    if not model.compiled:
        return
    # Keras's public get_compile_config turns losses and metrics that are functions into names.
    settings = dict(model._compile_config.config)
    settings["optimizer"] = type(model.optimizer).from_config(model.optimizer.get_config())
    for kind in ("metrics", "weighted_metrics"):
        settings[kind] = keras.tree.map_structure(_fresh, settings.get(kind))
    made.compile(**settings)
    if model.optimizer.built and made.built:
        made.optimizer.build(made.trainable_variables)
        for new, old in zip(made.optimizer.variables, model.optimizer.variables, strict=True):
            new.assign(old.value)


def _fresh(metric: Any) -> Any:
    """Give a metric that counts on its own."""
    if isinstance(metric, keras.metrics.Metric):
        return type(metric).from_config(metric.get_config())
    return metric


def _carry_on(made: Any, model: Any, where: str) -> None:
    old, new = recurrent_layers(model, where), recurrent_layers(made, where)
    for name in old.keys() & new.keys():
        held = carried_variables(old[name])
        for path, variable in carried_variables(new[name]).items():
            if path in held:
                variable.assign(held[path].value)
