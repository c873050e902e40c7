"""What the tour needs beyond the library itself, checked before anything is imported."""

from __future__ import annotations

import os
from importlib.util import find_spec

from seqstate.backend import BACKENDS
from seqstate.errors import MissingPackageError, message

PACKAGES = ("matplotlib", "vega_datasets")


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
                f"{' and '.join(missing)} not installed.",
                'Run: pip install "seqstate[tour]"',
            )
        )
    chosen = os.environ.get("KERAS_BACKEND")
    candidates = (chosen,) if chosen else BACKENDS
    usable = [name for name in candidates if name in BACKENDS and find_spec(name) is not None]
    if not usable:
        found = f"KERAS_BACKEND={chosen}, which" if chosen else "no backend of Keras that"
        raise MissingPackageError(
            message(
                "seqstate tour",
                f"{found} can train is not usable here; expected one of {', '.join(BACKENDS)}.",
                'Run: pip install "seqstate[jax]"',
            )
        )
