"""The errors of seqstate: one base class, each error also the builtin that fits it.

A message says where it happened, what came, what was expected and, on a second line, what to do.
Every class takes the whole message as its one argument, so that a framework which re-raises an
error with context added keeps its type.
"""

from __future__ import annotations


class SeqstateError(Exception):
    """Base of every error that seqstate raises on purpose."""


class ArgumentError(SeqstateError, ValueError):
    """An argument of a constructor or a call has a value that can't be used."""


class InputError(SeqstateError, ValueError):
    """The data has a rank, a size or a type that the layer can't read."""


class StateMismatchError(SeqstateError, ValueError):
    """A state has other names, sizes, types or rows than the layer carries."""


class NoStateError(SeqstateError, AttributeError):
    """A layer was asked for a carried state that it does not hold."""


class NotFittedError(SeqstateError, ValueError, AttributeError):
    """A forecaster was asked for something that it has only after `fit`."""


class UnknownLayerError(SeqstateError, KeyError):
    """A model or a trace was asked for a layer by a name that it does not have."""

    def __str__(self) -> str:
        # A KeyError would show the message in quotes, on one line.
        return Exception.__str__(self)


class UnknownKeyError(SeqstateError, KeyError):
    """Streams were asked for a key, or for a bookmark of one, that they don't have."""

    def __str__(self) -> str:
        return Exception.__str__(self)


class MissingPackageError(SeqstateError, ImportError):
    """A package that is optional for the library is needed here and not installed."""


class DataError(SeqstateError, ValueError):
    """A file or a series of values can't be used as it is."""


class ConflictError(SeqstateError, RuntimeError):
    """Keys of a store were moved by someone else since they were read; nothing was written.

    Attributes:
        keys: which ones; get them again, and do what was to be done on what is there now.
    """

    keys: tuple[str, ...] = ()


class StoreError(SeqstateError, OSError):
    """A store can't be reached, is busy for too long, or has no room; the message says the rest."""


def message(where: str, what: str, todo: str) -> str:
    """Join the parts of an error: where and what on the first line, what to do on the second."""
    return f"{where}: {what}\n  {todo}"
