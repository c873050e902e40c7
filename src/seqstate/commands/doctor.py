"""`seqstate doctor`: what the native kernels find here, and the path of each layer of a model."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from seqstate.commands.read_model import read_model
from seqstate.errors import MissingPackageError, message

WHERE = "seqstate doctor"


def run_doctor(console: Console, model_path: Path | None) -> None:
    """Print what `seqstate.doctor` finds.

    Args:
        console: where to print to.
        model_path: a `.keras` or `.h5` file, if its layers are asked for.

    Raises:
        MissingPackageError: Keras, or the backend that it is told to use, is not installed.
        DataError: the model can't be loaded.
        ArgumentError: the model has no recurrent layer.
    """
    try:
        from seqstate.models.doctor import report_on
    except ImportError as error:
        raise MissingPackageError(
            message(
                WHERE,
                f"Keras can't be imported with its backend: {error}",
                'Set KERAS_BACKEND to one that is installed, or run: pip install "seqstate[jax]"',
            )
        ) from error
    model = None
    if model_path is not None:
        model = read_model(model_path, WHERE, "seqstate.doctor(model)")
    console.print(report_on(model))
