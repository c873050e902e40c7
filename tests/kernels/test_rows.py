"""Rows of packed arrays: what is copied, what stays, and what is refused."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.native_cases import threads
from seqstate.errors import InputError
from seqstate.kernels import native
from seqstate.kernels.rows import gather, read_row, scatter, write_row

few = settings(max_examples=80, deadline=None)


@pytest.fixture(params=["native", "portable"])
def path(request, monkeypatch):
    if request.param == "portable":
        monkeypatch.setattr(native, "usable", lambda: False)
    elif not native.available():
        pytest.skip(str(native.reason()))


def packed_of(capacity, units):
    """Numbers that say where they lie."""
    return np.arange(capacity * units, dtype=np.float32).reshape(capacity, units)


def assert_copied(capacity, units, rows):
    packed = packed_of(capacity, units)
    np.testing.assert_array_equal(gather(packed, rows), packed[rows])
    room = np.full((len(rows), units + 3), -1, np.float32)
    assert gather(packed, rows, room[:, 1:-2]).base is room
    np.testing.assert_array_equal(room[:, 1:-2], packed[rows])
    assert (room[:, [0, -2, -1]] == -1).all()

    once = np.unique(rows)[::-1]
    values = -1 - packed_of(len(once), units)
    expected = packed.copy()
    expected[once] = values
    scatter(packed, once, values)
    np.testing.assert_array_equal(packed, expected)


# A part of a vector, whole lines, the sizes that are copied in place, and more than is fetched.
@pytest.mark.parametrize("units", [1, 3, 16, 32, 64, 65, 200])
@pytest.mark.parametrize("count", [0, 1, 2, 7, 9, 300])
@pytest.mark.usefixtures("path")
def test_rows_are_copied(units, count):
    rng = np.random.default_rng(count)
    assert_copied(500, units, rng.integers(0, 500, count))


@few
@given(data=st.data())
def test_any_rows_of_any_array(data):
    capacity, units = data.draw(st.integers(1, 60)), data.draw(st.integers(1, 40))
    rows = data.draw(st.lists(st.integers(0, capacity - 1), max_size=80))
    assert_copied(capacity, units, np.array(rows, np.int64))


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_many_rows_on_threads(count):
    rows = np.random.default_rng(0).permutation(30_000)[:20_001]
    with threads(count) if native.available() else pytest.MonkeyPatch.context():
        assert_copied(30_000, 33, rows)


@pytest.mark.usefixtures("path")
def test_parts_of_larger_arrays_are_packed_arrays():
    whole = packed_of(12, 20)
    before, part = whole.copy(), whole[2:10:2, 5:12]
    np.testing.assert_array_equal(gather(part, [3, 0, 3]), part[[3, 0, 3]])
    scatter(part, [1], np.full((1, 7), -1, "f"))
    before[4, 5:12] = -1
    np.testing.assert_array_equal(whole, before)


@pytest.mark.usefixtures("path")
def test_row_numbers_may_be_a_list_other_integers_and_strided():
    packed = packed_of(9, 4)
    expected = packed[[8, 0, 3]]
    for rows in ([8, 0, 3], np.int32([8, 0, 3]), np.array([8, 1, 0, 1, 3])[::2]):
        np.testing.assert_array_equal(gather(packed, rows), expected)
    assert gather(packed, []).shape == (0, 4)


def bad_calls():
    packed, values = packed_of(5, 3), np.zeros((2, 3), "f")
    return {
        r"rows\[1\] is 5; there are 5 rows": (packed, [4, 5], values),
        r"rows\[0\] is -1; there are 5 rows": (packed, [-1, 0], values),
        r"rows\[1\] is 9223372036854775807; there": (packed, [0, 2**63 - 1], values),
        "rows .*float64": (packed, [0.0, 1.0], values),
        "rows .*bool": (packed, [True, False], values),
        "rows ": (packed, [[0, 1]], values),
        "packed .*float64": (packed.astype("f8"), [0, 1], values),
        r"packed .*shape \(15,\)": (packed.reshape(-1), [0, 1], values),
    }


@pytest.mark.parametrize("said", bad_calls())
@pytest.mark.usefixtures("path")
def test_a_bad_call_is_refused_and_changes_nothing(said):
    packed, rows, values = bad_calls()[said]
    with pytest.raises(InputError, match=f"^gather: {said}"):
        gather(packed, rows)
    with pytest.raises(InputError, match=f"^scatter: {said}"):
        scatter(packed, rows, values)
    np.testing.assert_array_equal(packed, bad_calls()[said][0])


@pytest.mark.parametrize("count", [2, 8, 9, 100, 5000])
@pytest.mark.usefixtures("path")
def test_a_row_that_is_written_twice_is_refused(count):
    rng = np.random.default_rng(count)
    packed, values = packed_of(6000, 2), np.zeros((count, 2), "f")
    for _ in range(5):
        rows = rng.permutation(6000)[:count]
        scatter(packed.copy(), rows, values)
        first, again = sorted(rng.choice(count, 2, replace=False))
        rows[again] = rows[first]
        with pytest.raises(InputError, match=rf"rows\[{again}\] is {rows[again]}, .* twice"):
            scatter(packed, rows, values)
    np.testing.assert_array_equal(packed, packed_of(6000, 2))


@pytest.mark.usefixtures("path")
def test_arrays_that_do_not_fit_are_refused():
    packed = packed_of(5, 3)
    with pytest.raises(InputError, match=r"values .*shape \(1, 3\)"):
        scatter(packed, [0, 1], np.zeros((1, 3), "f"))
    with pytest.raises(InputError, match=r"values .*float64"):
        scatter(packed, [0], np.zeros((1, 3)))
    with pytest.raises(InputError, match=r"out .*shape \(2, 3\)"):
        gather(packed, [0], np.zeros((2, 3), "f"))
    np.testing.assert_array_equal(packed, packed_of(5, 3))


@pytest.mark.skipif(not native.available(), reason=str(native.reason()))
def test_memory_that_can_not_be_used_is_refused():
    packed = packed_of(6, 3)
    with pytest.raises(InputError, match="packed can't take results"):
        scatter(np.asfortranarray(packed), [0], np.zeros((1, 3), "f"))
    with pytest.raises(InputError, match="the last axis of packed is not contiguous"):
        gather(np.asfortranarray(packed), [0])
    with pytest.raises(InputError, match="the last axis of values is not contiguous"):
        scatter(packed, [0, 1], np.zeros((3, 2), "f").T)
    with pytest.raises(InputError, match="values shares memory with packed"):
        scatter(packed, [0, 1], packed[2:4])
    with pytest.raises(InputError, match="out shares memory with packed"):
        gather(packed, [0, 1], packed[2:4])
    frozen = packed_of(6, 3)
    frozen.flags.writeable = False
    with pytest.raises(InputError, match="packed is read-only"):
        scatter(frozen, [0], np.zeros((1, 3), "f"))
    np.testing.assert_array_equal(gather(frozen, [5]), packed_of(6, 3)[5:])


@pytest.mark.usefixtures("path")
def test_one_row_of_several_arrays():
    packed = [packed_of(5, 3), 100 + packed_of(5, 4)]
    before = [one.copy() for one in packed]
    found = read_row(packed, 4)
    for one, whole in zip(found, before, strict=True):
        np.testing.assert_array_equal(one, whole[4:5])
        one[...] = -1  # a copy
    values = [np.float32([[7, 8, 9]]), np.arange(8, dtype="f")[None, ::2]]
    assert write_row(packed, 2, values) == -1
    for one, whole, value in zip(packed, before, values, strict=True):
        whole[2] = value[0]
        np.testing.assert_array_equal(one, whole)
    assert read_row([], 0) == []
    assert write_row([], 0, []) == -1


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.usefixtures("path")
def test_a_row_with_nan_is_written_nowhere(place):
    packed = [packed_of(5, 3), packed_of(5, 4)]
    values = [np.full((1, 3), np.inf, "f"), np.zeros((1, 4), "f")]
    values[place][0, -1] = np.nan
    assert write_row(packed, 2, values) == place
    np.testing.assert_array_equal(packed[0], packed_of(5, 3))
    np.testing.assert_array_equal(packed[1], packed_of(5, 4))


BAD_ROWS = {
    "the row is 5; there are 5 rows": (5, [(1, 3), (1, 4)], "f"),
    "the row is -1; there are 5 rows": (-1, [(1, 3), (1, 4)], "f"),
    "there are 1 values for 2 packed arrays": (0, [(1, 3)], "f"),
    r"values .*shape \(1, 5\)": (0, [(1, 3), (1, 5)], "f"),
    r"values .*shape \(4,\)": (0, [(1, 3), (4,)], "f"),
    "values .*float64": (0, [(1, 3), (1, 4)], "d"),
}


@pytest.mark.parametrize("said", BAD_ROWS)
@pytest.mark.usefixtures("path")
def test_a_row_that_does_not_fit_is_refused_and_written_nowhere(said):
    row, shapes, dtype = BAD_ROWS[said]
    packed = [packed_of(5, 3), packed_of(5, 4)]
    values = [np.zeros(shape, dtype) for shape in shapes]
    with pytest.raises(InputError, match=f"^write_row: {said}"):
        write_row(packed, row, values)
    if said.startswith("the row"):
        with pytest.raises(InputError, match=f"^read_row: {said}"):
            read_row(packed, row)
    np.testing.assert_array_equal(packed[0], packed_of(5, 3))


@pytest.mark.skipif(not native.available(), reason=str(native.reason()))
@pytest.mark.parametrize("units", [16, 17, 4000])
def test_the_memory_of_a_large_result_is_its_own_until_nothing_looks_at_it(units):
    packed = packed_of(3000, units)
    rows = np.arange(2999, -1, -1)
    view = gather(packed, rows)[1:, 1:]
    others = [gather(-packed, rows) for _ in range(4)]
    del others[::2]
    others += [gather(-packed, rows) for _ in range(4)]
    np.testing.assert_array_equal(view, packed[rows][1:, 1:])
    others.append(view.copy())
    view *= 2  # it may be written
    for one in others[:-1]:
        np.testing.assert_array_equal(one, -packed[rows])
    np.testing.assert_array_equal(others[-1], packed[rows][1:, 1:])


@pytest.mark.skipif(not native.available(), reason=str(native.reason()))
def test_large_results_of_several_threads_are_apart():
    packed = [np.full((1100, 16 + i), i, "f") for i in range(4)]
    rows = np.arange(1100)

    def same(i):
        found = [gather(packed[i], rows) for _ in range(3)]
        return all(
            (one == i).all() for _ in range(300) for one in [*found, gather(packed[i], rows)]
        )

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(same, [0, 1, 2, 3] * 3))
