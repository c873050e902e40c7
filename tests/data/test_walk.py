"""What an epoch gives, by asks alone: no model and no run here."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqstate.data import chunks
from seqstate.data.walk import Walk
from seqstate.errors import ArgumentError


def walk_of(length):
    return Walk("chunks", length, needs_callback=False)


@given(st.integers(1, 9).flatmap(lambda n: st.permutations(range(n))))
def test_whatever_the_order_of_asks_an_epoch_goes_in_the_order_of_time(asked):
    walk = walk_of(len(asked))
    for _ in range(2):
        walk.begin()
        assert [walk.ask(index) for index in asked] == list(range(len(asked)))
        walk.end()


@pytest.mark.parametrize("leave", [Walk.stop, Walk.end])
def test_outside_of_an_epoch_the_batch_is_the_one_asked_for(leave):
    walk = walk_of(4)
    assert [walk.ask(3), walk.ask(3)] == [3, 3]
    walk.begin()
    assert walk.ask(3) == 0
    leave(walk)
    assert [walk.ask(3), walk.ask(3)] == [3, 3]


@pytest.mark.parametrize("index", [2, 4, -1])
def test_an_epoch_has_each_batch_once(index):
    walk = walk_of(4)
    walk.begin()
    walk.ask(2)
    with pytest.raises(ArgumentError, match=rf"{index} was[^.]*4 batches[\s\S]*steps_per_epoch"):
        walk.ask(index)
    assert walk.ask(0) == 1


@pytest.mark.parametrize("asked", range(5))
def test_an_epoch_that_was_cut_short_is_followed_by_another_run_only(asked):
    def cut_short():
        walk = walk_of(4)
        walk.begin()
        walk.count()  # whoever walks begins by this
        for index in range(asked):
            walk.ask(index)
        walk.end()
        return walk

    walk = cut_short()
    walk.count()
    walk.begin()
    assert walk.ask(3) == 0
    walk = cut_short()
    if 0 < asked < 4:
        with pytest.raises(ArgumentError, match="expected all 4 chunks"):
            walk.begin()
    else:
        walk.begin()


def test_a_new_run_may_look_at_batches_before_it_leaves_an_epoch_that_was_broken_off():
    walk = walk_of(4)
    walk.begin()
    walk.ask(3)
    walk.count()
    assert [walk.ask(3), walk.ask(3)] == [3, 3]
    walk.end()
    walk.begin()
    assert walk.ask(3) == 0


def test_to_go_through_chunks_leaves_an_epoch_alone():
    data = chunks(np.arange(6.0), steps=2, reset_input=True)
    data.walk.begin()
    assert [x[0, 0, 0] for ((x, _),) in data] == [0, 2, 4]
    assert [data[k][0][0][0, 0, 0] for k in (2, 0, 1)] == [0, 2, 4]
    assert data.batch(2)[0][0][0, 0, 0] == 4
