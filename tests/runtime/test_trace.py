"""`Model.trace` shows what `seqstate.trace` shows."""

import numpy as np
import pytest

import seqstate
from runtime.saved import both
from runtime.zoo import IDS, X
from seqstate import state as states
from seqstate.errors import ArgumentError, UnknownLayerError

TRACED = (
    *("keras LSTM", "ours GRU, sequence", "SimpleRNN, silu", "RWA", "learned start"),
    *("cells of Keras", "coupled", "feedback", "backwards", "both ways", "both ways, ours"),
    *("not_merged", "masked tokens", "masking, zeroed", "mask both ways", "masked, backwards"),
    *("nested", "shared", "a_model_twice", "layer for each part", "starts_from_another"),
    *("all_by_name", "decoder of a repeated vector", "masks_in_a_graph"),
)


@pytest.mark.parametrize("name", TRACED)
def test_as_the_trace_of_keras(name):
    model, loaded, x = both(name)
    wanted = seqstate.trace(model, x)
    found = loaded.trace(x)
    assert found.model == wanted.model
    assert set(found) == set(wanted)
    for layer, one in wanted.items():
        other = found[layer]
        assert (other.kind, other.backwards, other.parts) == (one.kind, one.backwards, one.parts)
        assert (other.mask is None) == (one.mask is None)
        if one.mask is not None:
            np.testing.assert_array_equal(other.mask, one.mask)
        assert list(other.found) == list(one.found)
        a, b = states.flatten(other.found), states.flatten(one.found)
        assert set(a) == set(b)
        for path, values in b.items():
            np.testing.assert_allclose(a[path], values, rtol=1e-5, atol=1e-5, err_msg=path)


def test_some_layers_some_quantities():
    _, loaded, x = both("nested")
    t = loaded.trace(x, layers="inner/lstm", what="gates")
    assert list(t) == ["inner/lstm"]
    assert list(t["inner/lstm"].found) == ["gates"]
    np.testing.assert_array_equal(t.outputs["lstm"], loaded.run(x)[0]["lstm"])


def test_the_state_goes_on():
    _, loaded, x = both("keras LSTM")
    _, state = loaded.run(x)
    t = loaded.trace(x, state=state)
    np.testing.assert_array_equal(
        t["lstm" if "lstm" in t else next(iter(t))].state["h"],
        next(iter(loaded.run(x, state)[1].values()))["h"],
    )


def test_errors():
    _, loaded, x = both("keras LSTM")
    with pytest.raises(UnknownLayerError, match="lstn"):
        loaded.trace(X, layers="lstn")
    with pytest.raises(ArgumentError, match="what='cells'"):
        loaded.trace(X, what="cells")
    _, dense, _ = both("causal")
    with pytest.raises(ArgumentError, match="no recurrent layer"):
        dense.trace(X)
    assert IDS.shape == x.shape[:2]
