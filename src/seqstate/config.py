"""What holds for all layers of a process: which kernel they use, and how many threads it has.

Three variables of the environment are read as well:

- `SEQSTATE_KERNEL`: "auto", "native" or "portable"; see `kernel`.
- `SEQSTATE_NUM_THREADS`: how many threads the native kernels use; by default one for each CPU
  that the process may use. On JAX they use the threads of XLA, and no more of them than this.
- `SEQSTATE_ISA`: the instruction set of the native kernels, for tests: a name that
  `seqstate.doctor()` lists. By default the fastest that the machine has.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from seqstate.errors import ArgumentError, message

KERNELS = ("auto", "native", "portable")
MOST_THREADS = 1024
KERNEL_VARIABLE, THREADS_VARIABLE, ISA_VARIABLE = (
    "SEQSTATE_KERNEL",
    "SEQSTATE_NUM_THREADS",
    "SEQSTATE_ISA",
)

_WHERE = "seqstate.config"
_in_block: ContextVar[str | None] = ContextVar("kernel", default=None)
# The kernels of all blocks that some thread is in: where there is none, torch's compiler is spared
# the variable above, which it can't look into.
_blocks: list[str] = []
_listeners: list[Callable[[int], None]] = []


class _Chosen:
    """What was set in this process; the environment is read once."""

    kernel: str | None = None
    threads: int | None = None


def kernel() -> str:
    """Give the kernel of the layers that say `kernel="auto"`, as they all do by default.

    Returns:
        - "auto": the native kernels where they cover the run, else the portable path. The
          numbers are the same.
        - "native": the native kernels; a run that they don't cover is an error that says why.
        - "portable": the loop on `keras.ops`.

    Raises:
        ArgumentError: the variable SEQSTATE_KERNEL holds something else.
    """
    chosen = (_in_block.get() if _blocks else None) or _Chosen.kernel
    if chosen is None:
        given = os.environ.get(KERNEL_VARIABLE) or "auto"
        chosen = _Chosen.kernel = check_kernel(given, KERNEL_VARIABLE, name="it")
    return chosen


def set_kernel(name: str) -> None:
    """Set which kernel the layers of this process use; see `kernel`.

    A model that Keras or a framework has compiled keeps the kernel that it was compiled with.

    Raises:
        ArgumentError: an unknown name.
    """
    _Chosen.kernel = check_kernel(name, f"{_WHERE}.set_kernel")


@contextmanager
def using_kernel(name: str) -> Iterator[None]:
    """Use a kernel inside a `with` block, in this thread alone.

    Raises:
        ArgumentError: an unknown name.

    Example:
        >>> with using_kernel("portable"):
        ...     print(kernel())
        portable
    """
    before = _in_block.set(check_kernel(name, f"{_WHERE}.using_kernel"))
    _blocks.append(name)
    try:
        yield
    finally:
        _blocks.remove(name)
        _in_block.reset(before)


def check_kernel(value: object, where: str, name: str = "kernel") -> str:
    """Give the name of a kernel, or refuse what is none.

    Raises:
        ArgumentError: it is none of `KERNELS`.
    """
    if isinstance(value, str) and value in KERNELS:
        return value
    raise ArgumentError(
        message(
            where,
            f"{name} is {value!r}; expected one of {', '.join(map(repr, KERNELS))}.",
            '"auto" uses the native kernels where they cover a run, and gives the same numbers '
            "everywhere.",
        )
    )


def set_num_threads(threads: int) -> None:
    """Set how many threads the native kernels use from the next run on, the caller's included.

    Results do not depend on it, bit for bit. On JAX the kernels use the threads of XLA, and no
    more of them than this.

    Raises:
        ArgumentError: not a number from 1 to 1024.
    """
    if isinstance(threads, bool) or not isinstance(threads, int) or not 0 < threads <= MOST_THREADS:
        raise ArgumentError(
            message(
                f"{_WHERE}.set_num_threads",
                f"threads is {threads!r}; expected a number from 1 to {MOST_THREADS}.",
                "Pass the number of CPUs that the kernels may use, at most those of the machine.",
            )
        )
    _Chosen.threads = threads
    for listener in _listeners:
        listener(threads)


def when_threads_are_set(listener: Callable[[int], None]) -> None:
    """Tell `listener` the number of threads: now, if one was set, and whenever one is."""
    _listeners.append(listener)
    if _Chosen.threads is not None:
        listener(_Chosen.threads)
