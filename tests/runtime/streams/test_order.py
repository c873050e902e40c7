"""Sequence numbers: a push that comes again is answered from what was kept, and moves nothing."""

import numpy as np
import pytest

from seqstate.errors import ArgumentError
from seqstate.runtime.streams import Streams

X = np.random.default_rng(3).normal(size=(20, 3)).astype("float32")


def same_state(one, other):
    return all(np.array_equal(one["lstm"][name], other["lstm"][name]) for name in "hc")


@pytest.fixture(params=["memory", "sqlite"])
def url(request, tmp_path):
    return None if request.param == "memory" else f"sqlite:///{tmp_path}/states.db"


def test_a_repeat_gives_the_same_bits_and_moves_nothing(model, url):
    with Streams(model, url) as streams:
        streams.push("a", X[0], 0)
        first = streams.push("a", X[1], 1)
        state = streams.state("a")
        assert np.array_equal(streams.push("a", X[1], 1), first)
        assert same_state(streams.state("a"), state)
        assert streams.sequence("a") == 1
        assert not np.array_equal(streams.push("a", X[2], 2), first)


def test_the_first_number_is_any(model, url):
    with Streams(model, url) as streams:
        streams.push("a", X[0], 1000)
        streams.push("a", X[1], 1001)
        assert streams.sequence("a") == 1001


@pytest.mark.parametrize("keep", [1, 3])
def test_as_many_outputs_are_kept_as_asked_for(model, url, keep):
    with Streams(model, url, keep_outputs=keep) as streams:
        made = [streams.push("a", X[i], i) for i in range(6)]
        for number in range(6 - keep, 6):
            assert np.array_equal(streams.push("a", X[number], number), made[number])
        with pytest.raises(
            ArgumentError, match=f"number {5 - keep} came; expected 6.*from {6 - keep} on"
        ):
            streams.push("a", X[5 - keep], 5 - keep)


@pytest.mark.parametrize(("number", "missing"), [(3, "one is missing"), (9, "7 are missing")])
def test_a_gap_says_what_came_and_what_was_expected(model, url, number, missing):
    with Streams(model, url) as streams:
        streams.push_chunk("a", X[:2], 0)
        state = streams.state("a")
        with pytest.raises(
            ArgumentError, match=f"'a': number {number} came; expected 2: {missing}"
        ):
            streams.push("a", X[2], number)
        assert same_state(streams.state("a"), state)


def test_repeats_and_new_pushes_of_several_keys_in_one_call(model, url):
    with Streams(model, url, keep_outputs=2) as streams, Streams(model) as plain:
        expected = {key: plain.push_chunk(key, X[:4]) for key in "ab"}
        streams.push_chunk("a", X[:2], 0)
        streams.push("b", X[0], 0)
        # 1 of "a" was applied before; 2 of "a" comes twice in this call; None moves nothing else.
        keys, numbers = ["a", "b", "a", "a", "b"], [1, 1, 2, 2, 2]
        made = streams.push_many(keys, X[numbers], numbers)
        for key, number, output in zip(keys, numbers, made, strict=True):
            assert np.array_equal(output, expected[key][number])
        assert [streams.sequence(key) for key in "ab"] == [2, 2]


def test_a_chunk_that_was_applied_in_part_goes_on_where_it_stopped(model, url):
    with Streams(model, url, keep_outputs=4) as streams, Streams(model) as plain:
        expected = plain.push_chunk("a", X[:8])
        streams.push_chunk("a", X[:5], 0)
        assert np.array_equal(streams.push_chunk("a", X[2:8], 2), expected[2:])


def test_numbers_and_outputs_are_there_after_a_restart(model, tmp_path):
    url = f"sqlite:///{tmp_path}/states.db"
    with Streams(model, url, keep_outputs=3) as streams:
        made = streams.push_chunk("a", X[:7], 0)
    with Streams(model, url, keep_outputs=2) as streams:
        assert streams.sequence("a") == 6
        for number in (5, 6):
            assert np.array_equal(streams.push("a", X[number], number), made[number])
        with pytest.raises(ArgumentError, match="number 4 came"):
            streams.push("a", X[4], 4)
    with Streams(model, url, keep_outputs=9) as streams:
        assert np.array_equal(streams.push("a", X[6], 6), made[6])


def test_a_push_without_a_number_leaves_the_number(model, url):
    with Streams(model, url) as streams:
        first = streams.push("a", X[0], 4)
        streams.push("a", X[1])
        assert streams.sequence("a") == 4
        assert np.array_equal(streams.push("a", X[0], 4), first)
        streams.push_many(["a", "a"], X[:2], [None, 5])
        assert streams.sequence("a") == 5


@pytest.mark.parametrize("number", [-1, 1.0, "1", True, 2**63])
def test_what_can_not_be_a_number_is_refused(model, url, number):
    with Streams(model, url) as streams:
        with pytest.raises(ArgumentError, match="sequence number of key 'a'"):
            streams.push("a", X[0], number)
        assert "a" not in streams


def test_one_number_for_each_push(model):
    with Streams(model) as streams, pytest.raises(ArgumentError, match="1 sequence numbers came"):
        streams.push_many(["a", "b"], X[:2], [0])
