"""The layers that are known, by the class that a file names."""

from __future__ import annotations

from importlib import import_module

from seqstate.runtime.layers.layer import Layer
from seqstate.runtime.layers.merging import MERGES

_DROPPING = (
    "ActivityRegularization",
    "AlphaDropout",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "SpatialDropout1D",
)
_ACTIVATIONS = ("Activation", "ELU", "LeakyReLU", "PReLU", "ReLU")
_RECURRENT = ("RNN", "SimpleRNN", "GRU", "LSTM")

# By the file here that has them, which is imported when a model has one: the class of each.
_PLACES: dict[str, dict[str, str]] = {
    "activation": {
        **dict.fromkeys(_ACTIVATIONS, "ActivationLayer"),
        **dict.fromkeys(_DROPPING, "NothingAtInference"),
        "Softmax": "SoftmaxLayer",
    },
    "attention": dict.fromkeys(("AdditiveAttention", "Attention"), "AttentionLayer"),
    "convolution": {"Conv1D": "Conv1DLayer"},
    "dense": {"Dense": "DenseLayer", "EinsumDense": "EinsumDenseLayer"},
    "embedding": {"Embedding": "EmbeddingLayer", "Masking": "MaskingLayer"},
    "graph": {
        "Functional": "Functional",
        "InputLayer": "InputLayer",
        "Model": "Functional",
        "Sequential": "Sequential",
    },
    "merging": {
        **dict.fromkeys(MERGES, "MergeLayer"),
        "Concatenate": "ConcatenateLayer",
        "Dot": "DotLayer",
    },
    "normalization": {
        "BatchNormalization": "BatchNormalizationLayer",
        "LayerNormalization": "LayerNormalizationLayer",
        "Normalization": "NormalizationLayer",
        "Rescaling": "RescalingLayer",
        "UnitNormalization": "UnitNormalizationLayer",
    },
    "pooling": {
        "AveragePooling1D": "PoolingLayer",
        "GlobalAveragePooling1D": "GlobalPoolingLayer",
        "GlobalMaxPooling1D": "GlobalPoolingLayer",
        "MaxPooling1D": "PoolingLayer",
    },
    "recurrent": {
        **dict.fromkeys(_RECURRENT, "Recurrent"),
        **dict.fromkeys((f"seqstate>{name}" for name in (*_RECURRENT, "RWA")), "Recurrent"),
    },
    "shaping": {
        "Flatten": "FlattenLayer",
        "Permute": "PermuteLayer",
        "RepeatVector": "RepeatVectorLayer",
        "Reshape": "ReshapeLayer",
    },
    "wrapping": {
        "Bidirectional": "BidirectionalLayer",
        "TimeDistributed": "TimeDistributedLayer",
        "seqstate>Bidirectional": "BidirectionalLayer",
    },
}
KNOWN = {kind: (file, name) for file, own in _PLACES.items() for kind, name in own.items()}


def layer_class(kind: str) -> type[Layer] | None:
    """Give the class that does the work of a layer, or None where it is not known.

    Args:
        kind: the class that a file names, with the package before it where it isn't Keras's.
    """
    if kind not in KNOWN:
        return None
    file, name = KNOWN[kind]
    found: type[Layer] = getattr(import_module(f"seqstate.runtime.layers.{file}"), name)
    return found
