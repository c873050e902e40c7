import io
import re
import sys
from itertools import product

import keras
import numpy as np
import pytest

import seqstate.layers
from cases import BATCH, FEATURES, LAYERS, TIME, UNITS, data
from explained import body, explain, forecaster, lines, nested
from seqstate.errors import ArgumentError, MissingPackageError
from seqstate.layers import GRU, LSTM, RNN, Bidirectional, GRUCell, LSTMCell
from seqstate.models.explain import explain as printed

K = keras.layers
OF = {"keras": keras.layers, "seqstate": seqstate.layers}
X = data(BATCH, TIME, FEATURES)
FLAGS = [
    {"return_sequences": sequences, "return_state": state}
    for sequences, state in product((False, True), repeat=2)
]
MERGES = ("concat", "sum", "ave", "mul")


def built(layer, shape=(None, TIME, FEATURES)):
    layer(keras.Input(shape[1:]))
    return layer


def shapes_in(text) -> list[tuple[int | None, ...]]:
    """Read the shapes back from the text, without the batch."""
    return [
        tuple(int(size.split()[-1]) if " " in size else None for size in axes.split(", ")[1:])
        for axes in re.findall(r"\[(batch[^]]*)\]", text)
    ]


def layers():
    """Yield a layer of each kind, of Keras and of ours, in both directions and stacked."""
    for (of, m), (number, flags) in product(OF.items(), enumerate(FLAGS)):
        made = {
            LAYERS[number % 3]: lambda m=m, f=flags, n=LAYERS[number % 3]: getattr(m, n)(3, **f),
            "LSTM": lambda m=m, f=flags: m.LSTM(UNITS, **f),
            "backwards": lambda m=m, f=flags: m.GRU(2, go_backwards=True, **f),
        }
        if flags["return_state"]:
            made["stack"] = lambda m=m, f=flags: m.RNN([m.LSTMCell(4), m.GRUCell(2)], **f)
        for merge in (MERGES[number], None):
            made[f"Bidirectional {merge}"] = lambda m=m, f=flags, how=merge: m.Bidirectional(
                m.SimpleRNN(UNITS, **f), merge_mode=how
            )
        for name, make in made.items():
            yield f"{of}, {name}, {flags}", make


def named():
    """Yield layers that give their results by name."""
    for returns in ("all", ("sequence", "state"), ("states",)):
        yield f"LSTM {returns}", lambda r=returns: LSTM(UNITS, returns=r)
    for merge in ("concat", "sum", None):
        yield (
            f"Bidirectional {merge}",
            lambda merge=merge: Bidirectional(GRU(UNITS, returns="all"), merge),
        )
    yield "stack", lambda: RNN([LSTMCell(4), GRUCell(2)], returns="all")


def cases(of):
    return [pytest.param(make, id=name) for name, make in of()]


@pytest.mark.parametrize("make", cases(layers))
def test_results_in_order_have_the_shapes_that_the_layer_gives(make):
    layer = make()
    results = layer(X)
    real = [tuple(one.shape) for one in keras.tree.flatten(results)]
    (facts,) = explain(layer).layers
    assert [(BATCH, *value.shape[1:]) for value in facts.comes_out] == real
    text = "\n".join(body(layer)).partition("comes out")[2]
    assert [(BATCH, *shape) for shape in shapes_in(text)] == real
    if len(real) > 1:
        places = [value.place for value in facts.comes_out]
        for place, shape in zip(places, real, strict=True):
            one = results
            for index in place.split("."):
                one = one[int(index) - 1]
            assert tuple(one.shape) == shape
    if layer.return_state:
        carried = list(facts.carried.values())
        assert [shape[1:] for shape in real[-len(carried) :]] == carried
        assert [value.state for value in facts.comes_out if value.state] == list(facts.carried)


@pytest.mark.parametrize("make", cases(named))
def test_results_by_name_have_the_names_and_shapes_that_the_layer_gives(make):
    layer = make()
    real = {}
    for name, value in layer(X).items():
        for path, leaf in seqstate.state.leaves({name: value}):
            real[path] = tuple(leaf.shape)
    (facts,) = explain(layer).layers
    said = {
        "/".join(filter(None, (value.name, part))): (BATCH, *value.shape[1:])
        for value in facts.comes_out
        for part in value.parts or ("",)
    }
    assert said == real
    text = " ".join(" ".join(body(layer)).split())
    for path in real:
        assert path.partition("/")[2] in text


@pytest.mark.parametrize("of", OF)
def test_the_state_that_is_called_c_is_c(of):
    layer = OF[of].Bidirectional(OF[of].LSTM(UNITS, return_state=True))
    results = [keras.ops.convert_to_numpy(one) for one in layer(X)]
    twin = Bidirectional(LSTM(UNITS, returns="state"))
    twin(X)
    twin.set_weights(layer.get_weights())
    states = seqstate.state.flatten(twin(X)["state"])
    (facts,) = explain(layer).layers
    for value in facts.comes_out:
        if value.state:
            expected = keras.ops.convert_to_numpy(states[value.state])
            np.testing.assert_allclose(results[int(value.place) - 1], expected, atol=1e-5)


LSTM_BOTH = """\
goes in     sequences    [batch, time 5, features 4]
is carried  h            [batch, units 3]             to the next step
            c            [batch, units 3]             to the next step
comes out   1. sequence  [batch, time 5, units 3]     h after each step
            2. state h   [batch, units 3]             h after the last step
            3. state c   [batch, units 3]             c after the last step"""
GRU_BACKWARDS = """\
goes in     sequences  [batch, time, features 4]
is carried  h          [batch, units 3]           to the next step
comes out   sequence   [batch, time, units 3]     h after each step, last step first"""
TWO_WAYS = """\
goes in     sequences            [batch, time 5, features 4]
is carried  forward/h            [batch, units 3]             to the next step
            forward/c            [batch, units 3]             to the next step
            backward/h           [batch, units 3]             to the next step
            backward/c           [batch, units 3]             to the next step
comes out   1. output            [batch, units 6]             both h after the last step, side by
                                                              side
            2. state forward/h   [batch, units 3]             forward/h after the last step
            3. state forward/c   [batch, units 3]             forward/c after the last step
            4. state backward/h  [batch, units 3]             backward/h after the last step
            5. state backward/c  [batch, units 3]             backward/c after the last step"""
APART = """\
goes in     sequences           [batch, time 5, features 4]
is carried  forward/h           [batch, units 3]             to the next step
            backward/h          [batch, units 3]             to the next step
comes out   1. forward output   [batch, units 3]             h after the last step
            2. backward output  [batch, units 3]             h after the last step"""
STACK = """\
goes in     sequences            [batch, time 5, features 4]
is carried  cell_0/h             [batch, units 4]             to the next step
            cell_0/c             [batch, units 4]             to the next step
            cell_1/h             [batch, units 2]             to the next step
comes out   1. output            [batch, units 2]             the output of cell_1 after the last
                                                              step
            2.1. state cell_0/h  [batch, units 4]             cell_0/h after the last step
            2.2. state cell_0/c  [batch, units 4]             cell_0/c after the last step
            3.1. state cell_1/h  [batch, units 2]             cell_1/h after the last step"""
BY_NAME = """\
goes in            sequences                  [batch, time 5, features 4]
is carried         h                          [batch, units 3]             to the next step
                   c                          [batch, units 3]             to the next step
comes out, a dict  sequence                   [batch, time 5, units 3]     h after each step
                   state h, c                 [batch, units 3]             after the last step
                   gates input, forget,       [batch, time 5, units 3]     as activated at each step
                   candidate, output"""
BOTH = {"return_sequences": True, "return_state": True}


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: built(LSTM(3, **BOTH)), LSTM_BOTH),
        (lambda: built(K.LSTM(3, **BOTH)), LSTM_BOTH),
        (
            lambda: built(
                K.GRU(3, return_sequences=True, go_backwards=True), (None, None, FEATURES)
            ),
            GRU_BACKWARDS,
        ),
        (lambda: built(K.Bidirectional(K.LSTM(3, return_state=True))), TWO_WAYS),
        (lambda: built(Bidirectional(K.LSTM(3, return_state=True))), TWO_WAYS),
        (lambda: built(Bidirectional(GRU(3), merge_mode=None)), APART),
        (lambda: built(K.RNN([K.LSTMCell(4), K.GRUCell(2)], return_state=True)), STACK),
        (lambda: built(LSTM(3, returns=("sequence", "state", "gates"))), BY_NAME),
    ],
)
def test_a_layer_is_explained_line_by_line(make, expected):
    assert body(make()) == expected.splitlines()


def test_a_layer_that_was_not_called_says_what_is_not_known():
    text = lines(LSTM(8, name="memory"))
    assert text[0] == 'LSTM "memory"'
    assert text[2] == "goes in     sequences  [batch, time, features ?]"
    assert "?          not known until it is called." in text
    assert lines(K.Dense(3, name="dense")) == [
        'Dense "dense"',
        "",
        "goes in    not known until it is called",
        "comes out  not known until it is called",
    ]


class Pair:
    """A cell whose output is no state and whose states are a dict."""

    state_size = {"level": 3, "slope": 2}
    output_size = 4

    def call(self, inputs, states):
        return keras.ops.ones((BATCH, 4)), states


def test_cells_of_users_have_their_own_names():
    (facts,) = explain(RNN(Pair(), **BOTH)).layers
    assert facts.carried == {"level": (3,), "slope": (2,)}
    assert [(value.name, value.shape[1:]) for value in facts.comes_out] == [
        ("sequence", (None, 4)),
        ("state level", (3,)),
        ("state slope", (2,)),
    ]
    assert facts.comes_out[0].says == "the output after each step"


@pytest.mark.parametrize(
    ("make", "formula"),
    [
        (lambda m: m.SimpleRNN(3), "24 = 1 x units x (features + units + 1) = 1 x 3 x (4 + 3 + 1)"),
        (lambda m: m.LSTM(3), "96 = 4 x units x (features + units + 1) = 4 x 3 x (4 + 3 + 1)"),
        (lambda m: m.GRU(3), "81 = 3 x units x (features + units + 2) = 3 x 3 x (4 + 3 + 2)"),
        (
            lambda m: m.GRU(3, reset_after=False),
            "72 = 3 x units x (features + units + 1) = 3 x 3 x (4 + 3 + 1)",
        ),
        (
            lambda m: m.LSTM(3, use_bias=False),
            "84 = 4 x units x (features + units) = 4 x 3 x (4 + 3)",
        ),
        (
            lambda m: m.Bidirectional(m.LSTM(3)),
            "192 = 2 x 4 x units x (features + units + 1) = 2 x 4 x 3 x (4 + 3 + 1)",
        ),
        (lambda m: m.RNN([m.LSTMCell(3), m.GRUCell(2)]), "138"),
    ],
)
@pytest.mark.parametrize("of", OF)
def test_weights_are_counted_and_the_formula_gives_their_number(of, make, formula):
    layer = built(make(OF[of]))
    (facts,) = explain(layer).layers
    assert facts.weights == formula
    assert int(formula.partition(" ")[0]) == layer.count_params()
    if "=" in formula:
        assert eval(formula.rpartition("= ")[2].replace("x", "*")) == layer.count_params()
    assert f"{formula}, for any number of steps." in " ".join(str(explain(layer)).split())


@pytest.mark.parametrize(
    ("make", "starts"),
    [
        (lambda: LSTM(3), "from zeros"),
        (lambda: LSTM(3, learn_initial_state=True), "from a learned state"),
        (lambda: Bidirectional(LSTM(3, learn_initial_state=True)), "from a learned state"),
        (lambda: K.LSTM(3, stateful=True), "from the batch before"),
    ],
)
def test_it_says_what_the_first_step_starts_from(make, starts):
    assert f"{starts}." in str(explain(make()))


@pytest.mark.parametrize(
    ("flags", "back"),
    [
        ({}, ["the output at each step", "the state"]),
        ({"return_sequences": True}, ["the state"]),
        (BOTH, []),
    ],
)
def test_it_says_what_is_held_back_and_how_to_get_it(flags, back):
    said = [line for line in lines(LSTM(3, **flags)) if line.startswith("held back")]
    assert [line.removeprefix("held back").split(";")[0].strip() for line in said] == back


@pytest.mark.parametrize(("shape", "word"), [((24, 3), "units 8"), ((None, 3), "any size goes.")])
def test_the_words_tell_units_from_time_steps(shape, word):
    text = str(explain(keras.Sequential([keras.Input(shape), LSTM(8)])))
    assert "8 units do not mean 8 steps." in text
    assert "They have nothing to do with time" in text
    assert word in text


def test_it_prints_what_str_gives(capsys):
    explanation = printed(forecaster())
    assert capsys.readouterr().out == f"{explanation}\n"
    assert repr(explanation).startswith('<explanation of Sequential "forecaster"')


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("make", [nested, lambda: Bidirectional(LSTM(3, **BOTH))])
@pytest.mark.parametrize("columns", [80, 90, 100])
def test_lines_are_broken_to_the_width_of_a_terminal_and_nothing_is_lost(
    monkeypatch, columns, make
):
    monkeypatch.setenv("COLUMNS", str(columns))
    screen = Terminal()
    explanation = printed(make(), file=screen)
    assert max(map(len, screen.getvalue().splitlines())) <= columns

    def characters(text):
        return sorted(re.sub(r"[\s─]", "", text))

    assert characters(screen.getvalue()) == characters(str(explanation))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (LSTM, "got the class LSTM; expected a layer or a model.\n  Make one of it"),
        (X, "got an array or a tensor of shape (3, 5, 4)"),
        ("model.keras", "got a str; expected a Keras layer or model.\n  For a file"),
        (None, "got a NoneType"),
        ([LSTM], "got a list"),
    ],
)
def test_what_is_no_layer_is_refused(given, says):
    with pytest.raises(ArgumentError) as error:
        explain(given)
    assert says in str(error.value)


def test_text_needs_no_matplotlib_and_the_picture_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    explanation = explain(forecaster())
    assert "lstm" in str(explanation)
    assert explanation._repr_png_() is None
    with pytest.raises(MissingPackageError, match=r'pip install "seqstate\[plots\]"'):
        explanation.draw()


def test_a_notebook_gets_the_picture():
    assert explain(LSTM(2))._repr_png_().startswith(b"\x89PNG")
