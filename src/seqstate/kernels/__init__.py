"""The time loops that run a cell over a sequence."""
