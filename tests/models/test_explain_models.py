import keras
import pytest

from cases import BATCH, FEATURES, TIME, data
from explained import body, explain, forecaster, nested
from seqstate.layers import LSTM
from seqstate.models.explain.facts import UNKNOWN

K = keras.layers
X = data(BATCH, TIME, FEATURES)


def translator():
    source, target = keras.Input((None,), name="source"), keras.Input((None,), name="target")
    embed = K.Embedding(1000, 16, name="embed")
    _, h, c = LSTM(32, return_state=True, name="encoder")(embed(source))
    decoder = LSTM(32, return_sequences=True, name="decoder")
    word = K.Dense(1000, name="word")(decoder(embed(target), initial_state={"h": h, "c": c}))
    return keras.Model([source, target], word, name="translator")


FORECASTER = """\
layer                 goes in                       is carried    comes out
lstm                  [batch, time 24, features 3]  h 8, c 8      sequence [batch, time 24, units 8]
dropout               [batch, time 24, features 8]  -             [batch, time 24, features 8]
both (Bidirectional)  [batch, time 24, features 8]  forward/h 4   output [batch, units 8]
                                                    backward/h 4
dense                 [batch, features 8]           -             [batch, units 1]"""
TRANSLATOR = """\
layer              goes in                     is carried  comes out
embed (Embedding)  [batch, time]               -           [batch, time, features 16]
encoder (LSTM)     [batch, time, features 16]  h 32, c 32  1. output [batch, units 32]
                                                           2. state h [batch, units 32]
                                                           3. state c [batch, units 32]
decoder (LSTM)     [batch, time, features 16]  h 32, c 32  sequence [batch, time, units 32]
                   initial state h, c
word (Dense)       [batch, time, features 32]  -           [batch, time, units 1000]"""
NESTED = """\
layer                  goes in                              is carried  comes out
all (TimeDistributed)  [batch, part 6, time 5, features 2]  -           [batch, part 6, features 2]
  inner (Sequential)   [batch, time 5, features 2]          -           [batch, features 2]
    stack (RNN)        [batch, time 5, features 2]          cell_0/h 3  output [batch, units 4]
                                                            cell_0/c 3
                                                            cell_1/h 4
    dense              [batch, features 4]                  -           [batch, units 2]
above (LSTM)           [batch, time 6, features 2]          h 8, c 8    output [batch, units 8]"""


@pytest.mark.parametrize(
    ("make", "expected"),
    [(forecaster, FORECASTER), (translator, TRANSLATOR), (nested, NESTED)],
)
def test_a_model_has_a_line_for_each_layer(make, expected):
    found = [line for line in body(make()) if not line.startswith("─")]
    assert found == expected.splitlines()


class Own(keras.Model):
    def __init__(self):
        super().__init__(name="own")
        self.memory = K.LSTM(3, return_sequences=True, name="memory")
        self.dense = K.Dense(1, name="dense")

    def call(self, x):
        return self.dense(self.memory(x))


def test_a_subclassed_model_is_known_as_far_as_it_is_built():
    model = Own()
    before, after = explain(model), None
    assert [facts.name for facts in before.layers] == ["memory", "dense"]
    assert before.layers[0].goes_in[0].shape == (None, None, UNKNOWN)
    assert before.layers[1].goes_in == ()
    model(X)
    after = explain(model)
    assert after.layers[0].comes_out[0].shape == (None, TIME, 3)
    assert after.layers[1].comes_out[0].shape == (None, TIME, 1)


def test_a_layer_shared_with_another_model_is_shown_as_it_is_used_here():
    shared = LSTM(3, return_sequences=True, name="shared")
    long, short = keras.Input((9, FEATURES)), keras.Input((4, FEATURES))
    models = [keras.Model(x, K.Dense(1)(shared(x))) for x in (long, short)]
    assert [explain(model).layers[0].goes_in[0].shape[1] for model in models] == [9, 4]


def test_a_model_without_layers_says_so():
    assert "Its layers are not known" in str(explain(keras.Sequential(name="empty")))


def test_layers_without_recurrence_are_explained_without_words_about_time():
    text = str(explain(keras.Sequential([keras.Input((3,)), K.Dense(2)])))
    assert "[batch, features 3]" in text
    assert "steps" not in text
