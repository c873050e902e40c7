"""What is said of a whole Keras model, and models that are more than a stack of layers."""

from seqstate.models.encoder_decoder import (
    Bahdanau,
    Decoder,
    Encoder,
    EncoderDecoder,
    Generated,
    HandOver,
    Luong,
)

__all__ = [
    "Bahdanau",
    "Decoder",
    "Encoder",
    "EncoderDecoder",
    "Generated",
    "HandOver",
    "Luong",
]
