"""A saved model as data: its config and its weights, read without any framework.

A file may come from anybody. Nothing in it is run, and sizes are checked before memory is taken.
"""

from seqstate.runtime.archive.saved import Saved, read_saved

__all__ = ["Saved", "read_saved"]
