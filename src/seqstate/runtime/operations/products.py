"""Sums of products of two arrays: `matmul`, `dot`, `einsum`.

They are added up in one order, so that the bits don't depend on the sizes.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from string import ascii_letters
from typing import Any

import numpy as np

from seqstate.kernels.dense import Dense
from seqstate.runtime.operations.operation import Array, Entry, Operation
from seqstate.runtime.plan.maker import Maker
from seqstate.runtime.plan.value import Value


def _einsum(self: Operation, maker: Maker, args: list[Any], kwargs: dict[str, Any]) -> Any:
    written = self.argument("subscripts", kwargs)
    left, arrow, output = str(written).replace(" ", "").partition("->")
    if left.startswith("...") and output.startswith("...") and args:
        # The axes that it leaves out are those of the batch and the time.
        known = left.partition(",")[0].removeprefix("...")
        free = [letter for letter in ascii_letters if letter not in left]
        outer = "".join(free[: max(0, _rank(args[0]) - len(known))])
        left, output = left.replace("...", outer, 1), output.replace("...", outer, 1)
    terms = left.split(",")
    plain = all(term.isalpha() and len({*term}) == len(term) for term in (*terms, output))
    if not arrow or not plain or len(terms) > 2 or len(terms) != len(args):
        raise self.config.wrong(
            f"its equation {str(written)[:80]} is not known.",
            "Use one of one or two arrays, a letter for each axis and each once, such as "
            "btf,fo->bto.",
        )
    return _summed(self, maker, args, terms, output)


def _matmul(self: Operation, maker: Maker, args: list[Any], kwargs: dict[str, Any]) -> Any:
    given = [*args, *(kwargs[name] for name in sorted(kwargs))]
    if len(given) != 2 or not all(isinstance(one, Value | np.ndarray) for one in given):
        raise self.config.wrong("it multiplies something else than two arrays.")
    ranks = [_rank(one) for one in given]
    constant = [isinstance(one, np.ndarray) for one in given]
    outer = ascii_letters[: max(ranks) - 2]
    if ranks[0] >= 2 and ranks[1] == 1 and constant[1]:
        terms = [ascii_letters[: ranks[0] - 1] + "y", "y"]
        return _summed(self, maker, given, terms, terms[0][:-1])
    if ranks[0] >= 2 and ranks[1] == 2 and constant[1]:
        terms = [ascii_letters[: ranks[0] - 1] + "y", "yz"]
        return _summed(self, maker, given, terms, terms[0][:-1] + "z")
    if ranks[0] == 2 and ranks[1] >= 3 and constant[0] and self.config.class_name == "Matmul":
        return _summed(self, maker, given, ["xy", f"{outer}yz"], f"{outer}xz")
    if ranks[0] == ranks[1] >= 3 and not any(constant) and self.config.class_name == "Matmul":
        return _summed(self, maker, given, [f"{outer}xy", f"{outer}yz"], f"{outer}xz")
    raise self.config.wrong(
        f"it multiplies arrays of {ranks[0]} and {ranks[1]} axes.",
        "Multiply with a constant matrix, or two batches of matrices.",
    )


def _summed(
    self: Operation, maker: Maker, given: list[Any], terms: list[str], output: str
) -> Value:
    """Leave the call of an equation with a letter for each axis."""
    values = [one for one in given if isinstance(one, Value)]
    _check(self, maker, given, terms, output)
    sizes: dict[str, int | None] = {}
    for one, term in zip(given, terms, strict=True):
        sizes.update(
            (letter, size)
            for letter, size in zip(term, one.shape, strict=True)
            if sizes.get(letter) is None
        )
    shape = tuple(sizes[letter] for letter in output)
    time = any(one.time for one in values) and len(output) > 1 and _stays(given, terms, output)
    if len(given) == 1:
        return maker.emit(lambda a: _reduced(a, terms[0], output), *values, shape=shape, time=time)
    own = terms[::-1] if isinstance(given[0], np.ndarray) else terms
    product = _product(own, output)
    if len(values) == 2:
        return maker.emit(product, *values, shape=shape, time=time)
    constant = next(one for one in given if isinstance(one, np.ndarray)).astype(np.float32)
    if set(own[0]) & set(own[1]) & set(output) or not set(own[0]) & set(own[1]):
        return maker.emit(lambda a: product(a, constant), *values, shape=shape, time=time)
    return maker.emit(_dense(own, output, constant), *values, shape=shape, time=time)


def _check(self: Operation, maker: Maker, given: list[Any], terms: list[str], output: str) -> None:
    """Refuse what would bring rows together; say where a step can't be taken alone."""
    ranks = [_rank(one) for one in given]
    if [len(term) for term in terms] != ranks or not set(output) <= set("".join(terms)):
        raise self.config.wrong(f"{','.join(terms)}->{output} is given arrays of {ranks} axes.")
    for one, term in zip(given, terms, strict=True):
        inside = term[1:] if isinstance(one, Value) else term
        mixed = isinstance(one, Value) and term[0] != output[:1]
        if mixed or output[:1] in inside:
            raise self.config.wrong("it works across the rows of a batch.", "Leave the batch axis.")
    values = [one for one in given if isinstance(one, Value)]
    if any(one.time for one in values) and not _stays(given, terms, output):
        maker.no_step(f"{self.config.where} moves or sums up the time axis")
    elif any(one.time for one in values) and any(maker.settled(one) for one in values):
        maker.no_step(
            f"{self.config.where} puts what is known at the end together with each time step"
        )


def _rank(one: Any) -> int:
    return one.rank if isinstance(one, Value) else int(np.ndim(one))


def _stays(given: list[Any], terms: list[str], output: str) -> bool:
    """Tell whether the time axis stays axis 1, and nothing else lies along it."""
    own = output[1:2]
    return all(
        term[1:2] == own if isinstance(one, Value) and one.time else own not in term
        for one, term in zip(given, terms, strict=True)
    )


def _reduced(a: Array, term: str, output: str) -> Array:
    """Sum up the axes that the output has not."""
    lost = [letter for letter in term if letter not in output]
    kept = [letter for letter in term if letter in output]
    moved = a.transpose([term.index(letter) for letter in (*kept, *lost)])
    sizes = moved.shape[: len(kept)]
    rows = np.ascontiguousarray(moved.reshape(*sizes, prod(moved.shape[len(kept) :])))
    made = rows.sum(axis=-1) if lost else rows[..., 0]
    return made.transpose([kept.index(letter) for letter in output])


def _product(terms: list[str], output: str) -> Callable[[Array, Array], Array]:
    """Make the function of two arrays."""
    both = [letter for letter in terms[0] if letter in terms[1]]
    beside = [letter for letter in both if letter in output]
    along = [letter for letter in both if letter not in output]
    own = [[letter for letter in term if letter in output and letter not in both] for term in terms]
    orders = ["".join((*beside, *free, *along)) for free in own]
    joined = [*beside, *own[0], *own[1]]

    def compute(a: Array, b: Array) -> Array:
        parts, free = [], []
        for array, term, order, letters in zip((a, b), terms, orders, own, strict=True):
            moved = _reduced(np.asarray(array, np.float32), term, order)
            outer = moved.shape[: len(beside)]
            free += moved.shape[len(beside) : len(beside) + len(letters)]
            sizes = moved.shape[len(beside) : len(beside) + len(letters)]
            parts.append(moved.reshape(*outer, prod(sizes), -1 if moved.size else 0))
        made: Any = np.float32(0)
        first, second = parts
        for k in range(first.shape[-1]):
            made = made + first[..., :, None, k] * second[..., None, :, k]
        made = made.reshape(*first.shape[: len(beside)], *free)
        return made.transpose([joined.index(letter) for letter in output])

    return compute


def _dense(terms: list[str], output: str, constant: Array) -> Callable[[Array], Array]:
    """Make the function of an array and a constant that share no axis of the output."""
    along = [letter for letter in terms[0] if letter in terms[1]]
    kept = [letter for letter in terms[0] if letter in output]
    new = [letter for letter in terms[1] if letter in output]
    kernel = _reduced(constant, terms[1], "".join((*along, *new)))
    sizes = kernel.shape[len(along) :]
    summed = prod(kernel.shape[: len(along)])
    dense = Dense(np.ascontiguousarray(kernel.reshape(summed, prod(sizes))))
    joined = [*kept, *new]

    def compute(array: Array) -> Array:
        moved = _reduced(np.asarray(array, np.float32), terms[0], "".join((*kept, *along)))
        rows = np.ascontiguousarray(moved.reshape(prod(moved.shape[: len(kept)]), summed))
        made = dense(rows).reshape(*moved.shape[: len(kept)], *sizes)
        return made.transpose([joined.index(letter) for letter in output])

    return compute


PRODUCTS: dict[str, Entry] = {"Dot": _matmul, "Einsum": _einsum, "Matmul": _matmul}
