import keras
import pytest

import seqstate
from cases import data


def lstm(path, seed):
    """Save an LSTM of 5 units over 3 features, and load it."""
    layers = [keras.Input((None, 3)), keras.layers.LSTM(5, return_sequences=True, name="lstm")]
    model = keras.Sequential(layers)
    model.set_weights([data(*one.shape, seed=seed + i) for i, one in enumerate(model.weights)])
    model.save(path)
    return path


@pytest.fixture(scope="session")
def model_file(tmp_path_factory):
    return lstm(tmp_path_factory.mktemp("models") / "model.keras", 0)


@pytest.fixture(scope="session")
def model(model_file):
    return seqstate.load(model_file)


@pytest.fixture(scope="session")
def other_model(tmp_path_factory):
    return seqstate.load(lstm(tmp_path_factory.mktemp("models") / "other.keras", 5))
