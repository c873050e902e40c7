"""The objects in the config of a Keras model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Node = dict[str, Any]
"""An object in the config: a dict with `module`, `class_name`, `registered_name`, `config`."""


def every_object(config: Any) -> Iterator[Node]:
    """Walk a config and yield every object in it, functions too, the outer ones first."""
    if isinstance(config, list | tuple):
        for part in config:
            yield from every_object(part)
    elif isinstance(config, dict):
        if "class_name" in config and "config" in config:
            yield config
        for part in config.values():
            yield from every_object(part)


def nodes(config: Any) -> Iterator[Node]:
    """Walk a config and yield every object that has a config of its own: all but functions."""
    return (one for one in every_object(config) if isinstance(one["config"], dict))
