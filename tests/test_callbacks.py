"""The states while a model learns: recorded beside the training, which goes on as it would."""

import sys

import keras
import numpy as np
import pytest

import seqstate
from cases import FEATURES, data
from frameworks import BACKEND
from models.zoo import OF, STEPS, X
from seqstate import callbacks
from seqstate.callbacks import StateHistory
from seqstate.errors import ArgumentError, InputError, MissingPackageError, UnknownLayerError
from seqstate.traces import Trace

K = keras.layers
LOOK = X[:2]


def model_of(of="keras"):
    keras.utils.set_random_seed(7)
    layers = [
        keras.Input((STEPS, FEATURES)),
        OF[of].LSTM(3, return_sequences=True, dropout=0.2, seed=1, name="below"),
        OF[of].Bidirectional(OF[of].GRU(2), name="above"),
    ]
    model = keras.Sequential(layers)
    model.compile("adam", "mse", metrics=["mae"])
    return model


def fit(model, *more, epochs=3):
    keras.utils.set_random_seed(8)
    x, y = data(8, STEPS, FEATURES), data(8, 4, seed=1)
    how = {"validation_data": (x[:2], y[:2]), "batch_size": 4, "verbose": 0}
    return model.fit(x, y, epochs=epochs, callbacks=list(more), **how)


@pytest.mark.parametrize("of", OF)
@pytest.mark.parametrize("per", ["epoch", "batch"])
def test_training_is_what_it_is_without(of, per):
    plain, watched = model_of(of), model_of(of)
    wanted = fit(plain)
    seen = StateHistory(LOOK, per=per)
    got = fit(watched, seen)
    assert got.history == wanted.history
    assert len(seen.traces) == (3 if per == "epoch" else 6)
    assert len(watched.outputs) == 1
    for a, b in zip(watched.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("per", ["epoch", "batch"])
def test_each_record_is_a_trace_of_that_moment(per):
    model = model_of()
    seen = StateHistory(LOOK, per=per, initial=True)
    first = seqstate.trace(model, LOOK)
    fit(model, seen, epochs=1)
    last = seqstate.trace(model, LOOK)
    assert list(seen.traces) == ([0, 1] if per == "epoch" else [0, 1, 2])
    for number, wanted in ((0, first), (max(seen.traces), last)):
        for name, layer in wanted.items():
            for path, values in layer.over_time().items():
                got = seen.traces[number][name].over_time()[path]
                np.testing.assert_allclose(got, values, rtol=0, atol=1e-6, err_msg=path)
    assert not np.allclose(first["below"].states["c"], last["below"].states["c"], atol=1e-4)


@pytest.mark.parametrize(
    ("how", "numbers"),
    [
        ({"every": 2}, [2, 4]),
        ({"every": 2, "initial": True}, [0, 2, 4]),
        ({"every": 3, "per": "batch"}, [3, 6, 9]),
    ],
)
def test_how_often_it_records(how, numbers):
    seen = StateHistory(LOOK, "above", "state", **how)
    fit(model_of(), seen, epochs=5)
    assert list(seen.traces) == numbers
    assert list(seen.traces[numbers[0]]["above"].found) == ["state"]
    fit(model_of(), seen, epochs=2)
    assert max(seen.traces) <= 4


@pytest.mark.skipif(BACKEND == "torch", reason="Keras runs one batch at a time on torch")
def test_several_batches_at_once_are_counted():
    model = model_of()
    model.compile("adam", "mse", steps_per_execution=2)
    seen = StateHistory(LOOK, per="batch", every=2)
    fit(model, seen, epochs=3)
    assert list(seen.traces) == [2, 4, 6]


def test_nothing_to_count_does_not_end_the_training(tmp_path):
    model = model_of()
    model.set_weights([np.full_like(w, np.nan) for w in model.get_weights()])
    seen = StateHistory(LOOK, log_dir=tmp_path)
    fit(model, seen, epochs=1)
    assert np.isnan(seen.traces[1]["below"].states["h"]).all()


def test_files_hold_what_memory_would(tmp_path):
    kept, filed = StateHistory(LOOK), StateHistory(LOOK, directory=tmp_path / "new" / "states")
    fit(model_of(), kept)
    fit(model_of(), filed)
    names = [path.name for path in sorted((tmp_path / "new" / "states").iterdir())]
    assert names == ["epoch-000001.npz", "epoch-000002.npz", "epoch-000003.npz"]
    read = Trace.from_npz(tmp_path / "new" / "states" / names[2])
    for got in (filed.traces[3], read):
        np.testing.assert_array_equal(got["below"].states["c"], kept.traces[3]["below"].states["c"])


def test_tensorboard_gets_a_histogram_of_each_state_and_gate(tmp_path):
    from tensorboard.backend.event_processing import event_accumulator

    seen = StateHistory(LOOK, "below", log_dir=tmp_path)
    fit(model_of(), seen)
    events = event_accumulator.EventAccumulator(str(tmp_path), size_guidance={"histograms": 0})
    events.Reload()
    tags = ["states/h", "states/c", *(f"gates/{g}" for g in ("input", "forget", "candidate"))]
    assert sorted(events.Tags()["histograms"]) == sorted(
        [*(f"below/{tag}" for tag in tags), "below/gates/output"]
    )
    found = events.Histograms("below/states/c")
    assert [one.step for one in found] == [1, 2, 3]
    values = seen.traces[2]["below"].states["c"]
    assert found[1].histogram_value.num == values.size
    np.testing.assert_allclose(found[1].histogram_value.sum, values.sum(), rtol=1e-5)


def test_tensorboard_gets_those_of_each_training(tmp_path):
    from tensorboard.backend.event_processing import event_accumulator

    seen = StateHistory(LOOK, "below", what=["states"], log_dir=tmp_path)
    model = model_of()
    steps = []
    for epochs in (2, 1):
        fit(model, seen, epochs=epochs)
    for path in sorted(tmp_path.iterdir()):
        events = event_accumulator.EventAccumulator(str(path), size_guidance={"histograms": 0})
        events.Reload()
        steps.append([one.step for one in events.Histograms("below/states/h")])
    assert sorted(steps) == [[1], [1, 2]]


@pytest.mark.parametrize(
    ("made", "error", "says"),
    [
        (lambda: StateHistory(LOOK, every=0), ArgumentError, "every=0"),
        (lambda: StateHistory(LOOK, per="step"), ArgumentError, "per='step'; expected 'epoch'"),
        (lambda: fit(model_of(), StateHistory(LOOK, "lstm")), UnknownLayerError, "below, above"),
        (lambda: fit(model_of(), StateHistory(LOOK[..., :2])), InputError, "reads 4 features"),
        (lambda: fit(model_of(), StateHistory(LOOK, what="h")), ArgumentError, "what='h'"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_learned(made, error, says):
    with pytest.raises(error, match=says):
        made()


def test_a_directory_that_can_not_be_made(tmp_path):
    (tmp_path / "file").write_text("mine")
    for name in ("directory", "log_dir"):
        with pytest.raises(ArgumentError, match="can't be made"):
            StateHistory(LOOK, **{name: tmp_path / "file"})
    assert (tmp_path / "file").read_text() == "mine"


def test_without_tensorboardx_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(callbacks, "find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(MissingPackageError, match=r"seqstate\[tensorboard\]"):
        StateHistory(LOOK, log_dir=tmp_path / "logs")
    assert not (tmp_path / "logs").exists()
