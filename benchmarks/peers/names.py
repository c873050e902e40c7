"""Which module of this folder runs with which environment."""

from __future__ import annotations

# Ours first; then the peers.
KERNEL_PEERS: tuple[tuple[str, dict[str, str]], ...] = (
    ("native", {}),
    ("torch_nn", {}),
    ("onnx_runtime", {}),
    ("scan", {}),
    ("layers", {"KERAS_BACKEND": "jax"}),
    ("layers", {"KERAS_BACKEND": "torch"}),
)
FIT_PEERS = {name: {"KERAS_BACKEND": name} for name in ("jax", "torch", "tensorflow")}
# The labels of their runs, in the order of the tables.
LABELS = (
    "ours",
    "ours, packed anew",
    "ours on JAX",
    "ours on torch",
    "torch",
    "torch cell",
    "ONNX Runtime",
    "ONNX Runtime, bound",
    "lax.scan",
    "lax.scan, unrolled",
    "Keras on JAX",
    "Keras on torch",
)
# What is ours, as the labels begin; the rest are peers.
OURS = "ours"


def is_peer(label: str) -> bool:
    """Whether a label is of somebody else's kernel."""
    return not label.startswith(OURS)
