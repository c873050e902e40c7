"""The layers that the runtime knows, Keras's and ours.

Each reads its config and its weights once, and then leaves the calls that do its work in any plan.
"""
