"""A model made anew from its own archive, with other classes for some of its layers.

A `.keras` archive holds all that belongs to a model: its graph, its weights, the vocabularies of
its layers. Only what the file leaves out is copied by hand: how it is compiled, the optimizer's
memory, and the carried states of Keras's own stateful layers.
"""

from __future__ import annotations

import json
import re
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras

from seqstate.errors import ArgumentError, message
from seqstate.models.compiled_like import compile_like
from seqstate.models.config_nodes import Node
from seqstate.models.own_objects import OwnObjects
from seqstate.models.recurrent_layers import recurrent_layers
from seqstate.models.state import carried_variables

_CONFIG = "config.json"
# Keras may put a whole config, or the bytes of a function, into a message.
_LONGEST = 300
_ENCODED = re.compile(r"[A-Za-z0-9+/=\\]{80,}")


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
    own = OwnObjects(model, where)
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        # A model that is not built yet has no weights to save.
        warnings.filterwarnings("ignore", message=".*has not yet been built.*")
        saved, changed = Path(folder) / "model.keras", Path(folder) / "changed.keras"
        with own.named(), _uncompiled(_models(model)):
            _explained(lambda: model.save(saved), where, "saved")
        with zipfile.ZipFile(saved) as old, zipfile.ZipFile(changed, "w") as new:
            for name in old.namelist():
                content = old.read(name)
                if name == _CONFIG:
                    config = json.loads(content)
                    change(config)
                    own.name_in(config)
                    content = json.dumps(config).encode()
                new.writestr(name, content)
        made = _explained(
            lambda: keras.saving.load_model(
                changed, custom_objects=own.by_name, compile=False, safe_mode=False
            ),
            where,
            "made from its config",
        )
    for one, new_one in zip(_models(model), _models(made), strict=True):
        _explained(partial(compile_like, new_one, one, where), where, "compiled")
    _carry_on(made, model, where)
    return made


def _explained(do: Callable[[], Any], where: str, what: str) -> Any:
    try:
        return do()
    except ArgumentError:
        raise
    except Exception as error:
        first = (str(error).strip() or type(error).__name__).split("\n")[0]
        said = _ENCODED.sub("...", first)[:_LONGEST]
        raise ArgumentError(
            message(
                where,
                f"the model can't be {what}: {said}",
                "What Keras can't save and load can't be rebuilt. Give classes of your own a "
                "get_config, or write the model with seqstate.layers from the start.",
            )
        ) from error


@contextmanager
def _uncompiled(models: list[Any]) -> Iterator[None]:
    """Keep how models are compiled out of a file: it is copied by hand, and may not be savable."""
    before = [model.compiled for model in models]
    try:
        for model in models:
            model.compiled = False
        yield
    finally:
        for model, compiled in zip(models, before, strict=True):
            model.compiled = compiled


def _models(model: Any) -> list[Any]:
    """Give a model and those inside it, each once."""
    found = {id(one): one for one in model._flatten_layers() if isinstance(one, keras.Model)}
    return list(found.values())


def _carry_on(made: Any, model: Any, where: str) -> None:
    old, new = recurrent_layers(model, where), recurrent_layers(made, where)
    for name in old.keys() & new.keys():
        held = carried_variables(old[name])
        for path, variable in carried_variables(new[name]).items():
            if path in held:
                variable.assign(keras.ops.copy(held[path].value))
