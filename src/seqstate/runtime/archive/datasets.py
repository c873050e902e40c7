"""One array out of an HDF5 file that may come from anybody."""

from __future__ import annotations

from math import prod
from typing import Any

import h5py
import numpy as np

# Weights hardly shrink when they are packed; what claims to be so much larger than what is stored
# of it is forged. A little is believed of any file.
EXPANSION, FREE = 200, 1 << 20


def child(group: Any, name: str) -> Any:
    """Give what a group holds under a name; None where there is nothing.

    Raises:
        ValueError: it is a link out of the group or out of the file.
    """
    here = group
    for part in name.split("/"):
        if not isinstance(here, h5py.Group):
            return None
        links, written = here.id.links, part.encode()
        if not part or not links.exists(written):
            return None
        if links.get_info(written).type != h5py.h5l.TYPE_HARD:
            raise ValueError(f"{name} is a link to somewhere else")
        here = here[part]
    return here


def read_array(dataset: Any, size: int, left: int) -> np.ndarray:
    """Read the values, as float32 where they are floating point.

    Args:
        dataset: of h5py.
        size: how many bytes of the file no other array that was read has taken.
        left: how many bytes all the arrays that are not read yet may have.

    Raises:
        ValueError: no dataset of numbers, or one that claims more than the file can hold.
    """
    if not isinstance(dataset, h5py.Dataset):
        raise ValueError("there is a group in the place of an array")
    if dataset.external or dataset.is_virtual:
        raise ValueError(f"{dataset.name} lies in another file")
    if dataset.dtype.kind not in "fiub" or dataset.dtype.itemsize > 8:
        raise ValueError(f"{dataset.name} has dtype {dataset.dtype}, which is no number")
    claimed = prod(dataset.shape) * dataset.dtype.itemsize
    stored = min(dataset.id.get_storage_size(), size)
    packed = dataset.chunks is not None
    if claimed > (stored * EXPANSION if packed else stored):
        raise ValueError(f"{dataset.name} claims {claimed:,} bytes, of which {stored:,} are stored")
    if claimed > left:
        raise ValueError(f"{dataset.name} and those before it claim more than the file can hold")
    bits = dataset.attrs.get("dtype")
    values = np.asarray(dataset[()])
    if bits == "bfloat16":
        values = _of_bfloat16(values)
    return values.astype(np.float32) if values.dtype.kind == "f" else values


def _of_bfloat16(values: np.ndarray) -> np.ndarray:
    """Give what Keras wrote as two bytes without a type: the upper half of a float32."""
    if values.dtype.itemsize != 2:
        return values
    return (values.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
