"""New observations: held against the series that they go on from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seqstate.errors import DataError, message
from seqstate.forecast.clock import show
from seqstate.forecast.fitted import Fitted, Place
from seqstate.forecast.form import Form
from seqstate.forecast.reading import Series

WHERE = "Forecaster"


def in_order(fitted: Fitted, new: Sequence[Series], form: Form) -> list[Series]:
    """Give what is new of each series, in the order of `fit`; of some it may be nothing.

    Raises:
        DataError: a series that was not fitted, other columns, or times that don't go on.
    """
    expected = fitted.form
    if expected.keys:
        given = _by_key(fitted, new, form)
    else:
        if len(new) != len(fitted.places):
            raise DataError(
                message(
                    WHERE,
                    f"{len(new)} series came; expected {len(fitted.places)}, as in fit.",
                    "Pass as many in the same order. To bring news of some of them only, fit "
                    "with a dict by name.",
                )
            )
        given = list(new)
    return [
        _nothing(place) if one is None else _checked(fitted, place, one)
        for place, one in zip(fitted.places, given, strict=True)
    ]


def _by_key(fitted: Fitted, new: Sequence[Series], form: Form) -> list[Series | None]:
    if not form.keys:
        raise DataError(
            message(
                WHERE,
                f"series without names came; fit had {_listed(fitted.form.keys)}.",
                "Pass them by name, as in fit.",
            )
        )
    unknown = [key for key in form.keys if key not in fitted.form.keys]
    if unknown:
        raise DataError(
            message(
                WHERE,
                f"the series {unknown[0]!r} was not fitted; there are {_listed(fitted.form.keys)}.",
                "Leave it out, or fit anew with it.",
            )
        )
    by_key = dict(zip(form.keys, new, strict=True))
    return [by_key.get(key) for key in fitted.form.keys]


def _nothing(place: Place) -> Series:
    return place.recent.cut(slice(0, 0))


def _checked(fitted: Fitted, place: Place, new: Series) -> Series:
    recent = place.recent
    asked = recent.widths()
    for words, got in new.widths().items():
        expected = asked[words]
        if got != expected:
            raise DataError(
                message(
                    WHERE,
                    f"{place.name} came with {got} {words}; expected {expected}, as in fit.",
                    "Pass the same columns as in fit, in the same order.",
                )
            )
    clock = fitted.reader.clock
    if (clock is None) != (new.times is None):
        raise DataError(
            message(
                WHERE,
                f"{place.name} came {'with' if clock is None else 'without'} times; in fit it "
                f"was {'without' if clock is None else 'with'}.",
                "Pass new observations in the form that fit was given.",
            )
        )
    if clock is not None and new.times is not None and recent.times is not None and len(new):
        expected_times = clock.after(recent.times[-1], len(new))
        other = np.flatnonzero(new.times != expected_times)
        if len(other):
            at = int(other[0])
            before = clock.until(expected_times[at], 2)[0]
            raise DataError(
                message(
                    WHERE,
                    f"{place.name} does not go on: row {at} is at {show(new.times[at])}; expected "
                    f"{show(expected_times[at])}, after {show(before)}.",
                    "Pass each observation once, in order and without gaps, from the one after "
                    "the last that the forecaster has seen.",
                )
            )
    return new


def _listed(keys: Sequence[object]) -> str:
    shown = ", ".join(map(repr, keys[:5]))
    return f"{shown} ..." if len(keys) > 5 else shown
