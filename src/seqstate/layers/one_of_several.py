"""`OneOfSeveral`: a symbolic result that shows which of a layer's results it is."""

from __future__ import annotations

from typing import Any

import keras


class OneOfSeveral(keras.KerasTensor):
    """A symbolic tensor of a layer that returns several.

    A layer that expects one input and is fed with all of them prints them in its error: then
    they say what they are and how to take one.

    Args:
        tensor: the symbolic tensor that this one stands for.
        path: the layer and the result, such as `lstm/c`.
        take: how to take one of the results.
    """

    def __init__(self, tensor: Any, path: str, take: str) -> None:
        super().__init__(tensor.shape, dtype=tensor.dtype)
        self.path = path
        self.take = take

    def __repr__(self) -> str:
        return f"<{self.path}, shape={self.shape}: one of several; write {self.take} and pass one>"


def label(spec: Any, layer: str, parts: list[str]) -> Any:
    """Label symbolic results: by their names in a dict, else by `parts`, in order."""
    if isinstance(spec, dict):
        return _by_name(spec, layer, layer)
    unpack = f"{', '.join(part.replace('/', '_') for part in parts)} = {layer}(x)"
    names = iter(parts)
    return keras.tree.map_structure(
        lambda tensor: OneOfSeveral(tensor, f"{layer}/{next(names)}", unpack), spec
    )


def _by_name(spec: Any, path: str, layer: str) -> Any:
    if isinstance(spec, dict):
        named = ((name, _by_name(inner, f"{path}/{name}", layer)) for name, inner in spec.items())
        return type(spec)(named)
    if isinstance(spec, list | tuple):
        return type(spec)(_by_name(inner, path, layer) for inner in spec)
    keys = "".join(f'["{name}"]' for name in path.split("/")[1:])
    return OneOfSeveral(spec, path, f"r = {layer}(x), then r{keys},")
