"""The layers that are known, by the class that a file names."""

from __future__ import annotations

from seqstate.runtime.layers.activation import ActivationLayer, NothingAtInference, SoftmaxLayer
from seqstate.runtime.layers.attention import AttentionLayer
from seqstate.runtime.layers.convolution import Conv1DLayer
from seqstate.runtime.layers.dense import DenseLayer, EinsumDenseLayer
from seqstate.runtime.layers.embedding import EmbeddingLayer, MaskingLayer
from seqstate.runtime.layers.graph import Functional, InputLayer, Sequential
from seqstate.runtime.layers.layer import Layer
from seqstate.runtime.layers.merging import MERGES, ConcatenateLayer, DotLayer, MergeLayer
from seqstate.runtime.layers.normalization import (
    BatchNormalizationLayer,
    LayerNormalizationLayer,
    NormalizationLayer,
    RescalingLayer,
    UnitNormalizationLayer,
)
from seqstate.runtime.layers.pooling import GlobalPoolingLayer, PoolingLayer
from seqstate.runtime.layers.recurrent import Recurrent
from seqstate.runtime.layers.shaping import (
    FlattenLayer,
    PermuteLayer,
    RepeatVectorLayer,
    ReshapeLayer,
)
from seqstate.runtime.layers.wrapping import BidirectionalLayer, TimeDistributedLayer

_NOTHING = (
    "ActivityRegularization",
    "AlphaDropout",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "SpatialDropout1D",
)
_RECURRENT = ("RNN", "SimpleRNN", "GRU", "LSTM")

KNOWN: dict[str, type[Layer]] = {
    **dict.fromkeys(_NOTHING, NothingAtInference),
    **dict.fromkeys(_RECURRENT, Recurrent),
    **{f"seqstate>{name}": Recurrent for name in (*_RECURRENT, "RWA")},
    **dict.fromkeys(("Activation", "ELU", "LeakyReLU", "PReLU", "ReLU"), ActivationLayer),
    **dict.fromkeys(MERGES, MergeLayer),
    "AdditiveAttention": AttentionLayer,
    "Attention": AttentionLayer,
    "AveragePooling1D": PoolingLayer,
    "BatchNormalization": BatchNormalizationLayer,
    "Bidirectional": BidirectionalLayer,
    "Concatenate": ConcatenateLayer,
    "Conv1D": Conv1DLayer,
    "Dense": DenseLayer,
    "Dot": DotLayer,
    "EinsumDense": EinsumDenseLayer,
    "Embedding": EmbeddingLayer,
    "Flatten": FlattenLayer,
    "Functional": Functional,
    "GlobalAveragePooling1D": GlobalPoolingLayer,
    "GlobalMaxPooling1D": GlobalPoolingLayer,
    "InputLayer": InputLayer,
    "LayerNormalization": LayerNormalizationLayer,
    "Masking": MaskingLayer,
    "MaxPooling1D": PoolingLayer,
    "Model": Functional,
    "Normalization": NormalizationLayer,
    "Permute": PermuteLayer,
    "RepeatVector": RepeatVectorLayer,
    "Rescaling": RescalingLayer,
    "Reshape": ReshapeLayer,
    "Sequential": Sequential,
    "Softmax": SoftmaxLayer,
    "TimeDistributed": TimeDistributedLayer,
    "UnitNormalization": UnitNormalizationLayer,
    "seqstate>Bidirectional": BidirectionalLayer,
}
