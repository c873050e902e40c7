"""The same bits, however a sequence is cut, and whatever runs beside it."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.saved import both, outputs, part, rows, same
from runtime.tables import ROWS, STEPPED, STEPS
from runtime.zoo import MODELS
from seqstate.kernels import native
from seqstate.state import flatten, map_leaves

FEW = settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)


def equal(found, wanted):
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other, strict=True)


def joined(loaded, parts):
    """Join what came of chunks: along time where an output has it, else what came last."""
    named = loaded._plain.named.values()
    return [
        np.concatenate(list(chunks), 1) if value.time else list(chunks)[-1]
        for value, chunks in zip(named, zip(*parts, strict=True), strict=True)
    ]


@st.composite
def cuts(draw):
    ends = draw(st.sets(st.integers(1, STEPS - 1)))
    places = [0, *sorted(ends), STEPS]
    return [slice(*pair) for pair in pairwise(places)]


@pytest.mark.parametrize("name", STEPPED)
@FEW
@given(chunks=cuts())
def test_chunks(name, chunks):
    _, loaded, x = both(name)
    whole, last = loaded.run(x)
    state, parts = None, []
    for chunk in chunks:
        made, state = loaded.run(part(x, chunk), state)
        parts.append(outputs(made))
    equal(joined(loaded, parts), outputs(whole))
    assert same(state, last)


@pytest.mark.parametrize("name", STEPPED)
def test_steps(name):
    _, loaded, x = both(name)
    whole, last = loaded.run(x)
    state, parts = loaded.initial_state(ROWS), []
    for t in range(STEPS):
        made, state = loaded.step(part(x, t), state)
        parts.append(outputs(made))
        if t == 2:
            early, _ = loaded.run(part(x, slice(3)))
    for i, value in enumerate(loaded._plain.named.values()):
        each = [one[i] for one in parts]
        found = np.stack(each, 1) if value.time else each[-1]
        np.testing.assert_array_equal(found, outputs(whole)[i], strict=True)
        so_far = outputs(early)[i]
        np.testing.assert_array_equal(each[2], so_far[:, -1] if value.time else so_far)
    assert same(state, last)


@pytest.mark.parametrize("name", STEPPED)
def test_steps_after_a_chunk(name):
    _, loaded, x = both(name)
    _, last = loaded.run(x)
    _, state = loaded.run(part(x, slice(4)))
    for t in range(4, STEPS):
        _, state = loaded.step(part(x, t), state)
    assert same(state, last)
    started, _ = loaded.step(part(x, 0))
    from_zeros, _ = loaded.step(part(x, 0), loaded.initial_state(ROWS))
    equal(outputs(started), outputs(from_zeros))


@pytest.mark.parametrize("name", MODELS)
@FEW
@given(chosen=st.lists(st.integers(0, ROWS - 1), min_size=1, max_size=19))
def test_any_batch(name, chosen):
    _, loaded, x = both(name)
    whole, last = loaded.run(x)
    made, state = loaded.run(rows(x, chosen))
    equal(outputs(made), [one[chosen] for one in outputs(whole)])
    assert same(state, map_leaves(lambda leaf: leaf[chosen], last))


@pytest.mark.parametrize("name", MODELS)
def test_threads(name):
    _, loaded, x = both(name)
    many = rows(x, np.arange(64) % ROWS)
    module = native.module()
    before = module.threads()
    try:
        module.set_threads(1)
        alone, _ = loaded.run(many)
        module.set_threads(2)
        two, _ = loaded.run(many)
    finally:
        module.set_threads(before)
    equal(outputs(two), outputs(alone))


@pytest.mark.parametrize("name", STEPPED)
def test_nothing_given_is_changed(name):
    _, loaded, x = both(name)
    _, state = loaded.run(x)
    kept = map_leaves(np.copy, state)
    made, after = loaded.step(part(x, 0), state)
    held = map_leaves(np.copy, after)
    for one in outputs(made):
        one[...] = 0
    assert same(state, kept)
    assert same(after, held)
    assert not any(
        np.shares_memory(a, b)
        for a in flatten(state).values()
        for b in flatten(after).values()
        if a.size
    )
