"""Ten thousand archives with damaged weights or a forged config: a model or a SeqstateError.

A forged config is still JSON: places in it are left out, exchanged, or hold what they should not.
"""

import copy
import io
import json
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import seqstate
from runtime.zoo import MODELS
from seqstate.errors import SeqstateError

SLICES, CASES = 20, 500
LARGE = 1 << 31
ODD = [
    *(None, True, False, -1, 0, 1, 2, 7, LARGE, 1 << 62, -(1 << 62)),
    *(0.5, -0.5, 1e300, float("nan"), float("inf")),
    *("", "x", "relu", "LSTM", "Dense", "__keras_tensor__", "a" * 1000),
    *([], {}, [[]], [None], [1, 2, 3], {"a": 1}, {"class_name": "LSTM", "config": {}}),
]


def archive_of(model, path):
    """Give the parts of the file of a model."""
    model.save(path)
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def places_in(node, place=()):
    """Yield the way to each value of a config."""
    if place:
        yield place
    inner = enumerate(node) if isinstance(node, list) else getattr(node, "items", tuple)()
    for name, value in inner:
        yield from places_in(value, (*place, name))


def value_at(config, place):
    for name in place:
        config = config[name]
    return config


def forged(config, rng):
    """Give a config in which one place or two are wrong, and whether a size may be huge."""
    config, huge = copy.deepcopy(config), False
    for _ in range(rng.randint(1, 2)):
        places = list(places_in(config))
        *way, name = rng.choice(places)
        node = value_at(config, way)
        kind = rng.randrange(4)
        if kind == 0 and isinstance(node, dict):
            del node[name]
        elif kind == 1:
            node[name] = copy.deepcopy(value_at(config, rng.choice(places)))
        else:
            node[name] = copy.deepcopy(rng.choice(ODD))
            huge |= type(node[name]) is int and abs(node[name]) >= LARGE
    return config, huge


def damaged(content, rng):
    """Give bytes some of which are others, now and then cut."""
    content = bytearray(content)
    for _ in range(rng.randint(1, 5)):
        content[rng.randrange(len(content))] = rng.randrange(256)
    return bytes(content[: rng.randrange(len(content))] if rng.random() < 0.2 else content)


@pytest.mark.parametrize("part", range(SLICES))
def test_ten_thousand_archives(part, tmp_path):
    path = tmp_path / "model.keras"
    archives = []
    for name in list(MODELS)[part::SLICES]:
        model, x = MODELS[name]()
        archives.append((archive_of(model, path), x))
    ends = []

    @settings(max_examples=CASES)
    @given(st.randoms())
    def one(rng):
        parts, x = rng.choice(archives)
        huge = False
        if rng.random() < 0.75:
            config, huge = forged(json.loads(parts["config.json"]), rng)
            changed = {"config.json": json.dumps(config)}
        else:
            changed = {"model.weights.h5": damaged(parts["model.weights.h5"], rng)}
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as file:
            for name, content in {**parts, **changed}.items():
                file.writestr(name, content)
        path.write_bytes(stream.getvalue())
        try:
            model = seqstate.load(path)
        except SeqstateError:
            ends.append("refused")
            return
        ends.append("loaded")
        # A model may really repeat a vector a thousand million times.
        if not huge and hasattr(model, "run"):
            run(model, x)

    one()
    assert len(ends) >= CASES
    assert ends.count("refused") > CASES / 5


def run(model, x):
    """Run a model that may not fit its input any more, or itself."""
    try:
        model.run(x)
    except (SeqstateError, ValueError):
        return
