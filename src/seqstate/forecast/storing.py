"""A forecaster in a file or a pickle: arguments, scales, weights and the state it stands at."""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from seqstate.errors import ArgumentError, DataError, message
from seqstate.files import existing_file, whole_file
from seqstate.forecast.clock import Clock
from seqstate.forecast.core import make_layers
from seqstate.forecast.fitted import Fitted, Place
from seqstate.forecast.form import Form
from seqstate.forecast.inputs import Reader
from seqstate.forecast.lags import Reach
from seqstate.forecast.network import Network, Shape
from seqstate.forecast.reading import Series
from seqstate.forecast.scaling import Scale

_FORMAT = "seqstate forecaster 1"
_ABOUT, _ARRAYS = "forecaster.json", "arrays.npz"

Arrays = dict[str, np.ndarray]


def save(forecaster: Any, fitted: Fitted, path: str | os.PathLike[str]) -> Path:
    """See `Forecaster.save`."""
    where = "Forecaster.save"
    about, arrays = _packed(fitted)
    try:
        text = json.dumps({"format": _FORMAT, "params": forecaster.get_params(), "fitted": about})
    except TypeError as error:
        raise ArgumentError(
            message(
                where,
                f"an argument can't be written as text: {error}.",
                "A layer that is a function, or names that are no text or numbers, can't be "
                "saved; pickle can keep them.",
            )
        ) from error
    with whole_file(path, where) as aside, zipfile.ZipFile(aside, "w") as archive:
        archive.writestr(_ABOUT, text)
        with archive.open(_ARRAYS, "w") as stream:
            np.savez(stream, allow_pickle=False, **arrays)
    return Path(path)


def load(made: Any, path: str | os.PathLike[str]) -> Any:
    """See `Forecaster.load`."""
    where = "Forecaster.load"
    found = existing_file(path, where)
    try:
        with zipfile.ZipFile(found) as archive:
            text = json.loads(archive.read(_ABOUT))
            with archive.open(_ARRAYS) as stream:
                arrays = dict(np.load(stream, allow_pickle=False))
        if text["format"] != _FORMAT:
            raise ValueError(f"its format is {text['format']!r}")
        forecaster = made(**text["params"])
        _give(forecaster, _unpacked(text["params"], text["fitted"], arrays))
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, OSError, EOFError) as error:
        raise DataError(
            message(
                where,
                f'"{found}" is no forecaster, or it is damaged: {error}.',
                "Pass a file that Forecaster.save wrote, whole.",
            )
        ) from error
    return forecaster


def pickled(forecaster: Any, fitted: Fitted | None) -> dict[str, Any]:
    """Give what a pickle keeps."""
    packed = None if fitted is None else _packed(fitted)
    return {"params": forecaster.get_params(), "fitted": packed}


def restore(forecaster: Any, state: dict[str, Any]) -> None:
    """Make the forecaster that a pickle kept."""
    params = state["params"]
    for name, value in params.items():
        setattr(forecaster, name, value)
    if state["fitted"] is not None:
        _give(forecaster, _unpacked(params, *state["fitted"]))


def _give(forecaster: Any, fitted: Fitted) -> None:
    forecaster._fitted = fitted
    forecaster.season_ = fitted.reader.reach.season
    forecaster.losses_ = fitted.losses


def _packed(fitted: Fitted) -> tuple[dict[str, Any], Arrays]:
    reader, shape = fitted.reader, fitted.network.shape
    about = {
        "form": asdict(fitted.form),
        "reach": list(reader.reach),
        "cycles": list(reader.cycles),
        "clock": None if reader.clock is None else asdict(reader.clock),
        "shape": {**shape._asdict(), "reach": list(shape.reach)},
        "losses": fitted.losses,
        "recursive": fitted.recursive,
        "places": [{"name": p.name, "count": p.count} for p in fitted.places],
    }
    arrays: Arrays = {"ratio": reader.ratio}
    for name, scale in (("known", reader.known), ("past", reader.past)):
        arrays |= {f"{name}/centre": scale.centre, f"{name}/spread": scale.spread}
    arrays |= {f"state/{name}": value for name, value in fitted.state.items()}
    weights = fitted.network.learning.get_weights()
    arrays |= {f"weights/{number}": np.asarray(value) for number, value in enumerate(weights)}
    for number, place in enumerate(fitted.places):
        kept = {
            "centre": place.scale.centre,
            "spread": place.scale.spread,
            "naive_error": place.naive_error,
            "values": place.recent.values,
            "known": place.recent.known,
            "past": place.recent.past,
        }
        if place.recent.times is not None:
            kept["times"] = place.recent.times.astype("int64")
        arrays |= {f"places/{number}/{name}": value for name, value in kept.items()}
    return about, arrays


def _unpacked(params: dict[str, Any], about: dict[str, Any], arrays: Arrays) -> Fitted:
    clock = None if about["clock"] is None else Clock(**about["clock"])
    known, past = (
        Scale(arrays[f"{name}/centre"], arrays[f"{name}/spread"]) for name in ("known", "past")
    )
    reach = Reach(*about["reach"])
    reader = Reader(reach, arrays["ratio"], known, past, tuple(about["cycles"]), clock)
    said = dict(about["shape"])
    shape = Shape(**{**said, "reach": Reach(*said["reach"]), "levels": tuple(said["levels"])})
    network = Network(shape, make_layers(params["layer"], params["units"], "Forecaster"))
    count = sum(name.startswith("weights/") for name in arrays)
    network.learning.set_weights([arrays[f"weights/{number}"] for number in range(count)])
    return Fitted(
        form=_form(about["form"]),
        reader=reader,
        network=network,
        places=[_place(one, i, arrays, clock) for i, one in enumerate(about["places"])],
        state={name: arrays[f"state/{name}"] for name in network.carried},
        losses=about["losses"],
        recursive=about["recursive"],
    )


def _form(about: dict[str, Any]) -> Form:
    listed = {name: tuple(about[name]) for name in ("targets", "keys")}
    parts = tuple(_form(one) for one in about["parts"])
    return Form(**{**about, **listed, "parts": parts})


def _place(about: dict[str, Any], number: int, arrays: Arrays, clock: Clock | None) -> Place:
    def kept(name: str) -> np.ndarray:
        return arrays[f"places/{number}/{name}"]

    times = None
    if clock is not None:
        times = kept("times")
        times = times.astype("datetime64[us]") if clock.dated else times
    recent = Series(about["name"], kept("values"), kept("known"), kept("past"), times)
    scale = Scale(kept("centre"), kept("spread"))
    return Place(about["name"], scale, recent, about["count"], kept("naive_error"))
