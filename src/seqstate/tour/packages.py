"""What the tour needs beyond the library itself, checked before anything is imported."""

from __future__ import annotations

import os
from importlib.util import find_spec

from seqstate.backend import BACKENDS
from seqstate.errors import MissingPackageError, message

PACKAGES = ("bokeh", "matplotlib", "vega_datasets")


def require_packages() -> None:
    """Check that the tour's optional packages and a backend that can train are installed.

    Raises:
        MissingPackageError: one of them is not; the message says what to install.
    """
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise MissingPackageError(
            message(
                "seqstate tour",
                f"not installed: {', '.join(missing)}.",
                'Run: pip install "seqstate[tour]"; in a checkout: pip install ".[tour]"',
            )
        )
    installed = [name for name in BACKENDS if find_spec(name) is not None]
    chosen = os.environ.get("KERAS_BACKEND")
    if chosen in installed or (not chosen and installed):
        return
    if not chosen:
        what = "no backend of Keras is installed."
    elif chosen in BACKENDS:
        what = f"KERAS_BACKEND={chosen}, and {chosen} is not installed."
    else:
        what = f"KERAS_BACKEND={chosen}; expected one that can train: {', '.join(BACKENDS)}."
    todo = 'Run: pip install "seqstate[jax]"'
    if installed:
        todo = f"Installed: {', '.join(installed)}. Run: unset KERAS_BACKEND"
    raise MissingPackageError(message("seqstate tour", what, todo))
