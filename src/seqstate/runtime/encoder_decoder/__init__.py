"""Encoder-decoders of `seqstate.models`, run without Keras."""

from seqstate.runtime.encoder_decoder.model import EncoderDecoder

__all__ = ["EncoderDecoder"]
