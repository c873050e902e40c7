"""The score: how much less error than the seasonal-naive forecast, in every form of series."""

import numpy as np
import pandas as pd
import pytest

from forecasting import SEASON, small, wave

Y = wave(83)
X = np.random.default_rng(3).normal(size=(83, 1))
FRAME = pd.DataFrame({"y": Y, "x": X[:, 0], "shop": "a"})
LONG = pd.concat([FRAME, FRAME.assign(shop="b", y=2 * Y)])


def by_hand(forecast, came, season):
    return 1 - np.abs(forecast - came).sum() / np.abs(season - came).sum()


FORMS = {
    "array": ({}, lambda part: (Y[part], {"known": X[part]})),
    "frame": (
        {"target": "y", "known": "x"},
        lambda part: (FRAME.drop(columns="shop")[part], {}),
    ),
    "list": ({}, lambda part: ([Y[part], 2 * Y[part]], {"known": [X[part]] * 2})),
    "dict": (
        {},
        lambda part: ({"a": Y[part]}, {"known": {"a": X[part]}}),
    ),
    "long": (
        {"target": "y", "known": "x", "series": "shop"},
        lambda part: (pd.concat([one[part] for _, one in LONG.groupby("shop")]), {}),
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_score_with_covariates_is_the_one_by_hand(form):
    arguments, part = FORMS[form]
    history, beside = part(slice(0, 80))
    came, known = part(slice(80, 83))
    forecaster = small(**arguments).fit(history, **beside)
    ahead = known.get("known", came)
    said = forecaster.predict(known=ahead)
    if form in ("list", "dict"):
        said = np.concatenate(list(said.values()) if form == "dict" else said)
    elif form in ("frame", "long"):
        said = said["y"].to_numpy()
    sizes = [1, 2] if form in ("list", "long") else [1]
    truth = np.concatenate([Y[80:] * size for size in sizes])
    naive = np.concatenate([Y[80 - SEASON : 83 - SEASON] * size for size in sizes])
    assert forecaster.score(came, **known) == pytest.approx(by_hand(said, truth, naive))
