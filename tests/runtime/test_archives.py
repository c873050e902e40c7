"""Files that are cut, damaged or forged, and models that can't be run: each an error, no more."""

import io
import json
import struct
import sys
import zipfile

import h5py
import keras
import numpy as np
import pytest

import seqstate
from cases import data
from runtime.forging import load, parts_of, with_config, written
from runtime.saved import both, of_keras, outputs
from seqstate.errors import DataError

K = keras.layers
PARTS = ("metadata.json", "config.json", "model.weights.h5")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Give the bytes of an archive."""
    path = tmp_path_factory.mktemp("whole") / "model.keras"
    both("two layers")[0].save(path)
    return path.read_bytes()


def with_weights(whole, change):
    parts = parts_of(whole)
    stream = io.BytesIO(parts["model.weights.h5"])
    with h5py.File(stream, "r+") as file:
        change(file)
    return written({**parts, "model.weights.h5": stream.getvalue()})


def first_layer(config):
    return config["config"]["layers"][1]


def put(file, name, *args, **how):
    del file[name]
    file.create_dataset(name, *args, **how)


def _link(file, name, link):
    del file[name]
    file[name] = link


def _stack_of_nothing(layer):
    cells = {"module": "keras.layers", "class_name": "StackedRNNCells", "config": {"cells": []}}
    layer.update(class_name="RNN", config={"name": "rnn", "cell": cells})


KERNEL = "layers/lstm/cell/vars/0"
FORGED_CONFIGS = {
    "no class": lambda c: c.pop("class_name"),
    "a list": lambda c: c.update(config=[1, 2]),
    "units of text": lambda c: first_layer(c)["config"].update(units="5"),
    "units below 0": lambda c: first_layer(c)["config"].update(units=-5),
    "many units": lambda c: first_layer(c)["config"].update(units=1 << 30),
    "a flag of text": lambda c: first_layer(c)["config"].update(return_sequences="yes"),
    "layers that are none": lambda c: c["config"].update(layers=7),
    "no layers": lambda c: c["config"].update(layers=[]),
    "an input without a shape": lambda c: c["config"]["layers"][0]["config"].pop("batch_shape"),
    "an input of text": lambda c: c["config"]["layers"][0]["config"].update(batch_shape="abc"),
    "another width": lambda c: c["config"]["layers"][0]["config"].update(
        batch_shape=[None, None, 9]
    ),
    "no weights": lambda c: first_layer(c).update(class_name="GRU"),
    "a stack of no cells": lambda c: _stack_of_nothing(first_layer(c)),
}
FORGED_WEIGHTS = {
    "gone": lambda f: f.pop(KERNEL),
    "of text": lambda f: put(f, KERNEL, data=np.array([b"a" * 9] * 4)),
    "of objects": lambda f: put(f, KERNEL, (4, 20), h5py.vlen_dtype(np.float32)),
    "never written": lambda f: put(f, KERNEL, (1 << 20, 1 << 12), "f4"),
    "packed a million times": lambda f: put(
        f, KERNEL, (1 << 15, 1 << 15), "f4", chunks=(1 << 10, 1 << 10), compression="gzip"
    ),
    "a link to elsewhere": lambda f: _link(f, KERNEL, h5py.SoftLink("/layers/gru/cell/vars/0")),
    "a link to a file": lambda f: _link(f, KERNEL, h5py.ExternalLink("/etc/passwd", "/")),
    "in another file": lambda f: put(
        f, KERNEL, (4, 20), "f4", external=[("/etc/hostname", 0, 320)]
    ),
    "of another shape": lambda f: put(f, KERNEL, data=np.zeros((4, 21), "f4")),
    "a group": lambda f: (f.pop(KERNEL), f.create_group(KERNEL)),
}


@pytest.mark.parametrize("change", FORGED_CONFIGS.values(), ids=FORGED_CONFIGS)
def test_forged_configs(change, whole, tmp_path):
    content = with_config(whole, change)
    with pytest.raises(DataError):
        load(content, tmp_path)


@pytest.mark.parametrize("change", FORGED_WEIGHTS.values(), ids=FORGED_WEIGHTS)
def test_forged_weights(change, whole, tmp_path):
    content = with_weights(whole, change)
    with pytest.raises(DataError, match="kernel"):
        load(content, tmp_path)


def with_a_circle(weights):
    """Let the first free block of each local heap be followed by itself."""
    weights, found = bytearray(weights), 0
    start = weights.find(b"HEAP")
    while start >= 0:
        _size, block, address = struct.unpack_from("<QQQ", weights, start + 8)
        if block != 1:
            struct.pack_into("<Q", weights, address + block, block)
            found += 1
        start = weights.find(b"HEAP", start + 1)
    assert found
    return bytes(weights)


def test_lists_without_an_end_take_no_memory(whole, tmp_path):
    parts = parts_of(whole)
    forged = {**parts, "model.weights.h5": with_a_circle(parts["model.weights.h5"])}
    with pytest.raises(DataError, match="run in a circle"):
        load(written(forged), tmp_path)
    keras.Sequential([keras.Input((None, 2)), K.LSTM(3)]).save(tmp_path / "older.h5")
    older = (tmp_path / "older.h5").read_bytes()
    assert load(older, tmp_path).name
    with pytest.raises(DataError, match="run in a circle"):
        load(with_a_circle(older), tmp_path)


@pytest.mark.parametrize("cut", [0, 7, 8, 13, 40])
def test_weights_that_end_early(cut, whole, tmp_path):
    parts = parts_of(whole)
    forged = {**parts, "model.weights.h5": parts["model.weights.h5"][:cut]}
    with pytest.raises(DataError):
        load(written(forged), tmp_path)


def test_addresses_of_other_widths_are_refused(whole, tmp_path):
    parts = parts_of(whole)
    weights = bytearray(parts["model.weights.h5"])
    assert weights[8] == 0  # the superblock has these widths where version 0 has them
    weights[13] = 4
    with pytest.raises(DataError, match="8 bytes"):
        load(written({**parts, "model.weights.h5": bytes(weights)}), tmp_path)


def test_sizes_are_checked_before_memory_is_taken(whole, tmp_path):
    bomb = written({**parts_of(whole), "config.json": b" " * (1 << 28)}, zipfile.ZIP_DEFLATED)
    assert len(bomb) < 1 << 20
    with pytest.raises(DataError, match=r"config\.json claims 268,435,456 bytes"):
        load(bomb, tmp_path)


def test_memory_is_counted_over_all_arrays(whole, tmp_path):
    """The same bytes under many names are not many bytes."""
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["all"] = np.zeros((1 << 9, 1 << 9), "float32")
        for i in range(40):
            file[f"layers/dense_{i}/vars/0" if i else "layers/dense/vars/0"] = file["all"]
    dense = {"units": 1 << 9, "use_bias": False}
    layers = [{"class_name": "Dense", "config": {"name": f"d{i}", **dense}} for i in range(40)]
    config = {"class_name": "Sequential", "config": {"layers": [entry((None, 1 << 9)), *layers]}}
    with pytest.raises(DataError, match="claims 1,048,576 bytes, of which"):
        load(
            written({"config.json": json.dumps(config), "model.weights.h5": stream.getvalue()}),
            tmp_path,
        )


def test_a_large_layer_that_is_shared_with_a_model_inside(tmp_path):
    model = shared(["a", "b"], 400)
    model.save(tmp_path / "model.keras")
    x = np.random.default_rng(0).normal(size=(2, 400)).astype("float32")
    wanted = x @ np.asarray(model.weights[0]) @ np.asarray(model.weights[1])
    made, _ = seqstate.load(tmp_path / "model.keras").run(x)
    np.testing.assert_allclose(made, wanted @ np.asarray(model.weights[0]), rtol=1e-4, atol=1e-4)


def test_a_shared_layer_that_may_be_one_of_two(tmp_path):
    shared(["a", "a"], 4).save(tmp_path / "model.keras")
    with pytest.raises(
        DataError, match=r'Dense "a": it is shared .*, and 2 layers may be .*\n .*own'
    ):
        seqstate.load(tmp_path / "model.keras")


def shared(names, width):
    """Give a model that uses its first layer, which a model in it has too, again at its end."""
    layers = [K.Dense(width, use_bias=False, name=name) for name in names]
    inner = [keras.Sequential([K.Input((width,)), one]) for one in layers]
    return keras.Sequential([K.Input((width,)), *inner, layers[0]])


def entry(shape):
    return {"class_name": "InputLayer", "config": {"name": "in", "batch_shape": shape}}


def tensor(name, call=0):
    return {"class_name": "__keras_tensor__", "config": {"keras_history": [name, call, 0]}}


def calls_itself_twice(inner, name):
    """Give a model that calls another one on its own result."""
    calls = [{"args": [tensor("in")], "kwargs": {}}, {"args": [tensor("m")], "kwargs": {}}]
    start = {**entry((None, None, 4)), "name": "in", "inbound_nodes": []}
    layers = [start, {**inner, "name": "m", "inbound_nodes": calls}]
    last = 1 if inner["class_name"] != "Functional" else 2
    ends = {"input_layers": [["in", 0, 0]], "output_layers": [["m", last, 0]]}
    return {"class_name": "Functional", "config": {"name": name, "layers": layers, **ends}}


def test_models_that_double_what_is_done(whole, tmp_path):
    config = {"class_name": "Identity", "config": {"name": "m"}}
    for depth in range(30):
        config = calls_itself_twice(config, f"model {depth}")
    with pytest.raises(DataError, match="calls models more than"):
        load(written({**parts_of(whole), "config.json": json.dumps(config)}), tmp_path)


@pytest.mark.parametrize(
    ("shape", "kind", "more"),
    [
        ((None, None, 1 << 30), "GlobalMaxPooling1D", {}),
        ((None, 4), "RepeatVector", {"n": (1 << 31) - 1}),
    ],
    ids=["features", "copies"],
)
def test_sizes_that_no_weight_proves(shape, kind, more, whole, tmp_path):
    layers = [entry(shape), {"class_name": kind, "config": {"name": "it", **more}}]
    config = json.dumps({"class_name": "Sequential", "config": {"layers": layers}})
    with pytest.raises(DataError, match=r"numbers for each row|copies of"):
        load(written({**parts_of(whole), "config.json": config}), tmp_path)


def test_ways_of_packing_that_keras_does_not_use(whole, tmp_path):
    with pytest.raises(DataError, match="packed in a way that Keras does not use"):
        load(written(parts_of(whole), zipfile.ZIP_LZMA), tmp_path)
    assert load(written(parts_of(whole), zipfile.ZIP_DEFLATED), tmp_path).fingerprint


@pytest.mark.parametrize("deep", [300, 100_000])
def test_deep_configs(deep, whole, tmp_path):
    parts = parts_of(whole)
    with pytest.raises(DataError, match="config"):
        load(written({**parts, "config.json": "[" * deep + "]" * deep}), tmp_path)


@pytest.mark.parametrize(
    ("layer", "weight", "says"),
    [
        (K.BatchNormalization, 3, "moving variance is negative"),
        (lambda: K.Normalization(mean=[0, 0], variance=[-1, 1]), None, "variance is negative"),
        (lambda: K.BatchNormalization(epsilon=-2), None, "moving variance is negative"),
        (lambda: K.LayerNormalization(epsilon=-0.1), None, "epsilon is negative"),
    ],
)
def test_what_would_make_nan_of_everything(layer, weight, says, tmp_path):
    made = keras.Sequential([keras.Input((2,)), layer()])
    if weight is not None:
        made.weights[weight].assign([-1.0, 1.0])
    made.save(tmp_path / "model.keras")
    with pytest.raises(DataError, match=says):
        seqstate.load(tmp_path / "model.keras")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ([None], "arguments don't fit: unsupported operand"),
        (["a"], "arguments don't fit"),
        ([], "arguments don't fit"),
        ([1, 2, 3], "arguments don't fit"),
        ([{}], "arguments don't fit"),
    ],
)
def test_operations_of_what_is_no_number(args, says, tmp_path):
    def change(config):
        call = config["config"]["layers"][1]["inbound_nodes"][0]
        call["args"], call["kwargs"] = [call["args"][0], *args], {}

    x = keras.Input((None, 2))
    keras.Model(x, x - 0.5).save(tmp_path / "model.keras")
    archive = (tmp_path / "model.keras").read_bytes()
    assert load(archive, tmp_path).run(np.ones((1, 1, 2)))[0].max() == 0.5
    with pytest.raises(DataError, match=says):
        load(with_config(archive, change), tmp_path)


def test_other_files(tmp_path, whole):
    with pytest.raises(DataError, match="is not there"):
        seqstate.load(tmp_path / "none.keras")
    with pytest.raises(DataError, match="is a directory"):
        seqstate.load(tmp_path)
    for content in (b"", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n" + b"a" * 99, b"text", whole[:999]):
        with pytest.raises(DataError, match="no saved model, or it is damaged"):
            load(content, tmp_path)
    with pytest.raises(DataError, match="weights alone are no model"):
        load(written({"model.weights.h5": parts_of(whole)["model.weights.h5"]}), tmp_path)
    both("two layers")[0].save_weights(tmp_path / "m.weights.h5")
    with pytest.raises(DataError, match="holds no whole model"):
        seqstate.load(tmp_path / "m.weights.h5")


def test_no_code_is_run(tmp_path):
    model = keras.Sequential([K.Input((None, 4)), K.Lambda(lambda x: x * 2), K.GRU(3)])
    model.save(tmp_path / "model.keras")
    with pytest.raises(DataError, match=r'Lambda "lambda.*": holds code, and code of a file'):
        seqstate.load(tmp_path / "model.keras")


def test_a_class_that_could_be_imported_is_not(whole, tmp_path):
    def change(config):
        first_layer(config).update(
            module="antigravity", class_name="Anything", registered_name="x>Anything"
        )

    with pytest.raises(DataError, match="the class x>Anything is not known"):
        load(with_config(whole, change), tmp_path)
    assert "antigravity" not in sys.modules


def test_every_unknown_layer_is_listed(tmp_path):
    x = keras.Input((8, 4))
    y = K.UpSampling1D(2)(K.GRU(3, return_sequences=True)(K.Cropping1D(1)(x)))
    inner = keras.Sequential([K.Input((12, 3)), K.SeparableConv1D(2, 3)])
    keras.Model(x, keras.ops.erfinv(inner(y))).save(tmp_path / "model.keras")
    with pytest.raises(DataError) as found:
        seqstate.load(tmp_path / "model.keras")
    text = str(found.value)
    for kind in ("Cropping1D", "UpSampling1D", "SeparableConv1D", "Erfinv"):
        assert text.count(f'{kind} "') == 1
    assert "docs/concepts/runtime.md" in text


LEGACY = (
    *("keras LSTM", "GRU, reset before", "cells of Keras", "both ways", "nested", "shared"),
    *("layer for each part", "RWA", "learned start", "masks_in_a_graph", "starts_from_another"),
    *("coupled", "both ways, ours", "BatchNormalization", "Normalization", "causal", "merged"),
)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", LEGACY)
def test_legacy_files(name, tmp_path):
    model, _, x = both(name)
    model.save(tmp_path / "model.h5")
    loaded = seqstate.load(tmp_path / "model.h5")
    found = outputs(loaded.run(x)[0])
    for one, other in zip(found, of_keras(model, x), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_the_fingerprint_is_of_the_model(whole, tmp_path):
    model, loaded, _ = both("two layers")
    assert len(loaded.fingerprint) == 32
    again = load(whole, tmp_path)
    assert again.fingerprint == loaded.fingerprint
    other = with_weights(whole, lambda f: put(f, KERNEL, data=data(4, 20)))
    assert load(other, tmp_path).fingerprint != loaded.fingerprint
    renamed = with_config(whole, lambda c: first_layer(c)["config"].update(name="other"))
    assert load(renamed, tmp_path).fingerprint != loaded.fingerprint
    trained = with_config(whole, lambda c: first_layer(c)["config"].update(dropout=0.5, seed=3))
    assert load(trained, tmp_path).fingerprint == loaded.fingerprint
    assert model.name == loaded.name
