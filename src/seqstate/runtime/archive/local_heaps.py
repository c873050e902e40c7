"""Lists in an HDF5 file that run in a circle: the library would follow them until memory ends.

A local heap holds the names of a group. Its free blocks are a list in the file, of which each says
where the next one begins (HDF5 File Format Specification, III.D). Nothing that writes such files
makes a circle of it.
"""

from __future__ import annotations

import mmap
import struct

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_HEAP = b"HEAP\x00"  # with the version
_END = 1
# Where a superblock of each version says how many bytes addresses and sizes have.
_WIDTHS = {0: 13, 1: 13, 2: 9, 3: 9}


def check_local_heaps(data: bytes | mmap.mmap) -> None:
    """Follow the free blocks of each local heap once.

    Args:
        data: the whole file.

    Raises:
        ValueError: a list that has no end, or a file that is laid out as Keras writes none.
    """
    if data[:8] != _SIGNATURE:
        raise ValueError("it does not begin as an HDF5 file")
    at = _WIDTHS.get(data[8], len(data))
    if data[at : at + 2] != b"\x08\x08":
        raise ValueError("its addresses do not have 8 bytes")
    start = data.find(_HEAP)
    while start >= 0:
        _follow(data, start)
        start = data.find(_HEAP, start + 1)


def _follow(data: bytes | mmap.mmap, start: int) -> None:
    header = data[start + 8 : start + 32]
    if len(header) < 24:
        return
    size, block, address = struct.unpack("<QQQ", header)
    seen = set()
    # What leaves the heap or the file is refused by the library itself.
    while block != _END and block < size and address + block + 8 <= len(data):
        if block in seen:
            raise ValueError(f"the free blocks of the local heap at {start} run in a circle")
        seen.add(block)
        (block,) = struct.unpack_from("<Q", data, address + block)
