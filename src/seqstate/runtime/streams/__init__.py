"""Streams: one state for each key, kept through anything that ends the process."""

from seqstate.runtime.streams.streams import Streams

__all__ = ["Streams"]
