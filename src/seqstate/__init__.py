"""Recurrent networks whose sequences and states are values.

`import seqstate` costs no framework: Keras is imported when a name that needs it is touched.
"""

from __future__ import annotations

import importlib
from importlib.metadata import version
from typing import Any

from seqstate.backend import prefer_installed

__version__ = version("seqstate")
__all__ = ["__version__", "layers"]

prefer_installed()


def __getattr__(name: str) -> Any:
    if name == "layers":
        return importlib.import_module("seqstate.layers")
    raise AttributeError(f"module 'seqstate' has no attribute {name!r}")
