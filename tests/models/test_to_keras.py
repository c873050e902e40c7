"""`to_keras`: results by name become flags, and what Keras does not have is refused."""

import keras
import numpy as np
import pytest

import seqstate
import seqstate.layers
from cases import FEATURES, TOLERANCE
from frameworks import array, arrays
from models.zoo import Body, X, of_layers, same
from seqstate.errors import ArgumentError
from seqstate.layers import GRU, LSTM, RNN, Bidirectional, LSTMCell
from seqstate.result_order import ORDERS

K = keras.layers

INPUTS = (None, FEATURES)


def ends_early(x):
    return keras.ops.cumsum(keras.ops.ones_like(x[..., 0]), axis=1) < 3


def functional(made):
    x = keras.Input(INPUTS)
    return keras.Model(x, made(x))


BY_NAME = {
    "sequence": lambda x: LSTM(3, returns="sequence")(x)["sequence"],
    "output": lambda x: GRU(3, returns=("output", "states"))(x)["output"],
    "state c alone": lambda x: LSTM(3, returns="all")(x)["state"]["c"],
    "sequence, c, h": lambda x: [
        (r := LSTM(3, returns=("sequence", "state"))(x))["sequence"],
        r["state"]["c"],
        r["state"]["h"],
    ],
    "sequence and output": lambda x: [
        (r := LSTM(3, returns=("sequence", "output"))(x))["output"],
        K.Dense(1)(r["sequence"]),
    ],
    "both directions": lambda x: [
        (r := Bidirectional(LSTM(3, returns=("sequence", "state")))(x))["sequence"],
        r["state"]["backward"]["c"],
        r["state"]["forward"]["h"],
    ],
    "not merged": lambda x: [
        (r := Bidirectional(GRU(3, returns=("output", "state")), merge_mode=None)(x))["output"][
            "backward"
        ],
        r["state"]["forward"]["h"],
    ],
    "stack": lambda x: RNN([LSTMCell(2), LSTMCell(3)], returns=("state", "sequence"))(x)["state"][
        "cell_1"
    ]["c"],
    "into another": lambda x: LSTM(3)(
        x, initial_state={"c": (r := LSTM(3, returns="state")(x))["state"]["c"],
                          "h": r["state"]["h"]}
    ),
    "into another, both ways": lambda x: Bidirectional(LSTM(3))(
        x, initial_state=Bidirectional(LSTM(3, returns="state"))(x)["state"]
    ),
    "output of a stack": lambda x: [
        (r := RNN([LSTMCell(2), LSTMCell(3)], returns=("sequence", "output"))(x))["output"],
        r["sequence"],
    ],
    "output of a row under a mask": lambda x: LSTM(
        3, returns=("output", "state"), zero_output_for_mask=True
    )(x, mask=ends_early(x))["output"],
    "zeroed sequence and output": lambda x: list(
        LSTM(3, returns=("output", "sequence"), zero_output_for_mask=True)(
            x, mask=ends_early(x)
        ).values()
    ),
    "state by name with a mask": lambda x: LSTM(3)(
        x, mask=ends_early(x), initial_state={"h": x[:, 0, :3], "c": x[:, 1, :3]}
    ),
    "names used twice": lambda x: [
        LSTM(3, returns=("state", "sequence"), name="same")(x)["state"]["c"],
        keras.Sequential([keras.Input(INPUTS), LSTM(3, return_sequences=True, name="same")])(x),
    ],
}  # fmt: skip


@pytest.mark.parametrize("case", BY_NAME)
def test_results_by_name_become_flags(case):
    model = functional(BY_NAME[case])
    plain = seqstate.to_keras(model)
    assert of_layers(plain) == {"keras"}
    for a, b in zip(arrays(plain(X)), arrays(model(X)), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=TOLERANCE["float32"])


@pytest.mark.parametrize("order", ORDERS)
def test_results_of_a_model_from_another_backend(order):
    x = keras.Input(INPUTS)
    lstm = LSTM(3, returns=("output", "state"), result_order=order)
    inner = LSTM(3, returns=("sequence", "state"), result_order=order)
    last, both = lstm(x)["state"], Bidirectional(inner)(x)["state"]
    model = keras.Model(x, [last["c"], last["h"], both["forward"]["c"], both["backward"]["h"]])
    for a, b in zip(arrays(seqstate.to_keras(model)(X)), arrays(model(X)), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=TOLERANCE["float32"])


class Doubled(K.Layer):
    """A cell whose output is not its state."""

    state_size = 3

    def build(self, shape):
        self.inner = K.Dense(3)
        self.inner.build(shape)
        self.built = True

    def call(self, x, states):
        new = self.inner(x) + states[0]
        return 2 * new, [new]


class OnOurs(LSTM):
    pass


def under_a_mask(layer, x):
    x = K.Masking()(x)
    return layer(x, initial_state=STATES[type(layer)](x[:, 0, :3]))


STATES = {
    LSTM: lambda v: {"h": v, "c": v},
    Bidirectional: lambda v: {d: {"h": v, "c": v} for d in ("forward", "backward")},
}


def masked_model(x):
    inner = keras.Input(INPUTS)
    v = inner[:, 0, :3]
    y = LSTM(3, name="l")(inner, initial_state={"h": v, "c": v})
    return keras.Model(inner, y, name="inner")(K.Masking()(x))


def penalized(returns, *used):
    def made(x):
        r = LSTM(3, returns=returns, activity_regularizer="l2", name="l")(x)
        return [keras.tree.flatten(r[name])[0] for name in used]

    return made


NOT_IN_KERAS = {
    "class on top of ours": (lambda x: OnOurs(3, name="l")(x), '"l" is a OnOurs, a class on top'),
    "travelling mask": (lambda x: under_a_mask(LSTM(3, name="l"), x), '"l" .*carries a mask'),
    "travelling mask, both directions": (
        lambda x: under_a_mask(Bidirectional(LSTM(3), name="l"), x),
        '"l" .*carries a mask',
    ),
    "mask into a model": (masked_model, '"inner/l" .*carries a mask'),
    "output beside sequence of an unknown cell": (
        lambda x: list(RNN(Doubled(), returns=("output", "sequence"), name="l")(x).values()),
        '"l" gives its output beside its sequence',
    ),
    "penalty on all results": (
        penalized(("sequence", "state"), "sequence", "state"),
        '"l" has an activity_regularizer',
    ),
    "penalty on another result": (
        penalized(("sequence", "output"), "output"),
        '"l" has an activity_regularizer',
    ),
    "no penalty at all": (penalized("state", "state"), '"l" has an activity_regularizer'),
    "gates": (lambda x: LSTM(3, returns="gates", name="l")(x)["gates"]["input"], '"l" gives gates'),
    "learned": (lambda x: LSTM(3, learn_initial_state=True, name="l")(x), '"l" learns its initial'),
    "reset mask": (
        lambda x: LSTM(3, name="l")(x, reset_mask=x[..., 0] > 0),
        '"l" is called with reset_mask',
    ),
    "partial state": (
        lambda x: LSTM(3, name="l")(x, initial_state={"c": x[:, 0, :3]}),
        "an initial_state without h",
    ),
    "in a Sequential": (
        lambda x: keras.Sequential([keras.Input(INPUTS), LSTM(3, returns="all", name="l")])(x),
        "dict by name",
    ),
}


@pytest.mark.filterwarnings("ignore:.*does not support masking")
@pytest.mark.parametrize("case", NOT_IN_KERAS)
def test_what_keras_does_not_have_is_listed(case):
    made, says = NOT_IN_KERAS[case]
    with pytest.raises(ArgumentError, match=says):
        seqstate.to_keras(functional(made))


@pytest.mark.parametrize("returns", [("sequence", "state"), "sequence"])
def test_a_penalty_on_the_one_result_that_is_used_stays(returns):
    model = functional(penalized(returns, "sequence"))
    plain = seqstate.to_keras(model)
    same(model, plain)
    (old,), (new,) = model.losses, plain.losses
    np.testing.assert_allclose(array(new), array(old), rtol=1e-5)
    assert float(array(old)) > 0


class BodyOfOurs(Body):
    def __init__(self):
        keras.Model.__init__(self)
        self.inner = LSTM(2, name="inner")


def test_layers_that_the_code_of_a_model_makes_are_not_left_in_silently():
    model = BodyOfOurs()
    model(X)
    with pytest.raises(ArgumentError, match='still in the new model: "inner" \\(LSTM\\)'):
        seqstate.to_keras(model)
