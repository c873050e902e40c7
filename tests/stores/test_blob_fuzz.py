"""Ten thousand damaged and forged blobs: each is refused by name, or read as what it says."""

import json
import random
import struct
import tracemalloc
import zlib

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from seqstate import state as states
from seqstate.errors import DataError, StateMismatchError
from seqstate.stores import blob
from stores.test_blob import EXTRA, LAYOUT, ROW, SPEC, forged

WHOLE = LAYOUT.pack(ROW, EXTRA)
LENGTH = len(WHOLE)
CASES = 10_000

# What stands where sizes, names and texts are expected.
ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 5)
    | st.sampled_from([2**31, 2**63, 10**400, 1e308, "", "h", "a/b", "\ud800"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["", "h", "model", "spec", "a/b"]), inner, max_size=3)
    ),
    max_leaves=6,
)


def attempt(data):
    """Read in both ways; give what came, or None where it was refused by name."""
    found = []
    for call in (lambda: blob.read(data)[2:], lambda: LAYOUT.unpack(data)):
        try:
            found.append(call())
        except (DataError, StateMismatchError) as error:
            found.append(None if "\n  " in str(error) else "no word on what to do")
    return found


@settings(max_examples=1_000)
@given(
    cuts=st.lists(st.tuples(st.integers(0, LENGTH), st.integers(0, LENGTH)), max_size=2),
    bytes_=st.lists(st.tuples(st.integers(0, LENGTH - 1), st.integers(1, 255)), max_size=4),
)
def test_damage_is_always_found(cuts, bytes_):
    data = bytearray(WHOLE)
    for place, change in bytes_:
        data[place] ^= change
    for start, end in cuts:
        del data[start:end]
    if bytes(data) != WHOLE:
        assert attempt(bytes(data)) == [None, None]


@settings(max_examples=1_000)
@given(
    whose=st.fixed_dictionaries({"model": ODD | st.just("ab12"), "spec": ODD | st.just(SPEC)}),
    extra=ODD | st.just({}),
    raw=st.binary(max_size=48),
    sizes=st.none() | st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 120)),
)
def test_what_is_forged_is_refused_or_read_as_what_it_says(whose, extra, raw, sizes):
    data = forged(whose, json.dumps(extra).encode(), raw, sizes=sizes)
    read, unpacked = attempt(data)
    if read is not None:
        row, more = read
        assert 4 * sum(leaf.size for _, leaf in states.leaves(row)) <= len(data)
        assert isinstance(more, dict)
    if unpacked is not None:
        assert states.flatten(states.map_leaves(np.shape, unpacked[0])) == states.flatten(SPEC)


def test_ten_thousand_blobs_with_a_right_checksum_take_no_more_memory_than_they_have():
    rng = random.Random(0)
    tracemalloc.start()
    read = 0
    for _ in range(CASES):
        data = bytearray(WHOLE[:-4])
        for _ in range(rng.randint(1, 6)):
            where = rng.randrange(4, len(data)) if rng.random() < 0.7 else rng.randrange(4, 16)
            data[where] = rng.choice((0, 1, 127, 255, rng.randrange(256)))
        if rng.random() < 0.3:
            del data[rng.randrange(16, len(data)) :]
        read += attempt(bytes(data) + struct.pack("<I", zlib.crc32(data)))[0] is not None
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2**21
    assert 0 < read < CASES, "some are whole by chance, and not all"
