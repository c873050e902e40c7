"""Keras picks its backend when it is first imported; this makes that pick work out of the box."""

from __future__ import annotations

import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path

BACKENDS = ("jax", "torch", "tensorflow")


def prefer_installed() -> None:
    """Point Keras at a backend that is installed, where it would otherwise fail to import.

    The user's own choice stands: the variable KERAS_BACKEND, or the file `keras.json` as long
    as what it names is installed (Keras itself writes "tensorflow" there).
    """
    if "keras" in sys.modules or os.environ.get("KERAS_BACKEND"):
        return
    if find_spec(_configured()) is None:
        installed = [name for name in BACKENDS if find_spec(name) is not None]
        if installed:
            os.environ["KERAS_BACKEND"] = installed[0]


def _configured() -> str:
    home = os.environ.get("KERAS_HOME") or Path.home() / ".keras"
    try:
        config = json.loads((Path(home) / "keras.json").read_text())
    except (OSError, ValueError):
        config = {}
    return str(config.get("backend", "tensorflow"))
