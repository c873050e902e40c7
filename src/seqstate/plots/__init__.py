"""Figures of sequences, states and gates, from plain arrays by name.

They take NumPy arrays and give a `matplotlib.figure.Figure`: no framework, no global state.
"""

from seqstate.plots.heat import HeatMap, gate_maps, state_maps
from seqstate.plots.lines import Line, Lines
from seqstate.plots.states import states_figure

__all__ = ["HeatMap", "Line", "Lines", "gate_maps", "state_maps", "states_figure"]
