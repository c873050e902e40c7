"""`Samples`: what is pushed, checked before any state moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from seqstate.errors import InputError, message
from seqstate.kernels.dense import finite
from seqstate.runtime.streams.places import Array
from seqstate.runtime.streams.stepping import sample_sizes

if TYPE_CHECKING:
    from seqstate.runtime.model import Model

_NUMBERS = "fiub"
# Of numbers that float32 holds, by far.
_LARGEST_SQUARE = 1e70
_NOTHING = np.empty(0, object)


class Samples:
    """Makes the arrays of a step of what a user pushes."""

    def __init__(self, model: Model) -> None:
        self._specs = {one.name: (sample_sizes(one), one.dtype) for one in model.inputs}
        self._only = next(iter(self._specs)) if len(self._specs) == 1 else None
        self._sizes, self._dtype = next(iter(self._specs.values()))
        self._floats = self._only is not None and self._dtype.kind == "f"

    def one(self, sample: Any, key: str, where: str) -> list[Array]:
        """Give a sample as a batch of one: an array for each input.

        Raises:
            InputError: another width, NaN or infinity, or no numbers.
        """
        if self._floats:
            try:
                x = sample if type(sample) is np.ndarray else np.asarray(sample)
            except ValueError:
                x = _NOTHING
            if x.dtype != self._dtype and _is_small(x):
                x = x.astype(self._dtype)
            if x.dtype == self._dtype and x.shape == self._sizes and finite(x):
                return [x[None]]
        return self._checked(sample, None, [key], where)

    def many(self, samples: Any, keys: Sequence[str], where: str) -> list[Array]:
        """Give the samples of several keys: for each input an array `[keys, *sizes]`.

        Raises:
            InputError: another count or width, NaN or infinity, or no numbers; the message names
                the key.
        """
        return self._checked(samples, len(keys), keys, where)

    def chunk(self, samples: Any, key: str, where: str) -> list[Array]:
        """Give the samples of one key, in their order; see `many`."""
        counted = samples
        if isinstance(samples, Mapping):
            counted = samples.get(next(iter(self._specs)), ())
        try:
            count = len(counted)
        except TypeError:
            raise self._wrong(where, f"key {key!r}", samples, (None, *self._sizes)) from None
        return self._checked(samples, count, [key] * count, where)

    def _checked(
        self, samples: Any, count: int | None, keys: Sequence[str], where: str
    ) -> list[Array]:
        return [
            self._input(name, given, count, keys, where)
            for name, given in self._by_name(samples, where).items()
        ]

    def _by_name(self, samples: Any, where: str) -> dict[str, Any]:
        """Give what came for each input."""
        if not isinstance(samples, Mapping):
            if self._only is not None:
                return {self._only: samples}
            what = f"the sample is a {type(samples).__name__}"
        elif samples.keys() == self._specs.keys():
            return {name: samples[name] for name in self._specs}
        else:
            what = f"the sample has {', '.join(map(repr, samples)) or 'nothing'}"
        raise InputError(
            message(
                where,
                f"{what}; expected the inputs {', '.join(map(repr, self._specs))}.",
                "Pass a dict with an array for each input. No state was moved.",
            )
        )

    def _input(
        self, name: str, given: Any, count: int | None, keys: Sequence[str], where: str
    ) -> Array:
        sizes, dtype = self._specs[name]
        shape = sizes if count is None else (count, *sizes)
        try:
            x = np.asarray(given)
        except ValueError:
            x = _NOTHING
        if count == 0 and x.shape == (0,):  # an empty list has no width
            return np.empty(shape, dtype)
        if x.dtype.kind not in (_NUMBERS if dtype.kind == "f" else "iu"):
            raise self._wrong(where, self._whose(name, keys, given, count), given, shape)
        if x.shape != shape:
            raise self._wrong(where, self._whose(name, keys, given, count), given, shape)
        if dtype.kind != "f":
            x = self._whole(x, dtype, keys, where)
        with np.errstate(over="ignore"):
            x = np.ascontiguousarray(x, dtype).reshape(shape)
        if dtype.kind == "f" and not finite(x):
            rows = x.reshape(len(keys), -1)
            odd_ones = ~np.isfinite(rows)
            row = int(odd_ones.any(axis=1).argmax())
            raise InputError(
                message(
                    where,
                    f"key {keys[row]!r}: the sample has {rows[row][odd_ones[row]][0]} in "
                    f"it: {np.array2string(rows[row], threshold=8)}.",
                    "Leave such a sample out, or fill it. No state was moved.",
                )
            )
        return x[None] if count is None else x

    def _whole(self, x: Array, dtype: np.dtype[Any], keys: Sequence[str], where: str) -> Array:
        """Refuse whole numbers that the type can't hold."""
        info = np.iinfo(dtype)
        outside = (x < info.min) | (x > info.max)
        if outside.any():
            row = int(outside.reshape(len(keys), -1).any(axis=1).argmax())
            raise InputError(
                message(
                    where,
                    f"key {keys[row]!r}: {x[outside][0]} came; the model reads {dtype}.",
                    "Pass whole numbers that it knows. No state was moved.",
                )
            )
        return x

    def _whose(self, name: str, keys: Sequence[str], given: Any, count: int | None) -> str:
        """Say whose samples don't fit: the key, if it is that of one."""
        whose = f"{count} keys"
        if keys and (count is None or keys.count(keys[0]) == len(keys)):
            whose = f"key {keys[0]!r}"
        elif hasattr(given, "__len__") and len(given) == count:
            sizes, _ = self._specs[name]
            odd = [key for key, one in zip(keys, given, strict=True) if np.shape(one) != sizes]
            whose = f"key {odd[0]!r}" if odd else whose
        return whose if self._only is not None else f"{whose}, input {name!r}"

    def _wrong(self, where: str, whose: str, given: Any, shape: tuple[Any, ...]) -> InputError:
        try:
            array = np.asarray(given)
            came = f"shape {array.shape}, {array.dtype}"
        except ValueError:
            came = f"a {type(given).__name__} of uneven rows"
        return InputError(
            message(
                where,
                f"{whose}: {came} came; expected shape {shape} of numbers.",
                "Pass one sample for each key, with the features that the model reads. No state "
                "was moved.",
            )
        )


def _is_small(x: Array) -> bool:
    """Tell whether these are numbers that float32 can hold; with NaN they are not."""
    # Without a warning where the sum of squares overflows.
    return x.dtype.kind in _NUMBERS and (not x.size or float(np.vdot(x, x)) < _LARGEST_SQUARE)
