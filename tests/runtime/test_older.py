"""Files that older versions of Keras wrote give what those versions gave; see `older/make.py`."""

import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

import seqstate
from runtime.forging import load, with_config
from runtime.saved import outputs
from seqstate.errors import DataError

OLDER = Path(__file__).parent / "older"
VERSIONS = ("keras2", "keras3_3")
MODELS = ("both_ways", "cells", "nested", "states")


@pytest.fixture(scope="module")
def older(tmp_path_factory):
    """Give the folder with the files of each version."""
    folder = tmp_path_factory.mktemp("older")
    for version in VERSIONS:
        with zipfile.ZipFile(OLDER / f"{version}.zip") as archive:
            archive.extractall(folder / version)
    return folder


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("version", VERSIONS)
def test_as_the_older_keras(version, name, ending, older):
    loaded = seqstate.load(older / version / f"{name}.{ending}")
    with np.load(older / version / "arrays.npz") as found:
        given = [found[one] for one in sorted(found) if one.startswith(f"{name}/in/")]
        wanted = [found[one] for one in sorted(found) if one.startswith(f"{name}/out/")]
    made, _ = loaded.run(given if len(given) > 1 else given[0])
    assert len(outputs(made)) == len(wanted) > 0
    for one, other in zip(outputs(made), wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_time_first_is_refused(tmp_path, older):
    def change(config):
        config["config"]["layers"][-1]["config"]["time_major"] = True

    with pytest.raises(DataError, match="time_major=True"):
        load(with_config((older / "keras2/cells.keras").read_bytes(), change), tmp_path)


def test_a_call_that_trains_is_refused(tmp_path, older):
    def change(config):
        config["config"]["layers"][-1]["inbound_nodes"][0][0][3]["training"] = True

    with pytest.raises(DataError, match="called with training=True"):
        load(with_config((older / "keras2/nested.keras").read_bytes(), change), tmp_path)


def test_weights_that_may_be_of_two_layers_are_refused(tmp_path, older):
    path = tmp_path / "m.h5"
    path.write_bytes((older / "keras2/both_ways.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        both = file["model_weights/both"]
        names = [str(one) for one in both.attrs["weight_names"]]
        renamed = [f"both/{i // 3}/{one.split('/')[-1]}" for i, one in enumerate(names)]
        for old, new in zip(names, renamed, strict=True):
            both[new] = both[old]
        both.attrs["weight_names"] = [one.encode() for one in renamed]
    with pytest.raises(DataError, match="may both be it"):
        seqstate.load(path)
