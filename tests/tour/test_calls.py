import copy

import keras
import numpy as np
import pytest

from seqstate.errors import SeqstateError
from seqstate.tour.calls import BY_FLAGS, equations, four_ways, require_all, same_numbers

X = np.random.default_rng(0).normal(size=(2, 7, 1)).astype("float32")


@pytest.fixture(scope="module")
def asked():
    # By chance a cell state may be so near 0 that a wrong forget gate changes nothing.
    keras.utils.set_random_seed(0)
    return four_ways(X, units=3)


def test_the_four_calls_give_what_their_code_says(asked):
    calls, everything = asked
    assert [call.way for call in calls] == ["output", "sequence", "state", "both"]
    h, c = everything["state"]["h"], everything["state"]["c"]
    expected = {"output": everything["output"], "sequence": everything["sequence"], "h": h, "c": c}
    for call in calls:
        assert tuple(call.results) == BY_FLAGS[call.way][1]
        for name, values in call.results.items():
            np.testing.assert_allclose(values, expected[name], atol=1e-6)


def test_the_code_that_is_shown_runs_and_gives_as_many_results(asked):
    from seqstate.layers import LSTM

    for call in asked[0]:
        given = eval(call.code, {"LSTM": LSTM, "x": X})
        shapes = [tuple(a.shape) for a in (given if isinstance(given, list | tuple) else [given])]
        assert shapes == [a.shape for a in call.results.values()]


def test_the_equations_hold_for_what_the_layer_returned(asked):
    checked = [*equations(asked[1]), *same_numbers(asked[1])]
    assert all(equation.gap < 1e-6 for equation in checked)
    require_all(checked)


@pytest.mark.parametrize(
    ("group", "name", "fails"),
    [
        ("states", "h", "h = o"),
        ("states", "c", "h = o"),
        ("gates", "output", "h = o"),
        ("gates", "input", "c = f"),
        ("gates", "forget", "c = f"),
        ("gates", "candidate", "c = f"),
    ],
)
def test_a_wrong_value_anywhere_breaks_an_equation(asked, group, name, fails):
    wrong = copy.deepcopy(asked[1])
    # The last value of the last step but one: no equation may look at ends only.
    wrong[group][name] = np.array(wrong[group][name])
    wrong[group][name][-1, -2, -1] += 0.01
    with pytest.raises(SeqstateError) as error:
        require_all(equations(wrong))
    assert fails in str(error.value)


@pytest.mark.parametrize("value", [0.01, np.nan])
def test_an_output_that_is_not_the_state_is_noticed(asked, value):
    wrong = dict(asked[1])
    wrong["output"] = wrong["output"] + value
    with pytest.raises(SeqstateError, match="output = last step of sequence is off"):
        require_all(same_numbers(wrong))
