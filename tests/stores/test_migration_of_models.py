"""`seqstate state migrate` with models that were saved: states of an older one go on in a newer."""

import keras
import numpy as np
import pytest
from typer.testing import CliRunner

import seqstate
from cases import data
from seqstate.cli import app
from seqstate.errors import StateMismatchError, UnknownKeyError
from seqstate.runtime.streams import Streams

X = data(4, 3, seed=9)


def saved(path, units=5, name="lstm", more=()):
    layers = [keras.Input((None, 3)), keras.layers.LSTM(units, name=name, return_sequences=True)]
    model = keras.Sequential([*layers, *more], name="m")
    model.set_weights([data(*one.shape, seed=i) for i, one in enumerate(model.weights)])
    model.save(path)
    return seqstate.load(path)


def migrate(url, path, *more):
    return CliRunner().invoke(app, ["state", "migrate", url, "--to", str(path), *more])


@pytest.fixture
def url(tmp_path):
    """A store with states of the older model, with numbers, and a bookmark of the key a."""
    url = f"sqlite:///{tmp_path}/states.db"
    with Streams(saved(tmp_path / "old.keras"), url) as streams:
        streams.push_many(["a", "b"], X[:2], [0, 0])
        streams.bookmark("a", "here")
        streams.push("a", X[2], 1)
    return url


def test_one_more_dense_layer_goes_on_where_the_older_model_stopped(url, tmp_path):
    path = tmp_path / "new.keras"
    new = saved(path, more=[keras.layers.Dense(2, name="dense")])
    with Streams(new, url) as streams, pytest.raises(StateMismatchError, match="state migrate"):
        streams.push("a", X[3], 2)
    assert migrate(url, path, "--dry-run").exit_code == 0
    with Streams(new, url) as streams, pytest.raises(StateMismatchError):
        streams.push("a", X[3], 2)
    done = migrate(url, path)
    assert done.exit_code == 0, done.output
    assert "keys moved: 2; of this model already: 0; left as they are: 0" in done.output
    expected, state = new.run(X[None, [0, 2, 3]])
    with Streams(new, url) as streams:
        assert streams.sequence("a") == 1
        assert np.array_equal(streams.push("a", X[3], 2), expected[0, 2])
        assert np.array_equal(streams.state("a")["lstm"]["c"], state["lstm"]["c"])
        streams.rewind("a", "here")
        assert np.array_equal(streams.push("a", X[2], 1), expected[0, 1])
    assert "of this model already: 2" in migrate(url, path).output


@pytest.mark.parametrize("change", [{"name": "other"}, {"units": 6}], ids=["name", "units"])
def test_where_nothing_fits_the_states_stay(url, tmp_path, change):
    new = saved(tmp_path / "new.keras", **change)
    done = migrate(url, tmp_path / "new.keras")
    assert done.exit_code == 1
    assert "2 keys stay as they are, such as 'a', 'b'" in str(done.exception)
    with Streams(new, url) as streams:
        with pytest.raises(StateMismatchError):
            streams.push("a", X[3])
        with pytest.raises(UnknownKeyError):
            streams.state("c")
    with Streams(seqstate.load(tmp_path / "old.keras"), url) as streams:
        assert streams.sequence("a") == 1


def test_a_layer_more_begins_at_the_start(url, tmp_path):
    path = tmp_path / "new.keras"
    new = saved(path, more=[keras.layers.GRU(2, name="gru")])
    done = migrate(url, path)
    assert done.exit_code == 0
    assert "gru/h" in done.output
    with Streams(new, url) as streams:
        assert not streams.state("a")["gru"]["h"].any()
        assert streams.state("a")["lstm"]["h"].any()
