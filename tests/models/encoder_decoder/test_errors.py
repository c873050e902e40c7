"""A table of bad input: each error says where, what came, what was expected, what to do."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from cases import data
from encoder_decoders import SOURCE, START, STOP, TARGET, decoder, encoder, of_values, translator
from seqstate.errors import ArgumentError, DataError, InputError, StateMismatchError
from seqstate.layers import GRU, LSTM, Bidirectional
from seqstate.models import Bahdanau, Decoder, Encoder, EncoderDecoder, HandOver


def says(**how):
    return Decoder(GRU(4, name="says"), name="d", **{"tokens": 6, "start": 5, **how})


def turns(rules, **second):
    two = Decoder(GRU(4), **{"tokens": 6, "start": 5, **second})
    return HandOver({"a": says(), "b": two}, rules, name="turns")


MADE = {
    "no start": (
        lambda: says(start=None),
        'Decoder "d": start is missing',
        "tokens=7, start=6",
    ),
    "a start that is no token": (lambda: says(start=6), "start=6 is no token", "larger"),
    "a stop that is no number": (lambda: says(stop="."), "stop='.' is no token", "its id"),
    "one token for both ends": (lambda: says(stop=5), "the same token, 5", "Take two"),
    "tokens and values": (lambda: says(outputs=2), "expected one of the two", "outputs="),
    "neither": (lambda: Decoder(GRU(4)), "expected one of the two", "tokens="),
    "a stop for values": (
        lambda: Decoder(GRU(4), outputs=2, stop=1),
        "stop is a token, but the values are real",
        "Leave it out",
    ),
    "a start of another size": (
        lambda: Decoder(GRU(4), outputs=2, start=[1, 2, 3]),
        "start has shape (3,); expected a number, or 2 of them",
        "read at the first step",
    ),
    "padding of values": (
        lambda: Encoder(GRU(4), padding=0),
        "padding=0 is a token, but the values are real",
        "Masking",
    ),
    "padding that is no token": (
        lambda: Encoder(GRU(4), tokens=3, padding=3),
        "padding=3 is no token",
        "Count",
    ),
    "an unknown attention": (lambda: says(attention="dot"), "attention='dot'", "Bahdanau"),
    "a decoder that runs both ways": (
        lambda: Decoder(Bidirectional(GRU(4)), tokens=6, start=5),
        "reads the steps from the end",
        "an encoder may run both ways",
    ),
    "a decoder with a convolution": (
        lambda: Decoder([GRU(4), layers.Conv1D(3, 2)], tokens=6, start=5),
        "may do something else for a step",
        "Dense",
    ),
    "a stateful layer": (
        lambda: Encoder(GRU(4, stateful=True)),
        "is stateful",
        "`step` hand the state out",
    ),
    "one of Keras's layers": (
        lambda: Encoder(layers.LSTM(4)),
        "is one of Keras's own",
        "seqstate.layers.LSTM",
    ),
    "no recurrent layer": (lambda: Encoder(layers.Dense(4)), "no recurrent layer", "LSTM"),
    "a stop that does not count": (
        lambda: says(stop=4, padding=4),
        "padding and stop are the same token, 4",
        "Leave padding out",
    ),
    "no tokens": (lambda: says(tokens="6"), "tokens='6'; expected a whole number", "tokens=1"),
    "no outputs": (lambda: Decoder(GRU(4), outputs=0), "outputs=0; expected a whole", "outputs=1"),
    "a start of values that is none": (
        lambda: Decoder(GRU(4), outputs=2, start="a"),
        "start has 'a'; expected a number",
        "read at the first step",
    ),
    "an embedding of no size": (
        lambda: Encoder(GRU(4), tokens=6, embedding=0),
        "embedding=0; expected a whole number",
        "embedding=1",
    ),
    "an embedding for fewer tokens": (
        lambda: Encoder(GRU(4), tokens=6, embedding=layers.Embedding(5, 3)),
        "has vectors for 5 tokens; expected 6",
        "Embedding(6, 3)",
    ),
    "a head that is none": (lambda: says(head=6), "head is a int; expected a layer", "Dense(6)"),
    "a head for fewer tokens": (
        lambda: EncoderDecoder(encoder(), says(head=layers.Dense(5, name="top"))).build(
            {"source": (None, 4)}
        ),
        'the head "top" gives 5 numbers a step; expected 6',
        "Dense(6)",
    ),
    "a head of probabilities": (
        lambda: says(head=layers.Dense(6, activation="softmax")),
        "gives probabilities; expected scores",
        "Leave its softmax out",
    ),
    "attention of no size": (
        lambda: Bahdanau(units=0, name="looks"),
        'Bahdanau "looks": units=0; expected a whole number',
        "units=1",
    ),
    "a layer with the name of the memory": (
        lambda: Decoder(GRU(4, name="memory"), outputs=1),
        "the name 'memory' can't stand in a state",
        "another name",
    ),
    "a speaker with the name of the turns": (
        lambda: HandOver({"active": says(), "b": says()}, []),
        "the name 'active' can't stand in a state",
        "another name",
    ),
    "a speaker with a slash": (
        lambda: HandOver({"a/b": says(), "b": says()}, []),
        "expected a text without a slash",
        "another name",
    ),
    "speakers without names": (
        lambda: HandOver([says(), says()], []),
        "got list; expected a dict of decoders by name",
        '{"letters": Decoder(...)',
    ),
    "a speaker that is no decoder": (
        lambda: HandOver({"a": GRU(4), "b": GRU(4)}, []),
        "a: got GRU; expected a Decoder",
        "Decoder(LSTM(64)",
    ),
    "a rule of two": (
        lambda: turns([("a", "b")]),
        "rules[0]: got ('a', 'b'); expected (speaker, token, to)",
        "goes on",
    ),
    "a rule for text": (lambda: turns([("a", "1", "b")]), "rules[0]: '1' is no token", "Name a"),
    "no layer": (lambda: Encoder(4), "got 4; expected a layer", "LSTM(64)"),
    "two layers of one name": (
        lambda: Encoder([GRU(4, name="g"), GRU(4, name="g")]),
        "two layers have the name 'g'",
        "a name of its own",
    ),
    "a decoder that is none": (
        lambda: EncoderDecoder(encoder(), GRU(4)),
        "got GRU; expected a Decoder",
        "Decoder(LSTM(64)",
    ),
    "an unknown way to hand on": (
        lambda: EncoderDecoder(encoder(), decoder(), hand_on="h"),
        "hand_on='h'",
        "repeat",
    ),
    "repeat with attention": (
        lambda: EncoderDecoder(encoder(), decoder(attention="luong"), hand_on="repeat"),
        'hand_on="repeat" with attention',
        "Leave one of them out",
    ),
    "an unknown bridge": (
        lambda: EncoderDecoder(encoder(), decoder(), bridge="linear"),
        "bridge='linear'",
        "A layer takes",
    ),
    "an unknown speaker": (
        lambda: turns([("a", 1, "c")]),
        "there is no decoder 'c'; there are 'a', 'b'",
        "Use these names",
    ),
    "a token that nobody says": (lambda: turns([("a", 6, "b")]), "6 is no token", "Name a"),
    "two rules for one token": (
        lambda: turns([("a", 1, "b"), ("a", 1, "a")]),
        "two rules say what follows when 'a' says 1",
        "Leave one",
    ),
    "decoders of two vocabularies": (
        lambda: turns([], tokens=7),
        "different `tokens`: a: 6, b: 7",
        "give all the same",
    ),
}


def expect(call, error, says, todo):
    with pytest.raises(error) as caught:
        call()
    text = str(caught.value)
    assert says in text, text
    assert todo in text.partition("\n")[2], text


@pytest.mark.parametrize("name", MADE)
def test_what_can_t_be_made(name):
    call, says, todo = MADE[name]
    expect(call, ArgumentError, says, todo)


CHANGED = TARGET.copy()
CHANGED[1, 2] = 6
UNSTOPPED = np.where(TARGET == STOP, 1, TARGET)
STARTED = np.concatenate([np.full((3, 1), START), TARGET], axis=1)
HOLE = data(3, 4, 3)
HOLE[1, 2, 0] = np.nan


def fit(source=SOURCE, target=TARGET, **how):
    model = EncoderDecoder(encoder(), decoder(), name="m")
    model.compile("sgd")
    model.fit(source, target, verbose=0, **how)


LEARNED = {
    "a token beyond the vocabulary": (
        lambda: fit(target=CHANGED),
        DataError,
        "the target has the token 6 at row 1, step 2; there are 0 to 5 (tokens=6)",
        "tokens=7",
    ),
    "a source beyond the vocabulary": (
        lambda: fit(source=SOURCE + 2),
        DataError,
        "the source has the token 4",
        "number the tokens anew",
    ),
    "the start token in the target": (
        lambda: fit(target=STARTED),
        DataError,
        "begins with the start token, 5",
        "target[:, 1:]",
    ),
    "no stop token": (
        lambda: fit(target=UNSTOPPED),
        DataError,
        "the stop token, 4, is in no row",
        "Put it at the end",
    ),
    "no target": (lambda: fit(target=None), InputError, "without a target", "fit(source, target)"),
    "one hot": (
        lambda: fit(target=np.eye(6)[TARGET]),
        InputError,
        "expected [batch, time] of tokens",
        "argmax",
    ),
    "an axis too many": (
        lambda: fit(target=TARGET[..., None]),
        InputError,
        "has shape (3, 5, 1); expected [batch, time] of tokens",
        "values[..., 0]",
    ),
    "tensors beyond the vocabulary": (
        lambda: fit(source=ops.convert_to_tensor(SOURCE + 2)),
        DataError,
        "the source has the token 4",
        "tokens=6",
    ),
    "a token below 0": (
        lambda: fit(source=SOURCE - 1),
        DataError,
        "the source has the token -1",
        "from 0 on",
    ),
    "inputs beyond the vocabulary": (
        lambda: fit(source={"source": SOURCE + 2, "target": TARGET}),
        DataError,
        "the source has the token 4",
        "tokens=6",
    ),
    "a dataset with a target beside it": (
        lambda: fit(source=iter([(SOURCE, TARGET)])),
        InputError,
        "and a target; expected one of the two",
        "leave y out",
    ),
    "weights of classes": (
        lambda: fit(class_weight={0: 1.0}),
        ArgumentError,
        "class_weight is for one class a row",
        "sample_weight=weights[target]",
    ),
    "lists of unequal length": (
        lambda: fit(source=[[1, 2], [1]]),
        InputError,
        "is a Python list",
        "pad_sequences",
    ),
    "text": (
        lambda: fit(target=TARGET + 0.5),
        InputError,
        "dtype float64; expected whole numbers",
        "StringLookup",
    ),
    "unequal rows": (
        lambda: fit(source=SOURCE[:2]),
        InputError,
        "the source has 2 rows, the target 3",
        "one target for each",
    ),
    "a ratio above one": (
        lambda: fit(teacher_forcing=1.5),
        ArgumentError,
        "teacher_forcing=1.5; expected a ratio from 0 to 1",
        "(first, last)",
    ),
    "a function that leaves the range": (
        lambda: fit(teacher_forcing=lambda epoch: -1),
        ArgumentError,
        "gave -1; expected",
        "a function of the epoch",
    ),
    "NaN in a source": (
        lambda: of_values().evaluate(HOLE, data(3, 2, 2)),
        DataError,
        "the source is NaN at row 1, step 2",
        "sample_weight",
    ),
    "another number of values": (
        lambda: of_values().evaluate(data(3, 4, 3), data(3, 2, 5)),
        InputError,
        "the target has 5 values at each step; expected 2",
        "Pass",
    ),
    "forcing where nothing is read": (
        lambda: of_values("repeat").fit(data(3, 4, 3), data(3, 2, 2), teacher_forcing=0.5),
        ArgumentError,
        'with hand_on="repeat"',
        "Leave it out",
    ),
}


@pytest.mark.parametrize("name", LEARNED)
def test_what_can_t_be_learned(name):
    expect(*LEARNED[name])


@pytest.fixture(scope="module")
def model():
    return translator(name="m")


SAID = {
    "an unknown method": ({"method": "best"}, "method='best'; expected 'greedy', 'beam', 'sample'"),
    "an unknown setting": ({"beams": 3}, "there is no setting 'beams'"),
    "a setting of another method": (
        {"method": "beam", "top_k": 3},
        "top_k is a setting of method='sample'; this is 'beam'",
    ),
    "no beam": ({"method": "beam", "beam_width": 0}, "beam_width=0; expected a whole number"),
    "more than all tokens": (
        {"method": "sample", "top_k": 7},
        "top_k=7; expected a whole number from 1 to 6",
    ),
    "a cold sample": ({"method": "sample", "temperature": 0}, "temperature=0; expected above 0"),
    "no probability": ({"method": "sample", "top_p": 0.0}, "top_p=0.0; expected above 0, up to 1"),
    "a prize for length": (
        {"method": "beam", "length_penalty": -1},
        "length_penalty=-1; expected from 0 on",
    ),
    "a seed that is none": ({"method": "sample", "seed": -1}, "seed=-1; expected a whole number"),
    "a temperature in words": ({"method": "sample", "temperature": "low"}, "temperature='low'"),
    "a beam of words": ({"method": "beam", "every_beam": "no"}, "every_beam='no'; expected True"),
    "a method that is no name": ({"method": []}, "method=[]; expected 'greedy'"),
    "nothing for a length": ({"max_length": None}, "max_length=None; expected a whole number"),
    "no length": ({"max_length": 0}, "max_length=0; expected a whole number from 1 on"),
    "no batch": ({"batch_size": 0}, "batch_size=0; expected a whole number from 1 on"),
    "an unknown decoder": ({"decoder": "b"}, "decoder='b'; there are 'decoder'"),
}


@pytest.mark.parametrize("name", SAID)
def test_what_can_t_be_said(model, name):
    how, says = SAID[name]
    expect(lambda: model.generate(SOURCE, **{"max_length": 3, **how}), ArgumentError, says, "")


def test_values_have_no_probabilities():
    expect(
        lambda: of_values().generate(data(1, 2, 3), 2, "beam"),
        ArgumentError,
        "method='beam', but the decoder says real values",
        "Leave it out",
    )


def test_what_a_step_can_t_read(model):
    state = model.encode(SOURCE)
    start = np.full(3, START)
    wrong = [
        (lambda: model.step(start[:, None], state), InputError, "step reads shape (3, 1)", "["),
        (
            lambda: model.step(start, {}),
            StateMismatchError,
            "the state has no 'says/h'",
            "`encode`",
        ),
        (
            lambda: model.step(start, {"says": {**state["says"], "c": np.zeros((3, 5), "f4")}}),
            StateMismatchError,
            'state["says"]["c"] has shape (3, 5); expected (3, 4)',
            "units=4",
        ),
        (lambda: model.step(start[:2], state), StateMismatchError, "has 3 rows; expected 2", ""),
        (lambda: model.step(start + 1, state), DataError, "the step before has the token 6", ""),
        (lambda: model.step(start, None), StateMismatchError, "it has nothing", "`encode`"),
    ]
    for call, error, says, todo in wrong:
        expect(call, error, says, todo.strip("["))


def test_a_step_needs_all_that_it_looks_at():
    model = translator("luong")
    state, few = model.encode(SOURCE), model.encode(SOURCE[:2])
    start = np.full(3, START)
    expect(
        lambda: model.step(start, {"says": state["says"]}),
        StateMismatchError,
        "the state has no 'memory/sequence'",
        "`encode`",
    )
    expect(
        lambda: model.step(start, {**state, "memory": few["memory"]}),
        StateMismatchError,
        "'memory/sequence' has 2 rows; expected 3",
        "the same rows",
    )
    model = EncoderDecoder(encoder(), turns([("a", 1, "b")]))
    expect(lambda: model.step(start, {}), StateMismatchError, "the state has no 'a/says/h'", "")
    state = model.encode(SOURCE)
    del state["active"]
    expect(lambda: model.step(start, state), StateMismatchError, "has no 'active'", "`encode`")


def test_tokens_that_are_not_there_are_not_predicted(model):
    expect(
        lambda: model.predict({"source": SOURCE + 2, "target": TARGET}),
        DataError,
        "the source has the token 4",
        "tokens=6",
    )


def test_what_the_model_is_not_called_with(model):
    for call in (lambda: model(SOURCE), lambda: model.predict(SOURCE)):
        expect(call, InputError, "expected a dict with 'source' and 'target'", "generate(x")


@keras.saving.register_keras_serializable(package="tests")
class Nothing(layers.Layer):
    def call(self, state):
        return {"says": {"h": state["reads"]["h"]}}


def test_a_bridge_that_leaves_a_state_out():
    model = EncoderDecoder(encoder(), decoder(LSTM(4, name="says")), bridge=Nothing())
    expect(
        lambda: model.build({"source": (None, 4)}),
        ArgumentError,
        "the bridge gives says/h (4,); expected says/h (4,), says/c (4,)",
        "Give a dict",
    )
