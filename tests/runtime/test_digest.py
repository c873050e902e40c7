"""A digest that waits gives what one that does not gives."""

import hashlib

import pytest

from seqstate.runtime.archive.digest import Digest

MIB = 1 << 20


@pytest.mark.parametrize(
    "sizes", [[], [0], [5, 7], [MIB, 1], [MIB + 1, 3, MIB // 2], [3, 2 * MIB, 2 * MIB, 9]]
)
def test_it_is_blake2b_of_all_pieces(sizes):
    digest, whole = Digest(), hashlib.blake2b()
    for i, size in enumerate(sizes):
        piece = bytes([i]) * size
        digest.update(piece)
        whole.update(piece)
        if i == 1:
            assert digest.digest() == whole.digest()  # more may come after it was asked for
    assert digest.digest() == digest.digest() == whole.digest()
