"""What a line of `seqstate stream` asks for, and what is said of one that asks for nothing."""

from types import SimpleNamespace

import numpy as np
import pytest

from seqstate.commands.stream_lines import LONGEST_LINE, Fields, Lines
from seqstate.errors import ArgumentError, DataError


def lines(*inputs, sequence=None, form="auto", **fields):
    """Make a reader for a model with inputs, each a name, the sizes of a sample and a type."""
    specs = [
        SimpleNamespace(name=name, shape=(None, None, *sizes), time=True, dtype=np.dtype(dtype))
        for name, sizes, dtype in inputs
    ]
    return Lines(SimpleNamespace(inputs=specs), Fields("key", sequence, **fields), form)


X = ("x", (2,), "float32")


@pytest.mark.parametrize(
    ("given", "text", "sample"),
    [
        (X, b'{"key": 7, "sample": [1, "2.5"]}', [1, 2.5]),
        (("x", (), "int32"), b'{"key": "a", "sample": 3}', 3),
        (("x", (), "int32"), b'{"key": "a", "word": "3"}', 3),
        (("x", (2, 2), "float32"), b'{"key": "a", "sample": [1, 2, 3, 4]}', [[1, 2], [3, 4]]),
    ],
)
def test_a_sample_has_the_type_and_the_axes_that_the_model_reads(given, text, sample):
    found = lines(given).read(text)
    assert found.sample == sample
    assert type(found.sample) is type(sample)


def test_a_csv_gives_whole_numbers_to_a_model_that_reads_them():
    reader = lines(("x", (), "int64"))
    assert reader.read(b"\xef\xbb\xbfkey,word\r\n") is None
    assert reader.read(b"a,3\r").sample == 3


def test_the_first_line_that_fits_says_which_fields_make_the_sample():
    reader = lines(X)
    assert reader.read(b'{"key": "a", "t": 1}').sample == [1]
    assert reader.read(b'{"key": "a", "t": 1, "p": 2}').sample == [1, 2]
    assert reader.read(b'{"p": 4, "q": 5, "t": 3, "key": "a"}').sample == [3, 4]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b'{"key": "a", "n": 1, "sample": [1, %s]}' % (b"9" * 400), "no number"),
        (b'{"key": "a", "n": "%s", "sample": [1, 2]}' % (b"9" * 5000), "no whole number from 0"),
        (b'{"key": "a", "n": 1.0, "sample": [1, 2]}', "no whole number from 0"),
        (b'{"key": "a", "n": true, "sample": [1, 2]}', "no whole number from 0"),
        (b'{"key": "a", "n": null, "sample": [1, 2]}', "no whole number from 0"),
        (b'{"key": "a", "sample": [1, 2]}', "it has no field 'n' (it has 'key', 'sample')"),
        (b'{"key": ["a"], "n": 1, "sample": [1, 2]}', "is no text"),
        (b'{"key": true, "n": 1, "sample": [1, 2]}', "is no text"),
        (b"[" * 100_000, "no JSON"),
        (b"\xff", "no UTF-8"),
        (b" " * (LONGEST_LINE + 1), "longer than 16,777,216 bytes"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_a_line_that_can_not_be_read(text, says):
    with pytest.raises(DataError, match=r"^line 1: ") as raised:
        lines(X, sequence="n", form="ndjson").read(text)
    assert says in str(raised.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"a,1\r2,3", "no CSV"),
        (b'a,1,"%s"' % (b"1" * 200_000), "no CSV"),
        (b'a,1,"2', None),
        (b"a,1", "it has 2 values, and the header 3"),
        (b"a,1,2,3", "it has 4 values, and the header 3"),
        (b"a,,3", "x is '', no number"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_a_row_that_can_not_be_read(text, says):
    reader = lines(X, form="csv")
    assert reader.read(b"key,x,y") is None
    if says is None:
        assert reader.read(text).sample == [1, 2]
        return
    with pytest.raises(DataError, match=r"^line 2: ") as raised:
        reader.read(text)
    assert says in str(raised.value)


def test_two_and_a_half_is_no_token():
    with pytest.raises(DataError, match=r"2\.5 is no whole number"):
        lines(("x", (), "int32")).read(b'{"key": "a", "sample": 2.5}')


@pytest.mark.parametrize(
    ("header", "says"),
    [
        (b"who,x,y", "the header has no column 'key'"),
        (b"key,x,x", "the header has the column 'x' 2 times"),
        (b"key,key,x,y", "the header has the column 'key' 2 times"),
    ],
)
def test_a_header_that_names_no_sample_ends_it_always(header, says):
    with pytest.raises(ArgumentError, match=says):
        lines(X, form="csv").read(header)
