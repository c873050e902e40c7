"""Results by name are the same ones whatever backend a model was saved on."""

import json
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

import seqstate
from layers.saved_on.make import PATHS, at, model
from seqstate.errors import ArgumentError, DataError
from seqstate.layers import GRU, LSTM, RNN, LSTMCell
from seqstate.result_order import AS_THEY_STAND, ORDERS, SORTED

X = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")


def same(made, wanted):
    for one, other in zip(made, wanted, strict=True):
        np.testing.assert_allclose(
            ops.convert_to_numpy(one), ops.convert_to_numpy(other), rtol=1e-5, atol=1e-6
        )


def by_name(of):
    """Give what the outputs of the model should be: the layers called alone, by name."""
    results = {name: of.get_layer(name)(X) for name in PATHS}
    return [at(results[name], path) for name in PATHS for path in PATHS[name]]


def check(file):
    loaded = keras.models.load_model(file)
    wanted = by_name(loaded)
    same(loaded(X), wanted)
    same(loaded.predict(X, verbose=0), wanted)
    copy = keras.models.clone_model(loaded)
    copy.set_weights(loaded.get_weights())
    same(copy(X), wanted)
    again = file.with_name("again.keras")
    copy.save(again)
    same(keras.models.load_model(again)(X), wanted)
    for one in (file, again):
        made, _ = seqstate.load(one).run(X)
        same(made.values(), wanted)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "model.keras"


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_saved_on_another_backend(backend, file):
    file.write_bytes((Path(__file__).parent / "saved_on" / f"{backend}.keras").read_bytes())
    check(file)


@pytest.mark.parametrize("order", ORDERS)
def test_counted_as_on_either(order, file):
    keras.utils.set_random_seed(0)
    made = model(result_order=order)
    same(made(X), by_name(made))
    made.save(file)
    with zipfile.ZipFile(file) as archive:
        config = json.loads(archive.read("config.json"))["config"]
    assert [one["config"].get("result_order") for one in config["layers"]] == [None, order, None]
    # lstm: four gates, output, sequence, the state, the states
    wanted = {SORTED: [8, 9, 7, 6, 1, 0], AS_THEY_STAND: [9, 8, 6, 7, 1, 2]}[order]
    assert [place for name, _, place in config["output_layers"] if name == "lstm"] == wanted
    check(file)


@pytest.mark.parametrize("order", ORDERS)
def test_training_goes_on_from_the_right_state(order):
    """The gradient reaches `c` and not `h` where a model goes on from `c`."""
    keras.utils.set_random_seed(0)
    layer = LSTM(2, returns=("output", "state"), name="lstm", result_order=order)
    x = keras.Input((5, 3))
    made = keras.Model(x, layer(x)["state"]["c"])
    made.compile("sgd", "mse")
    wanted = layer(X)["state"]
    assert made.evaluate(X, wanted["c"], verbose=0) == pytest.approx(0, abs=1e-10)
    assert made.evaluate(X, wanted["h"], verbose=0) > 1e-4
    made.fit(X, wanted["h"], epochs=1, verbose=0)


@keras.saving.register_keras_serializable(package="tests")
class Mine(LSTM):
    """A class of a user, who gives the config to the constructor, as Keras's guides do."""

    @classmethod
    def from_config(cls, config):
        return cls(**config)


@pytest.mark.parametrize("order", ORDERS)
def test_a_config_is_what_the_constructor_takes(order):
    config = Mine(2, returns="all", result_order=order).get_config()
    assert Mine.from_config(config).get_config() == config


def test_only_what_is_counted_differently_says_so():
    assert "result_order" not in LSTM(2).get_config()
    assert "result_order" not in LSTM(2, return_state=True).get_config()
    assert LSTM(2, returns="all").get_config()["result_order"] in ORDERS


@pytest.mark.parametrize("make", [lambda: GRU(2, returns="all"), lambda: RNN(LSTMCell(2))])
def test_an_order_that_is_none_is_refused(make):
    layer = make()
    with pytest.raises(ArgumentError, match=r"result_order='upside down'.*'sorted'"):
        type(layer).from_config({**layer.get_config(), "result_order": "upside down"})


def test_an_order_that_is_none_is_refused_in_a_file(file):
    made = model()
    made.save(file)
    with zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    changed = parts["config.json"].replace(b'"result_order": "', b'"result_order": "not ')
    with zipfile.ZipFile(file, "w") as archive:
        for name, part in {**parts, "config.json": changed}.items():
            archive.writestr(name, part)
    with pytest.raises(DataError, match="result_order"):
        seqstate.load(file)
