"""The packing of sequences in rows, as numbers: no Keras here."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqstate.data.layout import IDLE, pack

PACKINGS = st.tuples(
    st.lists(st.integers(1, 30), min_size=1, max_size=12), st.integers(1, 7), st.integers(1, 6)
)


def places(layout, number):
    """Give (chunk, row, start, count) of each piece of a sequence, in the order of chunks."""
    return [
        (chunk, row, int(layout.start[chunk, row]), int(layout.count[chunk, row]))
        for chunk, row in np.argwhere(layout.sequence == number).tolist()
    ]


@given(PACKINGS)
def test_every_step_occurs_once_in_order_in_one_row(packing):
    lengths, steps, rows = packing
    layout = pack(lengths, steps, rows)
    for number, length in enumerate(lengths):
        pieces = places(layout, number)
        chunks = [chunk for chunk, *_ in pieces]
        walked = [start + i for _, _, start, count in pieces for i in range(count)]
        assert walked == list(range(length))
        assert chunks == list(range(chunks[0], chunks[0] + len(chunks)))
        assert len({row for _, row, *_ in pieces}) == 1
        assert all(count == steps for *_, count in pieces[:-1])


@given(PACKINGS)
def test_rows_start_anew_where_a_sequence_starts_and_nowhere_else(packing):
    lengths, steps, rows = packing
    layout = pack(lengths, steps, rows)
    starts = {places(layout, number)[0][:2] for number in range(len(lengths))}
    found = set(map(tuple, np.argwhere(layout.resets).tolist()))
    assert found == starts | {(0, row) for row in range(rows)}


@given(PACKINGS)
def test_a_row_is_idle_only_when_no_sequence_is_left(packing):
    lengths, steps, rows = packing
    layout = pack(lengths, steps, rows)
    assert (layout.count[layout.sequence == IDLE] == 0).all()
    assert (layout.count[layout.sequence != IDLE] > 0).all()
    assert (layout.sequence != IDLE).any(axis=1).all()
    idle = np.argwhere(layout.sequence == IDLE)
    if len(idle):
        last_start = max(places(layout, number)[0][0] for number in range(len(lengths)))
        assert idle[:, 0].min() >= last_start


def test_equally_long_sequences_stand_side_by_side():
    layout = pack([6, 6, 6], steps=2, rows=3)
    np.testing.assert_array_equal(layout.sequence, [[0, 1, 2]] * 3)
    np.testing.assert_array_equal(layout.start, [[0] * 3, [2] * 3, [4] * 3])
    np.testing.assert_array_equal(layout.resets, [[True] * 3, [False] * 3, [False] * 3])


@pytest.mark.parametrize(
    ("lengths", "rows", "expected"),
    [
        ([5, 1, 1, 1], 2, [[0, 1], [0, 2], [0, 3]]),
        ([2], 3, [[0, IDLE, IDLE]]),
        ([1, 5], 1, [[0], [1], [1], [1]]),
    ],
)
def test_the_row_that_is_free_first_takes_the_next(lengths, rows, expected):
    np.testing.assert_array_equal(pack(lengths, 2, rows).sequence, expected)
