"""The weights of a saved model, found by the place of their layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from seqstate.errors import DataError, message
from seqstate.runtime.archive.datasets import EXPANSION, FREE, child, read_array
from seqstate.runtime.archive.digest import Digest

Array = np.ndarray


class Weights(Protocol):
    """The weights of a layer and of those that it holds.

    Attributes:
        seen: a digest of all that has been read of the file so far.
    """

    seen: Digest

    def below(self, attribute: str, name: str) -> Weights:
        """Give those of a layer that this one holds.

        Args:
            attribute: under which it is held, with the place in a list: `layers/dense_1`.
            name: of the layer.
        """

    def arrays(self, *names: str) -> list[Array | None]:
        """Give the layer's own, in the order in which Keras makes them; None from the end on."""

    def written(self) -> bool:
        """Tell whether the file has a place for the layer."""


class Reader:
    """Reads arrays of one file, and remembers what it has read.

    Args:
        size: of the file in bytes.
        where: for messages.
        packed: how many bytes it is in an archive.
    """

    def __init__(self, size: int, where: str, packed: int | None = None) -> None:
        self.size, self.where = size, where
        self._taken: dict[str, int] = {}
        # One array may stand in a file under many names, or be packed twice.
        self.left = FREE + EXPANSION * (size if packed is None else packed)
        self.seen = Digest()

    def read(self, place: str, names: Sequence[str], dataset: Callable[[int], Any]) -> list[Any]:
        """Read arrays in order.

        Args:
            place: of the layer, for messages.
            names: of the arrays.
            dataset: gives the dataset of a number, or None.

        Raises:
            DataError: one is damaged, or claims to be what the file can't hold.
        """
        found: list[Array | None] = []
        for i, name in enumerate(names):
            try:
                one = dataset(i)
                found.append(None if one is None else self._array(one))
            except Exception as error:
                raise DataError(
                    message(
                        self.where,
                        f"the weight {name!r} of {place or 'the model'} can't be read: "
                        f"{' '.join(str(error).split())[:200]}.",
                        "Pass a file that model.save wrote, whole.",
                    )
                ) from error
            if found[-1] is not None:
                self.left -= found[-1].nbytes
                self.seen.update(str(found[-1].shape).encode() + found[-1].tobytes())
        return found

    def _array(self, one: Any) -> Array:
        # What two models share is read for each of them, and lies in the file once.
        name = str(getattr(one, "name", ""))
        found = read_array(one, self.size + self._taken.get(name, 0), self.left)
        if name not in self._taken:
            self._taken[name] = int(one.id.get_storage_size())
            self.size -= self._taken[name]
        return found


class WeightsByPath:
    """Those of a `.keras` archive: `layers/lstm/cell/vars/0`.

    Args:
        file: of h5py.
        reader: of the file.
        path: of the layer.
    """

    def __init__(self, file: Any, reader: Reader, path: str = "") -> None:
        self.file, self.reader, self.path = file, reader, path
        self.seen = reader.seen

    def below(self, attribute: str, name: str) -> WeightsByPath:
        """See `Weights`."""
        path = f"{self.path}/{attribute}" if self.path else attribute
        return WeightsByPath(self.file, self.reader, path)

    def arrays(self, *names: str) -> list[Array | None]:
        """See `Weights`."""
        group: Any = None

        def dataset(i: int) -> Any:
            nonlocal group
            if group is None:
                group = self._group()
            return None if group is None else child(group, str(i))

        return self.reader.read(self.path, names, dataset)

    def written(self) -> bool:
        """See `Weights`."""
        return self._group() is not None

    def _group(self) -> Any:
        """Find the group of the arrays; to walk there takes longer than to read one."""
        path = f"{self.path}/vars" if self.path else "vars"
        found = child(self.file, path)
        if found is None and "_layer_checkpoint_dependencies" in self.file:
            # As Keras 2.12 and 2.13 named them.
            found = child(self.file, path.replace("layers", "_layer_checkpoint_dependencies"))
        return found


class LegacyWeights:
    """Those of an `.h5` file: per layer a list, with names such as `lstm/lstm_cell/kernel`.

    Args:
        listed: the names, without the `:0` at the end, and how to get what they name.
        reader: of the file.
    """

    def __init__(self, listed: list[tuple[str, Callable[[], Any]]], reader: Reader) -> None:
        self.listed, self.reader = listed, reader
        self.seen = reader.seen

    @classmethod
    def of_file(cls, file: Any, reader: Reader) -> LegacyWeights:
        """Read the names of all weights."""
        group = child(file, "model_weights")
        listed: list[tuple[str, Callable[[], Any]]] = []
        for layer in _texts(group, "layer_names"):
            inner = child(group, layer)
            for name in _texts(inner, "weight_names"):

                def get(inner: Any = inner, name: str = name) -> Any:
                    return child(inner, name)

                listed.append((f"{layer}/{name.removesuffix(':0')}", get))
        return cls(listed, reader)

    def below(self, attribute: str, name: str) -> LegacyWeights:
        """See `Weights`."""
        of_group = [
            (path.partition("/")[2], get)
            for path, get in self.listed
            if path.partition("/")[0] == name
        ]
        # Not every layer has its name in those of its weights: older files leave out wrappers, and
        # put the direction before the name of a layer in a `Bidirectional`.
        direction = attribute.removesuffix("_layer") if attribute.endswith("_layer") else ""
        tried = [f"{direction}_{name}", name] if direction else [name]
        own = of_group
        for one in tried:
            own = own or [pair for pair in self.listed if one in pair[0].split("/")[:-1]]
        if direction and not own:
            own = [
                pair
                for pair in self.listed
                if any(part.startswith(f"{direction}_") for part in pair[0].split("/")[:-1])
            ]
        return LegacyWeights(own or self.listed, self.reader)

    def written(self) -> bool:
        """See `Weights`; a layer that is shared is written wherever it stands."""
        return True

    def arrays(self, *names: str) -> list[Array | None]:
        """See `Weights`."""
        found: dict[str, list[tuple[str, Callable[[], Any]]]] = {}
        for path, get in self.listed:
            found.setdefault(path.rpartition("/")[2], []).append((path, get))

        def dataset(i: int) -> Any:
            (path, get), *more = found.get(names[i], [("", lambda: None)])
            if more:
                raise ValueError(f"{path} and {more[0][0]} may both be it")
            return get()

        place = self.listed[0][0].rpartition("/")[0] if self.listed else ""
        return self.reader.read(place, names, dataset)


def _texts(group: Any, name: str) -> list[str]:
    """Read a list of texts from the attributes, which are cut in parts where it is long."""
    if name in group.attrs:
        parts = list(group.attrs[name])
    else:
        parts, number = [], 0
        while f"{name}{number}" in group.attrs:
            parts.extend(group.attrs[f"{name}{number}"])
            number += 1
    return [one.decode("utf8") if hasattr(one, "decode") else str(one) for one in parts]
