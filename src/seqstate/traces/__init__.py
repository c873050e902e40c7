"""What was seen in a run of a model: its sequences, states and gates as NumPy arrays by name."""

from seqstate.traces.layer import LayerTrace
from seqstate.traces.trace import Trace

__all__ = ["LayerTrace", "Trace"]
