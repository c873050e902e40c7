"""`load`: a trained model from its file, without Keras."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from seqstate.errors import DataError, SeqstateError, message
from seqstate.runtime.archive import Saved, read_saved
from seqstate.runtime.archive.config import Config, computed
from seqstate.runtime.layers.graph import Model as Graph
from seqstate.runtime.layers.making import Making
from seqstate.runtime.model import Model

if TYPE_CHECKING:
    from seqstate.runtime.encoder_decoder.model import EncoderDecoder

# What a config that no Keras wrote may lead to: it can be wrong in more ways than can be named.
_UNREADABLE = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)


def load(path: str | os.PathLike[str]) -> Any:
    """Read a trained model from its file; neither Keras nor a framework is imported.

    Args:
        path: of a `.keras` archive, or of an `.h5` file with the whole model.

    Returns:
        A `Model`: `run` for whole sequences, `step` for one time step. Of a
        `seqstate.models.EncoderDecoder` an `EncoderDecoder`: `encode`, `step`, `generate`.

    Raises:
        DataError: no such file; one that is cut, damaged or forged; a model with a layer that is
            not known here. Then every such layer is listed. No code in a file is ever run.

    Example:
        >>> import keras, numpy as np, seqstate, tempfile
        >>> model = keras.Sequential([keras.Input((None, 2)), keras.layers.LSTM(3)])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save(f"{folder}/model.keras")
        ...     fast = seqstate.load(f"{folder}/model.keras")
        >>> y, state = fast.run(np.zeros((4, 6, 2), "float32"))
        >>> y.shape, state["lstm"]["c"].shape, fast.state_spec
        ((4, 3), (4, 3), {'lstm': {'h': (3,), 'c': (3,)}})
    """
    saved = read_saved(path, "load")
    where = f'load: "{saved.path}"'
    try:
        return _made(saved, where)
    except SeqstateError:
        raise
    except _UNREADABLE as error:
        raise DataError(
            message(
                where,
                f"its config can't be read: {type(error).__name__}: {str(error)[:100]}.",
                'Pass a file that model.save("model.keras") wrote.',
            )
        ) from error
    finally:
        saved.close()


def _made(saved: Saved, where: str) -> Model | EncoderDecoder:
    config = Config(saved.config, where)
    making = Making(saved.old)
    if config.kind == "seqstate>EncoderDecoder":
        from seqstate.runtime.encoder_decoder.model import EncoderDecoder

        made = EncoderDecoder(config, saved.weights, making, _fingerprint(saved))
        making.finish(where)
        return made
    top = making.layer(config, saved.weights)
    making.finish(where)
    if not isinstance(top, Graph):
        raise DataError(
            message(
                where,
                f"holds the layer {config.class_name}; expected a model.",
                "Save the Sequential or functional model that the layer is in.",
            )
        )
    return Model(top, _fingerprint(saved))


def _fingerprint(saved: Saved) -> Callable[[], str]:
    """Give the function for what tells models apart: the layers by name, and their weights."""
    text = json.dumps(computed(saved.config), sort_keys=True)
    seen = saved.weights.seen

    def fingerprint() -> str:
        import hashlib  # slow to import, see `Digest`

        digest = hashlib.blake2b(text.encode(), digest_size=16)
        digest.update(seen.digest())
        return digest.hexdigest()

    return fingerprint
