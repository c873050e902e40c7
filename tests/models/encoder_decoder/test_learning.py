"""`fit`: what the steps read, what counts, what comes back from a file."""

import keras
import numpy as np
import pytest
from keras import ops

from cases import data
from encoder_decoders import (
    ATTENTIONS,
    SOURCE,
    START,
    STOP,
    TARGET,
    decoder,
    encoder,
    log_chances,
    of_values,
    translator,
    with_weights,
)
from frameworks import BACKEND, array, values_and_gradients
from seqstate.layers import GRU, LSTM
from seqstate.models import Decoder, EncoderDecoder
from subprocesses import python

INPUTS = {"source": SOURCE, "target": TARGET}


def by_step_with(model, ratio):
    model.always_forced = False
    model.teacher_forcing.assign(ratio)
    return model


@pytest.mark.parametrize("attention", [None, "luong"])
def test_step_by_step_the_truth_gives_the_values_and_gradients_of_all_at_once(attention):
    model = translator(attention)
    call = lambda tensors: model(INPUTS, training=True)  # noqa: E731
    whole = values_and_gradients(model, call, [])
    stepped = values_and_gradients(by_step_with(model, 1.0), call, [])
    for kind in range(2):
        for one, other in zip(whole[kind], stepped[kind], strict=True):
            np.testing.assert_allclose(one, other, atol=2e-5)


@pytest.mark.parametrize("padding", [0, START], ids=["among the others", "start"])
def test_a_step_that_reads_padding_is_a_step_too(padding):
    model = EncoderDecoder(encoder(), decoder(padding=padding))
    model.build({"source": (None, 4)})
    with_weights(model)
    target = np.array([[3, 0, 1, 4], [1, 2, 0, 3], [2, 1, 1, 4]])
    inputs = {"source": SOURCE, "target": target}
    whole = array(model(inputs, training=True))
    stepped = array(by_step_with(model, 1.0)(inputs, training=True))
    np.testing.assert_allclose(whole, stepped, atol=2e-5)


@pytest.mark.parametrize("attention", ATTENTIONS, ids=str)
def test_without_the_truth_a_step_reads_what_the_step_before_said(attention):
    model = translator(attention)
    free = by_step_with(model, 0.0)(INPUTS, training=True)
    own = array(free).argmax(-1)
    again = log_chances(by_step_with(model, 1.0), SOURCE, own)
    np.testing.assert_allclose(array(ops.log_softmax(free, axis=-1)), again, atol=1e-5)


def test_half_of_the_steps_read_the_truth():
    model = by_step_with(translator(), 0.5)
    drawn = np.stack([array(model._forced((50, 40), True)) for _ in range(4)])
    assert abs(drawn.mean() - 0.5) < 0.02
    assert not (drawn[0] == drawn[1]).all()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (1.0, [1, 1, 1]),
        (0.25, [0.25, 0.25, 0.25]),
        ((1.0, 0.5), [1, 0.75, 0.5]),
        (lambda epoch: 0.5**epoch, [1, 0.5, 0.25]),
    ],
    ids=["truth", "ratio", "ends", "function"],
)
def test_the_ratio_follows_its_schedule(given, expected):
    model = small()
    seen = []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(float(array(model.teacher_forcing)))
    )
    model.fit(SOURCE, TARGET, epochs=3, verbose=0, teacher_forcing=given, callbacks=[watch])
    assert seen == expected


def small(**how):
    model = EncoderDecoder(encoder(GRU(3, name="reads")), decoder(GRU(3, name="says")), **how)
    model.compile(keras.optimizers.SGD(0.1))
    return model


def test_one_fit_may_be_forced_and_the_next_one_free():
    ratios, losses = (1.0, 0.0, 1.0, 0.0), []
    model = small()
    model.compile(keras.optimizers.SGD(0.0))
    model.build({"source": (None, 4)})
    with_weights(model)
    for ratio in ratios:
        history = model.fit(SOURCE, TARGET, verbose=0, teacher_forcing=ratio)
        losses.append(history.history["loss"][0])
    forced, free, forced_again, free_again = losses
    assert abs(forced - free) > 1e-2
    np.testing.assert_allclose([forced_again, free_again], [forced, free], rtol=1e-6)


def test_steps_after_the_stop_and_padding_do_not_count():
    model = translator()
    model.compile(loss="auto", metrics=["accuracy"])
    first = model.evaluate(SOURCE, TARGET, verbose=0)
    after = np.where(np.cumsum(TARGET == STOP, 1) - (TARGET == STOP) > 0, 1, TARGET)
    assert (after != TARGET).any()
    np.testing.assert_allclose(model.evaluate(SOURCE, after, verbose=0), first, rtol=1e-6)
    each = np.take_along_axis(log_chances(model, SOURCE, TARGET), TARGET[..., None], -1)[..., 0]
    counts = np.cumsum(TARGET == STOP, 1) - (TARGET == STOP) == 0
    np.testing.assert_allclose(first[0], -each[counts].mean(), rtol=1e-5)
    right = log_chances(model, SOURCE, TARGET).argmax(-1) == TARGET
    np.testing.assert_allclose(first[1], right[counts].mean(), rtol=1e-6)


@pytest.mark.parametrize("steps", [3, 5], ids=["as many as rows", "more"])
def test_weights_of_rows_are_those_of_all_their_steps(steps):
    model, target = translator(), TARGET[:, :steps]
    model.compile(weighted_metrics=["accuracy"])
    weights = np.array([1.0, 0.0, 2.0])
    each = log_chances(model, SOURCE, target)
    right = each.argmax(-1) == target
    each = np.take_along_axis(each, target[..., None], -1)[..., 0]
    counts = np.cumsum(target == STOP, 1) - (target == STOP) == 0
    by_step = counts * weights[:, None]
    loss, accuracy = model.evaluate(SOURCE, target, sample_weight=weights, verbose=0)
    np.testing.assert_allclose(loss, -(each * by_step).sum() / counts.sum(), rtol=1e-5)
    np.testing.assert_allclose(accuracy, (right * by_step).sum() / by_step.sum(), rtol=1e-5)
    known = (SOURCE, target, weights)
    history = model.fit(SOURCE, target, sample_weight=0 * weights, validation_data=known, verbose=0)
    np.testing.assert_allclose(history.history["val_loss"], [loss], rtol=1e-5)


def test_the_target_may_stand_beside_the_source():
    model, losses = small(), []
    for given in ((SOURCE, TARGET), (INPUTS,)):
        losses.append(model.evaluate(*given, verbose=0))
    assert losses[0] == losses[1]


def test_callbacks_may_come_as_one_list_of_keras():
    model = small()
    listed = keras.callbacks.CallbackList([], model=model)
    model.fit(SOURCE, TARGET, verbose=0, callbacks=listed, teacher_forcing=0.25)
    assert float(array(model.teacher_forcing)) == 0.25


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 1

    def __getitem__(self, index):
        return SOURCE, TARGET


def pairs():
    while True:
        yield SOURCE, TARGET


def dataset_of_tensorflow():
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensors((SOURCE, TARGET))


@pytest.mark.parametrize(
    ("make", "more"),
    [
        (Batches, {}),
        (pairs, {"steps_per_epoch": 1}),
        pytest.param(
            dataset_of_tensorflow,
            {},
            marks=pytest.mark.skipif(BACKEND != "tensorflow", reason="a dataset of TensorFlow"),
        ),
    ],
    ids=["PyDataset", "generator", "tf.data"],
)
def test_data_may_come_in_batches(make, more):
    losses = []
    for given in ((SOURCE, TARGET), (make(), None)):
        keras.utils.set_random_seed(3)
        model = small()
        options = more if given[1] is None else {}
        history = model.fit(*given, epochs=2, verbose=0, shuffle=False, **options)
        losses.append(history.history["loss"])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-6)


@pytest.mark.parametrize("known", [(SOURCE, TARGET), Batches()], ids=["arrays", "dataset"])
def test_validation_reads_the_truth(known):
    model = small()
    history = model.fit(SOURCE, TARGET, verbose=0, validation_data=known, teacher_forcing=0.0)
    expected = model.evaluate(SOURCE, TARGET, verbose=0)
    np.testing.assert_allclose(history.history["val_loss"], [expected], rtol=1e-6)


def test_dropout_is_drawn_once_for_all_steps_of_a_row():
    model = EncoderDecoder(
        encoder(GRU(3, name="reads")),
        decoder(GRU(3, dropout=0.4, recurrent_dropout=0.4, name="says", seed=1)),
    )
    model.build({"source": (None, 4)})
    model.compile(keras.optimizers.SGD(0.1))
    history = model.fit(SOURCE, TARGET, epochs=2, verbose=0, teacher_forcing=0.5)
    assert np.isfinite(history.history["loss"]).all()
    by_step_with(model, 1.0)
    drawn = [array(model(INPUTS, training=True)) for _ in range(2)]
    assert (drawn[0] != drawn[1]).any()
    told = array(model(INPUTS, training=False))
    assert np.abs(drawn[0] - told).max() > 1e-3


def test_it_learns_to_reverse():
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(0)
    x = rng.integers(1, 4, (512, 3))
    y = np.concatenate([x[:, ::-1], np.full((512, 1), STOP)], axis=1)
    model = EncoderDecoder(encoder(GRU(24, name="reads")), decoder(GRU(24, name="says")))
    model.compile(keras.optimizers.Adam(0.02))
    model.fit(x, y, epochs=14, batch_size=64, verbose=0)
    assert (model.generate(x, 4).tokens == y).all(axis=1).mean() > 0.95


def test_values_are_learned_with_the_error_squared():
    model = of_values()
    x, y = data(4, 6, 3), data(4, 3, 2, seed=1)
    model.compile("sgd")
    got = model.evaluate(x, y, verbose=0)
    said = array(model({"source": x, "target": y}))
    np.testing.assert_allclose(got, np.mean((said - y) ** 2), rtol=1e-5)
    model.fit(x, y, verbose=0, teacher_forcing=0.5)


def test_decoders_by_name_are_learned_together():
    two = {
        "letters": Decoder(GRU(3, name="a"), tokens=6, start=START, stop=STOP, name="a_says"),
        "level": Decoder(GRU(3, name="b"), outputs=1, name="b_says"),
    }
    model = EncoderDecoder(encoder(GRU(3, name="reads")), two)
    model.compile("adam")
    target = {"letters": TARGET, "level": data(3, 2, 1)}
    model.fit(SOURCE, target, verbose=0)
    said = model({"source": SOURCE, "target": target})
    each = array(ops.log_softmax(said["letters"], axis=-1))
    each = np.take_along_axis(each, TARGET[..., None], -1)[..., 0]
    counts = np.cumsum(TARGET == STOP, 1) - (TARGET == STOP) == 0
    squared = np.mean((array(said["level"]) - target["level"]) ** 2)
    expected = -each[counts].mean() + squared
    found = model.evaluate(SOURCE, target, verbose=0, return_dict=True)["loss"]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    twice = {"letters": np.full((3, 5), 2.0), "level": np.full(3, 2.0)}
    found = model.evaluate(SOURCE, target, sample_weight=twice, verbose=0, return_dict=True)
    np.testing.assert_allclose(found["loss"], 2 * expected, rtol=1e-5)


@pytest.mark.parametrize("attention", ATTENTIONS, ids=str)
def test_a_model_comes_back_from_its_file_and_goes_on_learning(tmp_path, attention):
    model = EncoderDecoder(encoder(LSTM(4, name="reads")), decoder(attention=attention))
    model.compile("adam", metrics=["accuracy"])
    model.fit(SOURCE, TARGET, epochs=2, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        again.generate(SOURCE, 5, "beam").scores, model.generate(SOURCE, 5, "beam").scores
    )
    losses = [
        one.fit(SOURCE, TARGET, epochs=2, verbose=0, shuffle=False).history["loss"]
        for one in (model, again)
    ]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)


def test_a_file_needs_no_wiring_in_another_process(tmp_path):
    model = translator("luong")
    model.save(tmp_path / "model.keras")
    code = f"""
import keras, numpy, seqstate.models
model = keras.saving.load_model({str(tmp_path / "model.keras")!r})
print(model.generate(numpy.array({SOURCE.tolist()}), 5).tokens.tolist())
"""
    said = python(code, tmp_path, KERAS_BACKEND=BACKEND)
    assert said == str(model.generate(SOURCE, 5).tokens.tolist())
