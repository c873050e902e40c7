"""Recurrent networks whose sequences and states are values.

`import seqstate` costs no framework: Keras is imported when a name that needs it is touched.
"""

from __future__ import annotations

import importlib
from typing import Any

from seqstate.backend import prefer_installed

# Where each name lives; it is imported when it is touched.
_HOMES = {
    "Forecaster": "seqstate.forecast.forecaster",
    "accelerate": "seqstate.models.accelerate",
    "doctor": "seqstate.models.doctor",
    "explain": "seqstate.models.explain",
    "get_state": "seqstate.models.state",
    "load": "seqstate.runtime.loading",
    "load_state": "seqstate.state_file",
    "reset_state": "seqstate.models.state",
    "save_state": "seqstate.state_file",
    "set_state": "seqstate.models.state",
    "to_keras": "seqstate.models.to_keras",
    "trace": "seqstate.models.trace",
    "Trace": "seqstate.traces",
}
_MODULES = ("callbacks", "config", "data", "errors", "layers", "models", "stores")
__all__ = ["__version__", *_HOMES, *_MODULES]

prefer_installed()


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"seqstate.{name}")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name == "__version__":
        from importlib.metadata import version

        return version("seqstate")
    hint = "; layers and cells are in seqstate.layers" if name[:1].isupper() else ""
    raise AttributeError(f"module 'seqstate' has no attribute {name!r}{hint}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
