"""The two ends of a model: the arrays that go in and come out, with the names of their features."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from seqstate.errors import ArgumentError, message
from seqstate.plots.series import Runs, Series, over_time


@dataclass(frozen=True)
class End:
    """An array that goes into a model or comes out of it.

    Attributes:
        name: such as "input", or 'input "a"' where there are several.
        array: `[sample, ...]`.
        features: the names that were given; None where they weren't.
        series: the array over time; None where it has no time axis.
    """

    name: str
    array: np.ndarray
    features: list[str] | None
    series: Series | None

    @property
    def title(self) -> str:
        """The name as a sentence begins with it."""
        return f"{self.name[0].upper()}{self.name[1:]}"


def read_ends(role: str, value: Any, names: Any, runs: Runs, where: str) -> list[End]:
    """Give the arrays of one end.

    Args:
        role: "input" or "output".
        value: an array, or a list or a dict of arrays.
        names: of the features of an array, or a list or a dict of such names as `value` is one;
            None calls the features by their numbers.
        runs: what the layers of the model ran over.
        where: who asks, for messages.

    Raises:
        ArgumentError: names that don't fit the arrays.

    Example:
        >>> arrays = {"a": np.zeros((1, 3, 2)), "b": np.zeros((1, 2))}
        >>> ends = read_ends("input", arrays, {"b": ["up", "down"]}, [(None, 3)], "here")
        >>> [end.name for end in ends], ends[0].series.features, ends[1].features
        (['input "a"', 'input "b"'], ['feature 0', 'feature 1'], ['up', 'down'])
    """
    return [
        _end(name, array, given, runs, where)
        for name, array, given in _leaves(role, "", value, names, where)
    ]


def _end(name: str, array: np.ndarray, given: Any, runs: Runs, where: str) -> End:
    values = over_time(array, runs)
    count = int(np.prod(array.shape[1:])) if values is None else values.shape[-1]
    features = None if given is None else _texts(name, given, count, where)
    if values is None:
        return End(name, array, features, None)
    # Numbers without an axis of features.
    ids = array.dtype.kind in "iu" and array.shape[1:] in (values.shape[1:3], values.shape[2:3])
    numbered = [f"feature {number}" for number in range(count)] if count > 1 else [name]
    return End(name, array, features, Series(name, values, features or numbered, ids))


def _leaves(
    role: str, path: str, value: Any, names: Any, where: str
) -> Iterator[tuple[str, np.ndarray, Any]]:
    """Yield each array with its name and with what was given for the names of its features."""
    name = f"{role} {path}".rstrip()
    if isinstance(value, Mapping):
        inner = {key: (f'"{key}"', one) for key, one in value.items()}
    elif isinstance(value, list | tuple) and any(np.ndim(one) for one in value):
        inner = {key: (str(key), one) for key, one in enumerate(value)}
    else:
        if value is not None:
            yield name, np.asarray(value), names
        return
    given = _shared_out(name, value, names, where)
    for key, (label, one) in inner.items():
        yield from _leaves(role, f"{path}, {label}" if path else label, one, given.get(key), where)


def _shared_out(name: str, value: Any, names: Any, where: str) -> dict[Any, Any]:
    """Give the names for each entry of a list or a dict of arrays, by its place or its key."""
    if names is None:
        return {}
    if isinstance(value, Mapping):
        if isinstance(names, Mapping) and set(names) <= set(value):
            return dict(names)
        wanted = f"a dict with the keys {', '.join(map(repr, value))}"
        keys = list(value)
    else:
        several = isinstance(names, list | tuple) and not any(isinstance(one, str) for one in names)
        if several and len(names) == len(value):
            return dict(enumerate(names))
        wanted = f"a list of {len(value)} sequences of texts"
        keys = list(range(len(value)))
    if len(keys) == 1 and not isinstance(names, Mapping):
        return {keys[0]: names}  # the only array needs no list around its names
    raise ArgumentError(
        message(
            where,
            f"the names of the features of the {name} are {names!r}; expected {wanted}.",
            "Pass the names as the arrays were passed; leave some out with None.",
        )
    )


def _texts(name: str, given: Any, count: int, where: str) -> list[str]:
    whole = not isinstance(given, str | Mapping) and hasattr(given, "__iter__")
    texts = list(given) if whole else []
    if not whole or len(texts) != count or not all(isinstance(one, str) for one in texts):
        came = f"{len(texts)}, {texts!r}" if whole else repr(given)
        raise ArgumentError(
            message(
                where,
                f"the names of the features of the {name} are {came}; expected "
                f"{count} {'text' if count == 1 else 'texts'}.",
                "Pass one name for each feature, in their order.",
            )
        )
    return [str(one) for one in texts]
