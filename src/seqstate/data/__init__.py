"""Data for recurrent models: long sequences in chunks, and windows for forecasting."""

from seqstate.data.batches import Batches, batches
from seqstate.data.chunks import Chunks, chunks
from seqstate.data.resets import Resets
from seqstate.data.windows import Windows, windows

__all__ = ["Batches", "Chunks", "Resets", "Windows", "batches", "chunks", "windows"]
