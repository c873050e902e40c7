"""States on their way in: lists, dicts, parts, one value for all rows, learned; lengths; resets."""

import itertools

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import seqstate.layers
from cases import BATCH, BOTH, FEATURES, LAYERS, MASKS, TIME, TOLERANCE, UNITS, data
from frameworks import array, arrays, compiled, values_and_gradients
from seqstate.layers import GRU, LSTM, RNN, Bidirectional, GRUCell, LSTMCell

X = data(BATCH, TIME, FEATURES)
H, C = data(BATCH, UNITS, seed=5), data(BATCH, UNITS, seed=6)
ROW = data(UNITS, seed=7)
ZERO = np.zeros((BATCH, UNITS), "float32")


def close(got, expected):
    got, expected = arrays(got), arrays(expected)
    assert len(got) == len(expected)
    for g, e in zip(got, expected, strict=True):
        np.testing.assert_allclose(g, e, rtol=0, atol=TOLERANCE["float32"])


def rows(value):
    return np.broadcast_to(value, (BATCH, UNITS)).astype("float32")


FORMS = {
    "list": ([H, C], [H, C]),
    "tuple": ((H, C), [H, C]),
    "dict": ({"h": H, "c": C}, [H, C]),
    "dict in another order": ({"c": C, "h": H}, [H, C]),
    "only c": ({"c": C}, [ZERO, C]),
    "only h": ({"h": H}, [H, ZERO]),
    "empty dict": ({}, [ZERO, ZERO]),
    "None in a dict": ({"h": None, "c": C}, [ZERO, C]),
    "units": ({"h": ROW}, [rows(ROW), ZERO]),
    "one row": ({"h": ROW[None]}, [rows(ROW), ZERO]),
    "a number": ({"c": 0.5}, [ZERO, rows(0.5)]),
    "a number beside an array": ({"h": H, "c": 0.5}, [H, rows(0.5)]),
    "list of units": ([ROW, ROW], [rows(ROW), rows(ROW)]),
    "float64": ({"h": H.astype("float64")}, [H, ZERO]),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_means_the_same_state(form):
    given_state, meant = FORMS[form]
    layer = LSTM(UNITS, **BOTH)
    close(layer(X, initial_state=given_state), layer(X, initial_state=meant))


@pytest.mark.parametrize(
    "form", ["dict", "only c", "units", "a number", "a number beside an array"]
)
def test_every_form_works_inside_a_model_and_comes_back_from_disk(form, tmp_path):
    given_state, _ = FORMS[form]
    x = keras.Input((None, FEATURES))
    layer = LSTM(UNITS)
    model = keras.Model(x, layer(x, initial_state=keras.tree.map_structure(_one_row, given_state)))
    expected = layer(X, initial_state=keras.tree.map_structure(_one_row, given_state))
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    close([model.predict(X, verbose=0), again.predict(X, verbose=0)], [expected, expected])


def _one_row(value):
    return value[:1] if np.ndim(value) == 2 else value


SINGLE = {"tensor": H, "list": [H], "dict": {"h": H}}


@pytest.mark.parametrize("form", SINGLE)
@pytest.mark.parametrize("layer", ["GRU", "SimpleRNN"])
def test_a_single_state_may_come_bare(layer, form):
    made = getattr(seqstate.layers, layer)(UNITS, **BOTH)
    close(made(X, initial_state=SINGLE[form]), made(X, initial_state=[H]))


def test_a_state_from_another_layer():
    x = keras.Input((None, FEATURES))
    y = LSTM(UNITS)(x, initial_state={"c": keras.layers.Dense(UNITS, name="into_c")(x[:, 0])})
    model = keras.Model(x, y)
    model.compile("sgd", "mse")
    before = array(model.get_layer("into_c").kernel)
    model.fit(X, np.ones((BATCH, UNITS)), verbose=0)
    assert np.abs(array(model.get_layer("into_c").kernel) - before).max() > 0


def test_bidirectional_takes_each_direction_by_name_and_in_part():
    layer = Bidirectional(LSTM(UNITS, **BOTH))
    whole = layer(X, initial_state=[H, C, C, H])
    named = {"forward": {"h": H, "c": C}, "backward": [C, H]}
    close(layer(X, initial_state=named), whole)
    part = layer(X, initial_state={"backward": {"c": ROW}})
    close(part, layer(X, initial_state=[ZERO, ZERO, ZERO, rows(ROW)]))


def test_a_number_beside_an_array_in_two_directions():
    layer = Bidirectional(LSTM(UNITS, **BOTH))
    mixed = {"forward": {"h": 0.5, "c": C}, "backward": {"h": 1.0}}
    close(layer(X, initial_state=mixed), layer(X, initial_state=[rows(0.5), C, rows(1.0), ZERO]))


def test_a_stack_takes_each_cell_by_name_and_in_part():
    layer = RNN([LSTMCell(4), GRUCell(UNITS)], **BOTH)
    wide = data(BATCH, 4, seed=8)
    part = layer(X, initial_state={"cell_0": {"c": wide}, "cell_1": H})
    close(part, layer(X, initial_state=[[np.zeros_like(wide), wide], [H]]))


@pytest.mark.parametrize("layer", LAYERS)
def test_the_gradient_reaches_the_initial_state(layer):
    made = getattr(seqstate.layers, layer)(UNITS, **BOTH)
    made.build((BATCH, TIME, FEATURES))
    names = list(made.steps.spec)
    states = [H, C][: len(names)]
    listed = values_and_gradients(made, lambda t: made(t[0], initial_state=t[1:]), [X, *states])
    named = values_and_gradients(
        made, lambda t: made(t[0], initial_state=dict(zip(names, t[1:], strict=True))), [X, *states]
    )
    close(named, listed)
    assert all(np.abs(g).max() > 1e-3 for g in named[1][-len(states) :])


# Learned

MAKERS = {
    "SimpleRNN": lambda: seqstate.layers.SimpleRNN(UNITS, learn_initial_state=True),
    "GRU": lambda: GRU(UNITS, learn_initial_state=True),
    "LSTM": lambda: LSTM(UNITS, learn_initial_state=True),
    "stack": lambda: RNN([LSTMCell(4), GRUCell(UNITS)], learn_initial_state=True),
    "bidirectional": lambda: Bidirectional(LSTM(UNITS, learn_initial_state=True)),
}


@pytest.mark.parametrize("maker", MAKERS)
def test_a_learned_initial_state_is_trained_saved_and_used(maker, tmp_path):
    model = keras.Sequential([keras.Input((None, FEATURES)), MAKERS[maker]()])
    model.compile(keras.optimizers.SGD(0.5), "mse")
    learned = [w for w in model.weights if "initial_state/" in w.path]
    assert learned
    assert not any(array(w).any() for w in learned)
    model.fit(X, np.ones((BATCH, model.output_shape[-1])), verbose=0)
    assert all(np.abs(array(w)).max() > 0 for w in learned)
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    close(again.predict(X, verbose=0), model.predict(X, verbose=0))
    for w in learned:
        w.assign(np.ones(w.shape))
    assert np.abs(again.predict(X, verbose=0) - model.predict(X, verbose=0)).max() > 1e-3


def test_a_learned_state_comes_after_the_weights_that_keras_has():
    layer = LSTM(UNITS, learn_initial_state=True)
    layer.build((BATCH, TIME, FEATURES))
    names = ["kernel", "recurrent_kernel", "bias", "h", "c"]
    assert [w.name for w in layer.weights] == names
    for i, name in enumerate(("h", "c")):
        layer.weights[3 + i].assign(data(UNITS, seed=30 + i))
        close(layer.start_values(2)[name], np.stack([data(UNITS, seed=30 + i)] * 2))
    plain = LSTM(UNITS)
    plain.build((BATCH, TIME, FEATURES))
    plain.set_weights(layer.get_weights()[:3])
    close(layer(X), plain(X, initial_state={"h": data(UNITS, seed=30), "c": data(UNITS, seed=31)}))
    close(layer(X, initial_state={"h": 0.0, "c": 0.0}), plain(X))


def test_a_frozen_layer_does_not_train_its_initial_state():
    layer = LSTM(UNITS, learn_initial_state=True, trainable=False)
    model = keras.Sequential([keras.Input((None, FEATURES)), layer, keras.layers.Dense(1)])
    assert [v.path.rpartition("/")[2] for v in model.trainable_variables] == ["kernel", "bias"]


# Rows that start anew

RESETS = np.array([[0, 0, 1, 0, 0], [0, 1, 0, 0, 1], [1, 0, 0, 0, 0]], bool)


def pieces(row):
    """Give the borders of the sequences that a row of a reset mask joins."""
    starts = [0, *(t for t in range(1, TIME) if row[t]), TIME]
    return list(itertools.pairwise(starts))


@pytest.mark.parametrize("learned", [False, True], ids=["zeros", "learned"])
@pytest.mark.parametrize("kind", ["GRU", "LSTM", "backwards", "bidirectional"])
def test_joined_sequences_are_the_same_as_separate_ones(kind, learned):
    made = {"return_sequences": True, "learn_initial_state": learned}
    layer = {
        "GRU": lambda: GRU(UNITS, **made),
        "LSTM": lambda: LSTM(UNITS, **made),
        "backwards": lambda: LSTM(UNITS, go_backwards=True, **made),
        "bidirectional": lambda: Bidirectional(LSTM(UNITS, **made)),
    }[kind]()
    layer.build((BATCH, TIME, FEATURES))
    layer.set_weights([data(*w.shape, seed=i) * 0.5 for i, w in enumerate(layer.weights)])
    joined = array(layer(X, reset_mask=RESETS))
    if kind == "backwards":
        joined = joined[:, ::-1]
    for r in range(BATCH):
        for start, stop in pieces(RESETS[r]):
            alone = array(layer(X[r : r + 1, start:stop]))[0]
            alone = alone[::-1] if kind == "backwards" else alone
            np.testing.assert_allclose(
                joined[r, start:stop], alone, rtol=0, atol=TOLERANCE["float32"]
            )


def test_a_reset_at_the_first_step_drops_the_initial_state_of_that_row():
    layer = LSTM(UNITS, returns=("state", "sequence"))
    got, fresh, kept = (
        layer(X, initial_state={"h": H, "c": C}, reset_mask=RESETS),
        layer(X),
        layer(X, initial_state={"h": H, "c": C}),
    )
    close(got["sequence"][2], fresh["sequence"][2])
    close(got["sequence"][0, :2], kept["sequence"][0, :2])


def test_no_gradient_crosses_a_reset():
    layer = LSTM(UNITS, return_sequences=True)
    layer.build((BATCH, TIME, FEATURES))

    def last(tensors):
        return layer(tensors[0], reset_mask=RESETS)[:, -1]

    by_input = values_and_gradients(layer, last, [X])[1][-1]
    assert not by_input[0, :2].any()
    assert np.abs(by_input[0, 2:]).min(axis=-1).max() > 0
    assert not by_input[1, :4].any()
    assert by_input[2].any(axis=-1).all()


def test_a_reset_counts_also_where_the_mask_skips_the_step():
    mask = np.ones((BATCH, TIME), bool)
    mask[0, 2] = False
    got = LSTM(UNITS, returns="states")(X, mask=mask, reset_mask=RESETS)["states"]
    assert not array(got["c"])[0, 2].any()


# Lengths

LENGTHS = np.array([5, 2, 0], "int32")
AS_MASK = np.arange(TIME) < LENGTHS[:, None]


@pytest.mark.parametrize("form", ["numpy", "list", "tensor"])
@pytest.mark.parametrize("backwards", [False, True])
def test_lengths_are_a_right_padded_mask(form, backwards):
    layer = LSTM(UNITS, returns="all", go_backwards=backwards)
    lengths = {
        "numpy": LENGTHS,
        "list": LENGTHS.tolist(),
        "tensor": keras.ops.convert_to_tensor(LENGTHS),
    }[form]
    close(layer(X, lengths=lengths), layer(X, mask=AS_MASK))


def test_lengths_and_a_mask_both_count():
    layer = GRU(UNITS, returns="all")
    both = layer(X, lengths=LENGTHS, mask=MASKS["with holes"])
    close(both, layer(X, mask=AS_MASK & MASKS["with holes"]))


def test_a_length_of_zero_leaves_the_state_as_it_was():
    got = LSTM(UNITS, returns="all")(X, lengths=LENGTHS, initial_state={"h": H, "c": C})
    close([got["state"]["h"][2], got["state"]["c"][2], got["output"][2]], [H[2], C[2], H[2]])


@pytest.mark.parametrize("wrap", [False, True], ids=["plain", "bidirectional"])
def test_lengths_travel_on_as_a_mask(wrap):
    first = LSTM(UNITS, return_sequences=True)
    first = Bidirectional(first) if wrap else first
    second = GRU(UNITS)
    close(second(first(X, lengths=LENGTHS)), second(first(X, mask=AS_MASK), mask=AS_MASK))


@given(st.lists(st.integers(0, TIME), min_size=BATCH, max_size=BATCH))
@settings(max_examples=15)
def test_padding_does_not_matter(lengths):
    """Whatever stands after the end of a row, NaN too, reaches no value and no gradient."""
    if not _PADDED:
        layer = LSTM(UNITS, returns=("output", "state"))
        layer.build(X.shape)
        _PADDED["run"] = compiled(lambda x, lengths: layer(x, lengths=lengths))
    run = _PADDED["run"]
    clean, dirty = X.copy(), X.copy()
    for row, length in enumerate(lengths):
        clean[row, length:] = 0
        dirty[row, length:] = np.nan
    lengths = np.array(lengths, "int32")
    close(run(dirty, lengths), run(clean, lengths))


_PADDED = {}


def test_nan_in_the_padding_reaches_no_gradient():
    layer = LSTM(UNITS)
    layer.build((BATCH, TIME, FEATURES))
    dirty = X.copy()
    dirty[~MASKS["with holes"]] = np.nan
    _, grads = values_and_gradients(layer, lambda t: layer(t[0], mask=MASKS["with holes"]), [dirty])
    assert all(np.isfinite(g).all() for g in grads)


def test_masks_may_be_lists():
    layer, mask = LSTM(UNITS, returns="all"), MASKS["with holes"]
    expected = layer(X, mask=mask, reset_mask=RESETS, lengths=LENGTHS)
    close(layer(X, mask=mask.tolist(), reset_mask=RESETS.tolist(), lengths=LENGTHS), expected)


# A mask that travels with the input

IDS = np.array([[1, 2, 0], [3, 0, 0], [1, 0, 2]])


def test_a_travelling_mask_is_used_beside_a_state_by_name():
    embedded = keras.layers.Embedding(5, FEATURES, mask_zero=True)(IDS)
    layer = LSTM(UNITS)
    for more in (
        {"initial_state": {"h": H}},
        {"lengths": np.array([3, 3, 2])},
        {"reset_mask": IDS == 2},
    ):
        close(layer(embedded, **more), layer(embedded, mask=IDS != 0, **more))


@pytest.mark.parametrize("forward", [[H], {"h": H}], ids=["list", "dict"])
def test_a_travelling_mask_is_used_in_both_directions_beside_states_by_direction(forward):
    embedded = keras.layers.Embedding(5, FEATURES, mask_zero=True)(IDS)
    layer = Bidirectional(GRU(UNITS))
    state = {"forward": forward}
    close(layer(embedded, initial_state=state), layer(embedded, mask=IDS != 0, initial_state=state))


@pytest.mark.parametrize("wrap", [False, True], ids=["plain", "bidirectional"])
def test_a_travelling_mask_beside_a_list_is_dropped_as_in_keras_but_not_silently(wrap):
    embedded = keras.layers.Embedding(5, FEATURES, mask_zero=True)(IDS)
    layer = Bidirectional(GRU(UNITS)) if wrap else GRU(UNITS)
    state = [H, H] if wrap else [H]
    with pytest.warns(UserWarning, match="mask that is not used") as caught:
        got = layer(embedded, initial_state=state)
    assert "Give the initial state by name" in str(caught[0].message)
    close(got, layer(array(embedded), initial_state=state))


def test_the_travelling_mask_is_used_in_a_compiled_model():
    ids = keras.Input((None,), dtype="int32")
    h = keras.Input((UNITS,))
    embedding, layer = keras.layers.Embedding(5, FEATURES, mask_zero=True), LSTM(UNITS)
    model = keras.Model([ids, h], layer(embedding(ids), initial_state={"h": h}))
    expected = layer(array(embedding(IDS)), mask=IDS != 0, initial_state={"h": H})
    close(model.predict([IDS, H], verbose=0), expected)


@pytest.mark.parametrize("wrap", [False, True], ids=["plain", "bidirectional"])
def test_a_masked_model_takes_any_number_of_steps(wrap):
    ids = keras.Input((None,), dtype="int32")
    embedding, layer = keras.layers.Embedding(5, FEATURES, mask_zero=True), LSTM(UNITS)
    layer = Bidirectional(layer) if wrap else layer
    model = keras.Model(ids, layer(embedding(ids)))
    for steps in (3, 2, 1):
        cut = IDS[:, :steps]
        expected = layer(array(embedding(cut)), mask=cut != 0)
        close(model.predict(cut, verbose=0), expected)
