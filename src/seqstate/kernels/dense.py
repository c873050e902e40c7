"""A dense layer and activations on NumPy arrays, in float32, with the same bits for each row.

Each output is `bias + x[0] * kernel[0] + x[1] * kernel[1] + ...`, added in this order, however many
rows there are beside it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from seqstate.errors import ArgumentError, InputError, message

Array = npt.NDArray[np.float32]

# Of the products of one block of rows: what fits a cache.
_BLOCK = 1 << 18


class Dense:
    """A kernel and a bias, packed once.

    Args:
        kernel: `[features, units]`.
        bias: `[units]`, or None.
        activation: one that `activate` knows.

    Raises:
        InputError: other axes.
        ArgumentError: another activation.

    Example:
        >>> import numpy as np
        >>> dense = Dense(np.array([[1.0], [10.0]]), np.array([0.5]))
        >>> dense(np.array([[1.0, 2.0]], "float32"))
        array([[21.5]], dtype=float32)
    """

    def __init__(
        self,
        kernel: npt.ArrayLike,
        bias: npt.ArrayLike | None = None,
        activation: str = "linear",
    ) -> None:
        self._kernel = np.ascontiguousarray(kernel, np.float32)
        shape: tuple[int, ...] = self._kernel.shape
        self._bias = np.zeros(shape[-1:], np.float32)
        if bias is not None:
            self._bias = np.ascontiguousarray(bias, np.float32)
        if len(shape) != 2 or self._bias.shape != shape[1:]:
            raise InputError(
                message(
                    "Dense",
                    f"kernel has shape {shape}, bias {self._bias.shape}; expected "
                    "[features, units] and [units].",
                    "Pass both of the same layer.",
                )
            )
        self.features, self.units = shape
        self._activation = activation

    def __call__(self, x: Array, out: Array | None = None) -> Array:
        """Give `x kernel + bias`.

        Args:
            x: `[rows, features]` float32.
            out: `[rows, units]` float32 to write to.

        Raises:
            InputError: another shape.
        """
        if x.ndim != 2 or x.shape[1] != self.features:
            raise InputError(
                message(
                    "Dense",
                    f"x has shape {x.shape}; expected [rows, {self.features}].",
                    f"Pass {self.features} features.",
                )
            )
        if out is None:
            out = np.empty((len(x), self.units), np.float32)
        rows = max(1, _BLOCK // max(1, (self.features + 1) * self.units))
        for at in range(0, len(x), rows):
            block = x[at : at + rows]
            terms = np.empty((len(block), self.features + 1, self.units), np.float32)
            terms[:, 0] = self._bias
            np.multiply(block[:, :, None], self._kernel, out=terms[:, 1:])
            out[at : at + rows] = np.add.accumulate(terms, axis=1, out=terms)[:, -1]
        return out if self._activation == "linear" else activate(self._activation, out, out)


def activate(name: str, x: Array, out: Array | None = None) -> Array:
    """Apply an activation, element by element.

    Args:
        name: "linear", "tanh", "sigmoid", "relu" or "hard_sigmoid".
        x: any shape, float32.
        out: of the same shape, to write to; may be `x`.

    Raises:
        ArgumentError: another name.
    """
    function = _ACTIVATIONS.get(name)
    if function is None:
        raise ArgumentError(
            message(
                "activate",
                f"there is no activation {name!r}.",
                f"There are {', '.join(_ACTIVATIONS)}.",
            )
        )
    made = function(np.ascontiguousarray(x))
    if out is None:
        return made
    out[...] = made
    return out


def _sigmoid(x: Array) -> Array:
    small = np.exp(-np.abs(x))
    one = np.ones_like(x)
    return np.divide(np.where(x >= 0, one, small), one + small, dtype=np.float32)


_ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "linear": lambda x: x,
    "tanh": np.tanh,
    "sigmoid": _sigmoid,
    "relu": lambda x: np.maximum(x, np.float32(0)),
    "hard_sigmoid": lambda x: np.clip(x / np.float32(6) + np.float32(0.5), 0, 1),
}
