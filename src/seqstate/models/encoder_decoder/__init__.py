"""Encoder-decoders: one model that reads a sequence and says another."""

from seqstate.generation.generated import Generated
from seqstate.models.encoder_decoder.attention import Bahdanau, Luong
from seqstate.models.encoder_decoder.decoder import Decoder
from seqstate.models.encoder_decoder.encoder import Encoder
from seqstate.models.encoder_decoder.hand_over import HandOver
from seqstate.models.encoder_decoder.model import EncoderDecoder

__all__ = ["Bahdanau", "Decoder", "Encoder", "EncoderDecoder", "Generated", "HandOver", "Luong"]
