"""Reading a saved model for the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from seqstate.errors import DataError, message
from seqstate.files import existing_file


def read_model(path: Path, where: str, from_python: str) -> Any:
    """Give the model of a `.keras` or `.h5` file.

    Args:
        path: of the file.
        where: the command, for messages.
        from_python: what to call from Python for a model with classes that aren't known here.

    Raises:
        DataError: there is no such file, or Keras can't load it.
    """
    import keras

    import seqstate.layers  # noqa: F401 - so that Keras knows them

    found = existing_file(path, where)
    try:
        return keras.saving.load_model(found, compile=False)
    except Exception as error:
        raise DataError(
            message(
                where,
                f'"{found}" can\'t be loaded as a Keras model: {error}',
                'Save it with model.save("model.keras"). A model with classes of your own is '
                f"read from Python, where they are known: {from_python}.",
            )
        ) from error
