"""A model compiled as another one is: its settings, its metrics, the memory of its optimizer."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import keras

from seqstate.errors import message
from seqstate.models.own_objects import OwnObjects


def compile_like(made: Any, model: Any, where: str) -> None:
    """Compile a new model as the one that it was made from; warn of what can't go along.

    Args:
        made: the new model, with the same weights in the same order.
        model: the model that it was made from; nothing is done if it is not compiled.
        where: who asks, for messages.
    """
    if not model.compiled:
        return
    config = getattr(model, "_compile_config", None)
    held = [model.optimizer, config.config if config else {}]
    own = OwnObjects(held, where)
    with own.named(), keras.saving.custom_object_scope(own.by_name):
        if type(model).compile is not keras.Model.compile:
            if type(model).compile_from_config is keras.Model.compile_from_config:
                _warn(
                    where,
                    f"{type(model).__name__} has a compile of its own; the new model is not "
                    "compiled.",
                    "Compile it as you compiled the first, or give the class get_compile_config "
                    "and compile_from_config.",
                )
                return
            made.compile_from_config(model.get_compile_config())
        else:
            made.compile(**_settings(model, where))
    _remember(made, model, where)


def _settings(model: Any, where: str) -> dict[str, Any]:
    # Keras's public get_compile_config turns losses and metrics that are functions into names.
    settings = dict(model._compile_config.config)
    optimizer = model.optimizer
    settings["optimizer"] = optimizer and type(optimizer).from_config(optimizer.get_config())
    # Where the loss is scaled, the optimizer of the model does that already.
    settings["auto_scale_loss"] = False
    lost: list[str] = []
    by_place = len(getattr(model, "outputs", None) or ()) > 1
    for kind in ("metrics", "weighted_metrics"):
        settings[kind] = _fresh(settings.get(kind), lost, by_place)
    if lost:
        _warn(
            where,
            f"left out of the new model: {', '.join(lost)}, which can't be made from its config.",
            "Give the metric a get_config with every argument of its constructor, or compile the "
            "new model yourself.",
        )
    return settings


def _fresh(metrics: Any, lost: list[str], by_place: bool) -> Any:
    """Give metrics that count on their own, and note those that can't be copied."""
    if isinstance(metrics, dict):
        return {name: _fresh(one, lost, False) or [] for name, one in metrics.items()}
    if isinstance(metrics, list | tuple):
        copies = [_fresh(one, lost, False) for one in metrics]
        if by_place:
            return [[] if new is None else new for new in copies]
        return [
            new for old, new in zip(metrics, copies, strict=True) if old is None or new is not None
        ]
    if not isinstance(metrics, keras.metrics.Metric):
        return metrics
    try:
        return _copied(metrics)
    # A class of somebody else may fail in any way.
    except Exception:
        lost.append(f'the metric "{metrics.name}" ({type(metrics).__name__})')
        return None


def _copied(metric: Any) -> Any:
    config = metric.get_config()
    if not type(metric).__module__.startswith("keras."):
        # Left to its defaults, a metric would count something else.
        asked = inspect.signature(type(metric).__init__).parameters.values()
        named = {one.name for one in asked if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)}
        if named - {"self"} - set(config):
            raise ValueError
    return type(metric).from_config(config)


def _remember(made: Any, model: Any, where: str) -> None:
    """Give the new optimizer the memory of the old one, variable by variable."""
    old, new = model.optimizer, made.optimizer
    if old is None or new is None or not old.built or not made.built:
        return
    twins = {id(a): b for a, b in zip(model.weights, made.weights, strict=True)}
    # What is trainable may have changed since the optimizer was built.
    built_on = old._trainable_variables
    if not all(id(variable) in twins for variable in built_on):
        _warn(
            where,
            "the optimizer holds variables that are not of this model; its memory is not copied.",
            "The new optimizer starts anew.",
        )
        return
    new.build([twins[id(variable)] for variable in built_on])
    for variable, held in zip(new.variables, old.variables, strict=True):
        # JAX deletes the array of a variable that it trains.
        variable.assign(keras.ops.copy(held.value))


def _warn(where: str, what: str, todo: str) -> None:
    warnings.warn(message(where, what, todo), stacklevel=2)
