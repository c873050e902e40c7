"""Chunks with the state carried against whole sequences, and runs that would go wrong unseen."""

import contextlib
import gc
import warnings

import keras
import numpy as np
import pytest

import seqstate.layers
from cases import TOLERANCE, data
from frameworks import BACKEND
from seqstate.data import chunks
from seqstate.errors import ArgumentError, SeqstateError
from seqstate.layers import GRU, LSTM, Bidirectional

ROWS, STEPS, FEATURES, UNITS = 2, 4, 3, 5
LENGTHS = (7, 3, 10, 5, 8)
SERIES = [data(n, FEATURES, seed=n) for n in LENGTHS]
TARGETS = [data(n, 1, seed=100 + n) for n in LENGTHS]
RATE = 0.1


def given(**more):
    return chunks(SERIES, TARGETS, steps=STEPS, rows=ROWS, **more)


def compiled(model, rate=RATE, **more):
    # Eager on JAX each batch would compile anew; on TensorFlow XLA takes seconds to compile.
    jit = BACKEND == "jax"
    metrics = {"weighted_metrics": ["mse"]}
    model.compile(keras.optimizers.SGD(rate), "mse", jit_compile=jit, **metrics, **more)
    return model


def stateful_model(module=seqstate.layers, rows=ROWS, reset_input=False, **more):
    """Two layers, the second one in a model of its own."""
    made = {"return_sequences": True, "stateful": True}
    x = keras.Input(batch_shape=(rows, None, FEATURES))
    resets = keras.Input(batch_shape=(rows, None), dtype="bool")
    reset = {"reset_mask": resets} if reset_input else {}
    inside = keras.Input(batch_shape=(rows, None, UNITS))
    first, second = module.LSTM(UNITS, **made), module.GRU(UNITS, **made)
    sequence = first(x, **reset)
    sequence = (
        second(sequence, **reset) if reset_input else keras.Model(inside, second(inside))(sequence)
    )
    y = keras.layers.Dense(1)(sequence)
    return compiled(keras.Model([x, resets] if reset_input else x, y), **more)


def on_whole_sequences(model):
    """Give what a model with the same weights, that carries nothing, says of each sequence."""
    x = keras.Input((None, FEATURES))
    y = LSTM(UNITS, return_sequences=True)(x)
    y = keras.layers.Dense(1)(GRU(UNITS, return_sequences=True)(y))
    plain = keras.Model(x, y)
    plain.set_weights(model.get_weights())
    return [keras.ops.convert_to_numpy(plain(one[None]))[0] for one in SERIES]


def mean_error(said):
    return np.mean(np.concatenate([(a - b) ** 2 for a, b in zip(said, TARGETS, strict=True)]))


def close(got, expected):
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=TOLERANCE["float32"])


def predicted(model, walked):
    return walked.by_sequence(model.predict(walked, verbose=0, callbacks=[walked.resets()]))


# The oracle: whole sequences


def test_predictions_are_those_of_whole_sequences():
    model, walked = stateful_model(), given()
    expected = on_whole_sequences(model)
    close(predicted(model, walked), expected)
    close(predicted(model, walked), expected)  # nothing is left of the first time


def test_errors_are_those_of_whole_sequences_in_fit_validation_and_evaluate():
    """At a learning rate of 0, so that the weights stay and the state alone moves."""
    model, walked, other = stateful_model(rate=0.0), given(), given()
    expected = mean_error(on_whole_sequences(model))
    history = model.fit(
        walked,
        epochs=2,
        validation_data=other,
        callbacks=[walked.resets(), other.resets()],
        verbose=0,
    ).history
    evaluated = model.evaluate(walked, callbacks=[walked.resets()], return_dict=True, verbose=0)
    errors = [*history["mse"], *history["val_mse"], evaluated["mse"]]
    np.testing.assert_allclose(errors, expected, rtol=1e-5)


def test_without_the_resets_the_numbers_are_others():
    """What the tests above would not see, if the state did not matter."""
    model, walked = stateful_model(), given()
    expected = on_whole_sequences(model)
    walked.resets_before = lambda _: np.zeros(ROWS, bool)
    differences = [
        np.abs(a - b).max() for a, b in zip(predicted(model, walked), expected, strict=True)
    ]
    assert [d > 1e-3 for d in differences] == [False, False, True, True, True]


def test_a_model_that_its_first_batch_builds():
    model = keras.Sequential(
        [
            keras.Input(batch_shape=(ROWS, STEPS, FEATURES)),
            LSTM(UNITS, stateful=True, return_sequences=True),
        ]
    )
    walked = given()
    first, second = (predicted(model, walked) for _ in range(2))
    close(first, second)


@pytest.mark.skipif(BACKEND == "jax", reason="there Keras's own layers carry nothing")
def test_layers_of_keras_where_they_carry():
    model, walked = stateful_model(keras.layers), given()
    close(predicted(model, walked), on_whole_sequences(model))


# The oracle: a loop written by hand


def trained_by_hand(weights, walked, epochs):
    """Train a model that carries nothing, with the state handed on as an input."""
    x = keras.Input((STEPS, FEATURES))
    before = {name: keras.Input((UNITS,)) for name in ("h", "c")}
    r = LSTM(UNITS, returns=("sequence", "state"))(x, initial_state=before)
    inputs = [x, before["h"], before["c"]]
    model = compiled(keras.Model(inputs, keras.layers.Dense(1)(r["sequence"])))
    carry = keras.Model(inputs, [r["state"]["h"], r["state"]["c"]])
    model.set_weights(weights)
    h = c = np.zeros((ROWS, UNITS), "float32")
    for _ in range(epochs):
        for k in range(len(walked)):
            x, y, weight = walked[k]
            new = walked.resets_before(k)[:, None]
            now = [x, np.where(new, 0, h), np.where(new, 0, c)]
            h, c = carry.predict_on_batch(now)
            model.train_on_batch(now, y, sample_weight=weight)
    return model.get_weights()


def lstm_model():
    x = keras.Input(batch_shape=(ROWS, STEPS, FEATURES))
    y = keras.layers.Dense(1)(LSTM(UNITS, stateful=True, return_sequences=True)(x))
    return compiled(keras.Model(x, y))


def test_training_is_that_of_a_loop_by_hand():
    """Though `fit` shuffles, in several epochs, with a validation between them and once more."""
    model, walked = lstm_model(), given()
    before = model.get_weights()
    expected = trained_by_hand(before, walked, epochs=4)
    model.fit(walked, epochs=2, callbacks=[walked.resets()], verbose=0)
    again = [walked.resets()]
    model.fit(walked, epochs=2, validation_data=walked, callbacks=again, verbose=0)
    close(model.get_weights(), expected)
    assert max(np.abs(a - b).max() for a, b in zip(before, expected, strict=True)) > 0.05


# Resets as an input: no callback


@pytest.mark.parametrize("at_once", [1] if BACKEND == "torch" else [1, 3])
def test_resets_as_an_input_give_the_same_without_a_callback(at_once):
    model, walked = stateful_model(), given()
    other, told = (
        stateful_model(reset_input=True, steps_per_execution=at_once),
        given(reset_input=True),
    )
    other.set_weights(model.get_weights())
    model.fit(walked, epochs=2, callbacks=[walked.resets()], verbose=0)
    other.fit(told, epochs=2, verbose=0)
    close(other.get_weights(), model.get_weights())
    close(told.by_sequence(other.predict(told, verbose=0)), on_whole_sequences(model))


# Runs that would go wrong unseen

RUNS = {
    "fit": lambda m, d, **kw: m.fit(d, verbose=0, **kw),
    "evaluate": lambda m, d, **kw: m.evaluate(d, verbose=0, **kw),
    "predict": lambda m, d, **kw: m.predict(d, verbose=0, **kw),
}


@pytest.mark.parametrize("run", RUNS)
def test_without_the_callback_nothing_runs(run):
    model, walked = stateful_model(), given()
    before = model.get_weights()
    with pytest.raises(ArgumentError, match=r"nothing resets the state[\s\S]*callbacks=\["):
        RUNS[run](model, walked)
    close(model.get_weights(), before)


def test_a_callback_that_was_passed_once_does_not_count_the_next_time():
    model, walked = stateful_model(), given()
    model.fit(walked, callbacks=[walked.resets()], verbose=0)
    gc.collect()
    with pytest.raises(ArgumentError, match="nothing resets the state"):
        model.fit(walked, verbose=0)


@pytest.mark.parametrize("count", [1, 2, 6])
@pytest.mark.parametrize("run", RUNS)
def test_a_callback_that_is_there_and_not_passed(run, count):
    """The shortest epochs look like those in which Keras builds a model: the second one tells."""
    model = stateful_model()
    walked = chunks(data(ROWS, count * STEPS, FEATURES), data(ROWS, count * STEPS, 1), steps=STEPS)
    kept = walked.resets()
    RUNS[run](model, walked, callbacks=[kept])
    if count < 3:
        RUNS[run](model, walked)
    with pytest.raises(ArgumentError, match="nothing resets the state"):
        RUNS[run](model, walked)


@pytest.mark.skipif(BACKEND == "tensorflow", reason="it asks ahead: noticed at the epoch's end")
def test_a_callback_that_is_not_passed_is_noticed_after_two_batches():
    walked, ran = given(), []
    kept = walked.resets()
    count = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: ran.append(batch))
    with pytest.raises(ArgumentError, match="nothing resets the state"):
        stateful_model().fit(walked, callbacks=[count], verbose=0)
    assert ran == [0, 1]
    assert kept in walked.callbacks


def test_a_fit_that_failed_before_it_began_is_not_held_against_the_next():
    walked = chunks(data(ROWS, STEPS, FEATURES), data(ROWS, STEPS, 1), steps=STEPS)
    for _ in range(3):
        with pytest.raises(ValueError, match="loss"):
            compiled(stateful_model(), loss_weights=[1, 2]).fit(
                walked, callbacks=[walked.resets()], verbose=0
            )
    stateful_model().fit(walked, callbacks=[walked.resets()], verbose=0)


def test_validation_without_its_own_callback():
    model, walked, other = stateful_model(), given(), given()
    with pytest.raises(ArgumentError, match=r"nothing resets[\s\S]*validation_data"):
        model.fit(
            walked,
            callbacks=[walked.resets()],
            validation_data=other,
            verbose=0,
        )


def test_an_epoch_of_another_length():
    model, walked = stateful_model(), given()
    before = model.get_weights()
    with pytest.raises(ArgumentError, match=r"3 batches; expected all 6[\s\S]*steps_per_epoch"):
        model.fit(walked, steps_per_epoch=3, callbacks=[walked.resets()], verbose=0)
    close(model.get_weights(), before)


def test_an_epoch_of_another_length_without_a_callback():
    """Seen when the second one begins."""
    x = data(1, 40 * STEPS, FEATURES)
    model, walked = (
        stateful_model(rows=1, reset_input=True),
        chunks(x, x[..., :1], steps=STEPS, reset_input=True),
    )
    with pytest.raises(ArgumentError, match=r"ended early; expected all 40[\s\S]*steps_per_epoch"):
        model.fit(walked, epochs=2, steps_per_epoch=2, verbose=0)


class AtBatch(keras.callbacks.Callback):
    """Does something after the second batch."""

    def __init__(self, act):
        super().__init__()
        self.act = act

    def on_train_batch_end(self, batch, logs=None):
        if batch == 1:
            self.act(self.model)


def test_who_takes_a_chunk_away_from_an_epoch_is_told():
    """At the latest when Keras asks for that chunk."""
    model, walked = lstm_model(), given()
    with pytest.raises(Exception, match=r"asks once for each of its 6[\s\S]*data\.batch\("):
        model.fit(walked, callbacks=[walked.resets(), AtBatch(lambda model: walked[5])], verbose=0)


def test_another_run_on_the_same_chunks_in_the_middle_of_an_epoch():
    model, walked = lstm_model(), given()
    other = AtBatch(lambda model: model.evaluate(walked, callbacks=[walked.resets()], verbose=0))
    with pytest.raises(ArgumentError, match="before batch 2 of fit another run"):
        model.fit(walked, callbacks=[walked.resets(), other], verbose=0)


def stop(model):
    model.stop_training = True


def fail(model):
    raise KeyboardInterrupt


@pytest.mark.parametrize("act", [stop, fail])
def test_after_a_run_that_was_broken_off_all_is_as_before(act):
    model, walked = lstm_model(), given()
    before = model.get_weights()
    kept = walked.resets()
    with contextlib.suppress(KeyboardInterrupt):
        model.fit(walked, callbacks=[kept, AtBatch(act)], verbose=0)
    for k, (x, _, _) in enumerate(walked):
        np.testing.assert_array_equal(x, walked.batch(k)[0])
        if act is stop:
            np.testing.assert_array_equal(x, walked[k][0])
    model.set_weights(before)
    model.fit(walked, callbacks=[kept], verbose=0)
    close(model.get_weights(), trained_by_hand(before, walked, epochs=1))


def test_a_model_without_a_time_axis_in_its_output_is_refused():
    layers = [
        keras.Input(batch_shape=(1, STEPS, FEATURES)),
        seqstate.layers.LSTM(2, stateful=True),
        keras.layers.Dense(1),
    ]
    model = keras.Sequential(layers)
    model.compile("sgd", "mse")
    # With one row, Keras stretches the one output over all the targets, without a word.
    walked = chunks(data(1, 3 * STEPS, FEATURES), data(1, 3 * STEPS, 1), steps=STEPS)
    with pytest.raises(ArgumentError, match=r"a target for each step[\s\S]*return_sequences=True"):
        model.fit(walked, callbacks=[walked.resets()], verbose=0)


def test_after_a_run_without_the_callback_one_with_it_goes_well():
    model, walked = stateful_model(), given()
    kept = walked.resets()
    with pytest.raises(Exception, match="the callback is missing"):
        model.fit(walked, verbose=0)
    if keras.backend.backend() == "jax":
        # Keras leaves the model without its values where a run fails between two batches.
        model = stateful_model()
    model.fit(walked, callbacks=[kept], verbose=0)


def test_several_workers():
    model, walked = stateful_model(), given()
    walked.workers = 2
    with pytest.raises(ArgumentError, match="workers=2"):
        model.fit(walked, callbacks=[walked.resets()], verbose=0)


def test_a_part_of_the_chunks_can_be_evaluated():
    model, walked = stateful_model(), given()
    whole = model.predict(walked, callbacks=[walked.resets()], verbose=0)
    part = model.predict(walked, steps=3, callbacks=[walked.resets()], verbose=0)
    close([part], [whole[: 3 * ROWS]])


def test_an_epoch_that_was_stopped_leaves_the_validation_alone():
    model, walked = stateful_model(rate=0.0), given()
    other = chunks(SERIES[::-1], TARGETS[::-1], steps=STEPS, rows=ROWS)
    expected = mean_error(on_whole_sequences(model))
    history = model.fit(
        walked,
        validation_data=other,
        callbacks=[walked.resets(), other.resets(), AtBatch(stop)],
        verbose=0,
    ).history
    np.testing.assert_allclose(history["val_mse"], expected, rtol=1e-5)
    model.fit(walked, callbacks=[walked.resets()], verbose=0)


def model_of(*layers, rows=ROWS, **more):
    return compiled(
        keras.Sequential([keras.Input(batch_shape=(rows, STEPS, FEATURES)), *layers]), **more
    )


SEQUENCE = {"return_sequences": True}
STATEFUL = {**SEQUENCE, "stateful": True}
MODELS = {
    "carries nothing": (lambda: model_of(LSTM(1, **SEQUENCE)), "carries no state"),
    "not recurrent": (lambda: model_of(keras.layers.Dense(1)), "no recurrent layer"),
    "other rows": (lambda: model_of(LSTM(1, **STATEFUL), rows=3), "3 rows|of 3"),
    "backwards": (lambda: model_of(LSTM(1, go_backwards=True, **STATEFUL)), "reads backwards"),
    "both directions": (
        lambda: model_of(Bidirectional(LSTM(1, **STATEFUL)), keras.layers.Dense(1)),
        "reads backwards",
    ),
    "another layer that carries": (
        lambda: model_of(
            LSTM(1, **STATEFUL),
            keras.layers.Reshape((STEPS, 1, 1)),
            keras.layers.ConvLSTM1D(1, 1, name="conv", **STATEFUL),
            keras.layers.Reshape((STEPS, 1)),
        ),
        'ConvLSTM1D "conv": stateful=True, and its state can\'t be reset',
    ),
}
if BACKEND == "jax":
    MODELS["Keras on JAX"] = (
        lambda: model_of(keras.layers.LSTM(1, **STATEFUL)),
        r"Keras's own layers carry nothing[\s\S]*seqstate\.accelerate",
    )
if BACKEND != "torch":  # there Keras itself refuses it
    MODELS["several batches at once"] = (
        lambda: model_of(LSTM(1, **STATEFUL), steps_per_execution=2),
        r"steps_per_execution=2[\s\S]*reset_input=True",
    )


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("case", MODELS)
def test_models_that_are_refused(case, run):
    make, text = MODELS[case]
    model, walked = make(), given()
    before = model.get_weights()
    with pytest.raises(SeqstateError, match=text), warnings.catch_warnings():
        RUNS[run](model, walked, callbacks=[walked.resets()])
    close(model.get_weights(), before)


def test_a_layer_that_carries_nothing_may_read_backwards_beside_one_that_carries():
    walked = given()
    model = model_of(Bidirectional(LSTM(2, **SEQUENCE)), LSTM(1, **STATEFUL), keras.layers.Dense(1))
    model.fit(walked, callbacks=[walked.resets()], verbose=0)
