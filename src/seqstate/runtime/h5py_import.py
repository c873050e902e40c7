"""To import this imports h5py, and NumPy with it, where that is fast."""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib import import_module
from threading import Thread


def _import_h5py() -> None:
    with suppress(Exception):  # it is raised where h5py is used
        import_module("h5py")


if "h5py" not in sys.modules:
    # NumPy and h5py import deep and call much. Where CPython's stack of frames has just filled one
    # of its pieces of 16 KB, every call there maps and unmaps memory, which has made them 40 ms
    # slower; how deep that is depends on who imports. The stack of a new thread is empty.
    _importing = Thread(target=_import_h5py)
    with suppress(RuntimeError):  # no thread can be started: it is imported where it is used
        _importing.start()
        _importing.join()
