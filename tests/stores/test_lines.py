"""A state as a line of text: to the bit and back; what is no such line is refused."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from seqstate.errors import DataError
from seqstate.stores import Entry
from seqstate.stores.blob import pack
from seqstate.stores.lines import read_line, write_line
from stores.test_blob import EXTRA, LAYOUT, ROW

LINE = write_line("é 1", Entry(LAYOUT.pack(ROW, EXTRA), 7))


@settings(max_examples=50)
@given(
    h=arrays_of.arrays("<f4", (3,), elements=st.floats(width=32, allow_nan=False)),
    window=arrays_of.arrays("<f4", (2, 0)),
)
def test_a_line_comes_back_to_the_bit(h, window):
    data = pack("ab", {"a": {"h": (3,)}, "w": (2, 0)}, {"a": {"h": h}, "w": window}, EXTRA)
    line = write_line("k", Entry(data, 3))
    assert "\n" not in line
    assert read_line(line, "here") == ("k", data)


def test_what_a_line_says():
    assert json.loads(LINE) == {
        "key": "é 1",
        "version": 7,
        "model": "ab12",
        "spec": {"lstm": {"h": [3], "c": [3]}, "conv": {"window": [2, 2]}},
        "state": {
            "lstm/h": [float(np.float32(0.1)), -0.0, float(np.float32(1e-45))],
            "lstm/c": [np.inf] * 3,
            "conv/window": [[1.0, 2.0], [3.0, 4.0]],
        },
        "extra": EXTRA,
    }


def test_half_a_character_is_written_as_an_escape():
    line = write_line("é", Entry(LAYOUT.pack_raw(bytes(40), b'{"n": "\\ud800"}'), 1))
    assert json.loads(line.encode())["extra"] == {"n": "\ud800"}


def changed(**parts):
    return json.dumps(json.loads(LINE) | parts)


def test_bytes_are_utf_8():
    assert read_line(LINE.encode(), "here") == read_line(LINE, "here")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("", "this is no line of a state"),
        ("3", "this is no line of a state"),
        ("[" * 100_000, "this is no line of a state"),
        (LINE[:-1], "this is no line of a state"),
        ("{}", "it has no 'key'"),
        (LINE.encode("latin-1"), "can't decode byte 0xe9"),
        (LINE.encode("utf-16"), "can't decode byte 0xff"),
        (LINE.replace("é", "\ud800").encode(errors="surrogatepass"), "can't decode byte 0xed"),
        (changed(key=3), "key, model or extra is of another type"),
        (changed(spec={"a/b": [1]}), "the sizes in its spec are none"),
        (changed(spec={"a": [2**40]}), "the sizes in its spec are none"),
        (changed(spec={"a": [2**31 - 1]}), "it has no 'a'"),
        (changed(state={}), "it has no 'lstm/h'"),
        (changed(spec={"lstm": {"h": [3]}}), "conv/window is not in its spec"),
        (changed(spec={"lstm": {"h": [2]}}), r"lstm/h has shape \(3,\), and its spec says \(2,\)"),
        (changed(spec={"a": [2]}, state={"a": ["1", "2"]}), "a has other values than numbers"),
        (changed(spec={"a": [2]}, state={"a": [[1], [2, 3]]}), "this is no line of a state"),
        (changed(spec={"a": [1]}, state={"a": [10**400]}), "a has other values than numbers"),
    ],
)
def test_what_is_no_line_is_refused(line, says):
    with pytest.raises(DataError, match=says) as raised:
        read_line(line, "file, line 3")
    assert str(raised.value).startswith("file, line 3: ")
