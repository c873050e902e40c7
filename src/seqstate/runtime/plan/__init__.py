"""A model as a flat list of prepared calls.

The layers are run once with symbols in the place of arrays (`Value`). Each leaves in a `Maker` the
calls that do its work on the real ones, and says whether its output has the time axis of the
stream, and why a step can't be made of it if it can't.
"""
