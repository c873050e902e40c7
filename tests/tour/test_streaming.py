"""The tour's streams: what is claimed of them is checked, and would be refused."""

import keras
import numpy as np
import pytest

from seqstate.errors import SeqstateError
from seqstate.tour import streaming
from seqstate.tour.data import PLACE, load, split
from seqstate.tour.forecaster import build
from seqstate.tour.windows import scale_of

SERIES = load()
PART = slice(SERIES.celsius.size - 72, SERIES.celsius.size)


@pytest.fixture(scope="module")
def forecaster(tmp_path_factory):
    keras.utils.set_random_seed(0)
    path = tmp_path_factory.mktemp("tour") / "model.keras"
    build(4, scale_of(SERIES.celsius, split(SERIES.celsius.size).train)).save(path)
    return path


def test_three_places_of_one_length():
    found = streaming.stations(SERIES, PLACE)
    assert list(found) == ["Seattle", "San Francisco", "midway"]
    seattle, other, midway = found.values()
    assert seattle.shape == other.shape == midway.shape
    assert not np.array_equal(seattle, other)
    np.testing.assert_allclose(2 * midway, seattle + other)


def test_the_kill_comes_half_way_and_nothing_is_lost(forecaster):
    found = streaming.stations(SERIES, PLACE)
    streamed = streaming.stream_through_a_kill(forecaster, found, PART)
    assert streamed.hours == 72
    assert 3 * 36 <= streamed.answered <= 3 * 72
    assert 0 <= streamed.again <= 3 * 72 - streamed.answered


@pytest.mark.parametrize("change", ["lost", "twice", "other bits"])
def test_a_difference_is_an_error(forecaster, monkeypatch, change):
    answers = streaming._answers

    def changed(*args, **kwargs):
        found = answers(*args, **kwargs)
        if change == "other bits":
            found[-1]["output"][0] = float(np.nextafter(np.float32(found[-1]["output"][0]), 9))
            return found
        return found[:-1] if change == "lost" else [*found, found[-1]]

    monkeypatch.setattr(streaming, "_answers", changed)
    with pytest.raises(SeqstateError, match="uninterrupted run"):
        streaming.stream_through_a_kill(forecaster, streaming.stations(SERIES, PLACE), PART)
