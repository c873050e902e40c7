"""The bytes of a state: what is packed comes back to the bit; what is damaged is refused."""

import json
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from seqstate import state as states
from seqstate.errors import ArgumentError, DataError, StateMismatchError
from seqstate.stores import blob

SPEC = {"lstm": {"h": (3,), "c": (3,)}, "conv": {"window": (2, 2)}}
ROW = {
    "conv": {"window": np.array([[1, 2], [3, 4]], "float32")},
    "lstm": {"h": np.array([0.1, -0.0, 1e-45], "float32"), "c": np.full(3, np.inf, "float32")},
}
EXTRA = {"sequence": 7, "outputs": [0.1, None], "name": "é"}
LAYOUT = blob.Layout("ab12", SPEC)

NAMES = st.text(
    st.characters(exclude_characters="/", exclude_categories=["Cs"]), min_size=1, max_size=4
)
SIZES = st.lists(st.integers(0, 3), max_size=3).map(tuple)
SPECS = st.dictionaries(
    NAMES, st.one_of(SIZES, st.dictionaries(NAMES, SIZES, max_size=2)), max_size=3
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)


def assert_same_bits(got, wanted):
    assert list(states.flatten(got)) == list(states.flatten(wanted))
    for path, value in states.leaves(wanted):
        leaf = states.flatten(got)[path]
        assert (leaf.dtype, leaf.shape) == (np.float32, value.shape)
        assert leaf.tobytes() == value.tobytes()


@given(spec=SPECS, extra=st.dictionaries(st.text(max_size=3), JSON, max_size=3), data=st.data())
def test_what_is_packed_comes_back(spec, extra, data):
    row = states.map_leaves(lambda sizes: data.draw(arrays_of.arrays("<f4", sizes)), spec)
    packed = blob.pack("print", spec, row, extra)
    got, more = blob.unpack(packed, "print", spec)
    assert_same_bits(got, row)
    assert more == extra
    content = blob.read(packed)
    assert (content.fingerprint, content.extra) == ("print", extra)
    assert states.flatten(content.spec) == states.flatten(spec)
    assert_same_bits(content.row, row)


def test_the_names_may_come_in_any_order_and_go_out_in_that_of_the_spec():
    got, extra = LAYOUT.unpack(LAYOUT.pack(ROW, EXTRA))
    assert_same_bits(got, states.nest(SPEC, states.flatten(ROW)))
    assert extra == EXTRA


def test_the_bytes_are_those_that_the_page_says():
    data = blob.pack("ab", {"h": (2,)}, {"h": np.array([1.0, -2.0])}, {"n": 1})
    whose, extra = b'{"model":"ab","spec":{"h":[2]}}', b'{"n":1}'
    wanted = b"SqSt" + struct.pack("<III", 1, len(whose), len(extra)) + whose + extra
    wanted += struct.pack("<ff", 1.0, -2.0)
    assert data == wanted + struct.pack("<I", zlib.crc32(wanted))


def test_raw_rows_are_what_the_arrays_of_a_packed_store_are():
    raw = np.arange(10, dtype="<f4").tobytes()
    data = LAYOUT.pack_raw(raw, EXTRA)
    got, extra = LAYOUT.unpack_raw(data)
    assert (bytes(got), extra) == (raw, EXTRA)
    np.testing.assert_array_equal(LAYOUT.unpack(data)[0]["conv"]["window"], [[6, 7], [8, 9]])


def test_what_comes_back_can_be_changed_and_the_blob_stays():
    data = LAYOUT.pack(ROW, {})
    LAYOUT.unpack(data)[0]["lstm"]["h"][:] = 9
    assert_same_bits(LAYOUT.unpack(data)[0], states.nest(SPEC, states.flatten(ROW)))


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"lstm": {"h": np.zeros(3)}}, r"the row has lstm/h \(3,\); expected lstm/h \(3,\), lst"),
        (ROW | {"more": np.zeros(1)}, "the row has conv/window"),
        (ROW | {"conv": {"window": np.zeros((1, 2, 2))}}, r"conv/window is float64 \(1, 2, 2\)"),
        (ROW | {"conv": {"window": np.zeros((2, 2), int)}}, r"conv/window is int64 \(2, 2\)"),
    ],
)
def test_a_row_that_does_not_fit_is_not_packed(row, says):
    with pytest.raises(StateMismatchError, match=says):
        LAYOUT.pack(row, {})


@pytest.mark.parametrize("extra", [{"a": object()}, {"a": b"bytes"}, {"a": np.float32(1)}])
def test_what_json_can_not_hold_is_not_packed(extra):
    with pytest.raises(ArgumentError, match="extra can't be written as JSON"):
        LAYOUT.pack(ROW, extra)


@pytest.mark.parametrize(
    ("fingerprint", "spec", "says"),
    [
        ("cd34", SPEC, '"ab12", and this one is "cd34": its states have the same names'),
        ("ab12", {"lstm": SPEC["lstm"]}, r"its states are lstm/h \(3,\), .* here they are lstm/h"),
        ("ab12", {"conv": SPEC["conv"], "lstm": SPEC["lstm"]}, "its states are"),
        ("ab12", SPEC | {"conv": {"window": (4,)}}, r"conv/window \(4,\)"),
    ],
)
def test_the_state_of_another_model_is_refused_with_the_way_out(fingerprint, spec, says):
    with pytest.raises(StateMismatchError, match=says) as raised:
        blob.unpack(LAYOUT.pack(ROW, EXTRA), fingerprint, spec)
    assert "seqstate state migrate" in str(raised.value)


def forged(whose, extra=b"{}", raw=b"", version=1, sizes=None):
    """Make a blob with a right checksum out of anything."""
    whose = whose if isinstance(whose, bytes) else json.dumps(whose).encode()
    head = struct.pack("<4sIII", b"SqSt", version, *(sizes or (len(whose), len(extra))))
    whole = head + whose + extra + raw
    return whole + struct.pack("<I", zlib.crc32(whole))


MODEL = {"model": "ab12", "spec": {"h": [1]}}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "its 0 bytes don't begin as a state does"),
        (b"SqSt", "its 4 bytes"),
        (b"x" * 100, "don't begin as"),
        (LAYOUT.pack(ROW, EXTRA)[:-1], "its checksum is wrong"),
        (LAYOUT.pack(ROW, EXTRA) + b"x", "its checksum is wrong"),
        ("text", "it is a str, not bytes"),
        (forged(MODEL, raw=bytes(4), version=2), "format 2, and this seqstate reads format 1"),
        (forged(MODEL, sizes=(2**32 - 1, 2)), "its header is longer than it is"),
        (forged(b"{"), "its header is no JSON object"),
        (forged(b"[]"), "its header is no JSON object"),
        (forged(b"[" * 100_000), "its header is no JSON object"),
        (forged(b'{"model":' + b'{"a":' * 5_000), "its header is no JSON object"),
        (forged(b"\xff"), "its header is no JSON object"),
        (forged(b'{"model":' + b"9" * 5_000 + b"}"), "its header is no JSON object"),
        (forged({"model": 3, "spec": {}}), "names no model"),
        (forged({"model": "", "spec": []}), "names no model"),
        (forged(MODEL | {"spec": {"h": [-1]}}), "the sizes in its header are none"),
        (forged(MODEL | {"spec": {"h": [True]}}), "the sizes in its header are none"),
        (forged(MODEL | {"spec": {"h": [1.0]}}), "the sizes in its header are none"),
        (forged(MODEL | {"spec": {"h": [2**31]}}), "the sizes in its header are none"),
        (forged(MODEL | {"spec": {"h": [0, 2**31 - 1, 2]}}), "the sizes in its header are none"),
        (forged(MODEL | {"spec": {"h": [1] * 17}}), "the sizes in its header are none"),
        (forged(MODEL | {"spec": {"h/c": [1]}}), "the sizes in its header are none"),
        (forged(MODEL | {"spec": {"": [1]}}), "the sizes in its header are none"),
        (forged(MODEL | {"spec": {"h": 3}}), "the sizes in its header are none"),
        (forged(MODEL | {"spec": {"h": None}}), "the sizes in its header are none"),
        (forged(MODEL | {"spec": {"h": ["1"]}}), "the sizes in its header are none"),
        (forged(MODEL | {"spec": {"h": [2**31 - 1]}}), "it has 0 bytes of arrays, not 8,589,"),
        (forged(MODEL), "it has 0 bytes of arrays, not 4"),
        (forged(MODEL, b"3", bytes(4)), "its header is no JSON object"),
    ],
)
def test_what_is_damaged_or_forged_is_refused(data, says):
    with pytest.raises(DataError, match=says):
        blob.read(data)
    with pytest.raises((DataError, StateMismatchError)):
        blob.unpack(data, "ab12", {"h": (1,)})
