"""Trained models without a framework: read from their file, run, and stepped."""

from seqstate.runtime import h5py_import  # noqa: F401  before all that needs NumPy
from seqstate.runtime.loading import load
from seqstate.runtime.model import Model

__all__ = ["Model", "load"]
