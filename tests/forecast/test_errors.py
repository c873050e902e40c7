"""One table of what a tired person passes, and what the message says."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

import seqstate
from forecasting import small, wave
from seqstate.errors import ArgumentError, DataError, NotFittedError, SeqstateError

Y = wave(80)
DAYS = pd.date_range("2024-01-01", periods=90, freq="D")
NAN = Y.copy()
NAN[[7, 9]] = np.nan
FRAME = pd.DataFrame({"day": DAYS[:80], "y": Y, "x": Y})


def bidirectional(units):
    return seqstate.layers.Bidirectional(seqstate.layers.LSTM(units))


FIT = {
    # arguments
    "method": ({"method": "recursiv"}, Y, ArgumentError, "expected 'recursive', 'direct', 'seq"),
    "head": ({"head": "normal"}, Y, ArgumentError, "head='normal'"),
    "horizon": ({"horizon": 0}, Y, ArgumentError, "horizon=0; expected a whole number"),
    "quantiles": ({"quantiles": (10, 90)}, Y, ArgumentError, "numbers between 0 and 1"),
    "season": ({"season": "day"}, Y, ArgumentError, "season='day'"),
    "calendar": ({"calendar": ["hour of day"]}, Y, ArgumentError, "has no dates"),
    "layer": ({"layer": "transformer"}, Y, ArgumentError, "expected one of 'lstm', 'gru'"),
    "both ways": ({"layer": bidirectional}, Y, ArgumentError, "gave a Bidirectional"),
    "backwards": (
        {"layer": lambda units: seqstate.layers.GRU(units, go_backwards=True)},
        Y,
        ArgumentError,
        "go_backwards=True",
    ),
    "validation": ({"validation": 15}, Y, ArgumentError, "validation=15"),
    "rate": ({"learning_rate": "fast"}, Y, ArgumentError, "learning_rate='fast'"),
    # values
    "nan": ({}, NAN, DataError, "missing (NaN) at row 7; 2 of 80 rows"),
    "infinite": ({}, np.append(Y, np.inf), DataError, "is inf at row 80"),
    "text": ({}, ["1", "2"], DataError, "expected numbers, [time] or [time, features]"),
    "one step": ({}, Y[:1], DataError, "has 1 step; that is no history"),
    "an empty array": ({}, Y[:0], DataError, "has 0 steps; that is no history"),
    "nothing": ({}, [], DataError, "no series came"),
    "too short": ({}, Y[:14], DataError, "the history has 14 steps; expected at least"),
    "horizon beyond the history": (
        {"horizon": 70},
        Y,
        DataError,
        "the history has 80 steps; expected at least",
    ),
    "season beyond the history": ({"season": 70}, Y, DataError, "season=70"),
    "window beyond the history": ({"window": 70}, Y, DataError, "has room for"),
    "one of many too short": (
        {},
        [Y, Y[:8]],
        DataError,
        "the shortest series has 8 steps; expected at least 12",
    ),
    "other features": (
        {},
        [wave(80, targets=2), wave(80, targets=3)],
        DataError,
        "series[1] has 3 features, series[0] has 2",
    ),
    "covariates of another length": ({}, (Y, {"known": Y[:9]}), DataError, "has 9 steps; the se"),
    "covariates of other times": (
        {},
        (pd.Series(Y, index=DAYS[:80]), {"known": pd.Series(Y, index=DAYS[1:81])}),
        DataError,
        "known of the series has the time 2024-01-02 at row 0; the series has 2024-01-01 there",
    ),
    "covariates beside a long frame": (
        {"series": "place"},
        (FRAME.assign(place="a"), {"known": Y}),
        DataError,
        "covariates came beside a frame of several series",
    ),
    "covariates of one series for two": ({}, ([Y, Y], {"known": Y}), DataError, "a list of 2"),
    "past covariates fed back": (
        {"method": "recursive"},
        (Y, {"past": Y}),
        ArgumentError,
        '1 past covariates with method="recursive"',
    ),
    # frames
    "column": ({"target": "z"}, FRAME, DataError, "no column 'z'; it has day, y, x"),
    "time as text": (
        {"time": "day"},
        FRAME.assign(day=FRAME["day"].astype(str)),
        DataError,
        "expected dates or whole numbers",
    ),
    "time left out": ({"target": None}, FRAME, DataError, "column 'day' is of type Datetime"),
    "gap": ({"time": "day"}, FRAME.drop([5, 6, 20]), DataError, "2024-01-08 follows 2024-01-05"),
    "nan in a frame": (
        {"time": "day"},
        FRAME.assign(x=NAN),
        DataError,
        "row 7 (2024-01-08), column 'x'",
    ),
    "null in polars": (
        {},
        pl.DataFrame({"y": [1.0, None, 2.0]}),
        DataError,
        "missing (NaN) at row 1, column 'y'",
    ),
    "other steps": (
        {},
        [pd.Series(Y, index=DAYS[:80]), pd.Series(Y, pd.date_range("2024", periods=80, freq="h"))],
        DataError,
        "has a step of 1 hour, series[0] of 1 day",
    ),
    "times for one": ({}, [pd.Series(Y, index=DAYS[:80]), Y], DataError, "only one of"),
    "a series without a name": (
        {"series": "place"},
        pl.DataFrame({"y": Y, "place": ["a"] * 79 + [None]}),
        DataError,
        "is empty at row 79; 1 of 80 rows",
    ),
    "a nan for a name": (
        {"series": "place"},
        FRAME.assign(place=[1.0] * 79 + [np.nan]),
        DataError,
        "is empty at row 79; 1 of 80 rows",
    ),
    "no column of series": ({"series": "place"}, FRAME, DataError, "no column 'place'"),
    "an array with series": ({"series": "place"}, Y, ArgumentError, "series='place' names a col"),
    "no time at a row": (
        {"time": "day"},
        FRAME.assign(day=FRAME["day"].where(FRAME.index != 3)),
        DataError,
        "has no time at row 3",
    ),
}


def refused(error, says, call):
    with pytest.raises(error) as caught:
        call()
    assert says in str(caught.value)
    where, _, todo = str(caught.value).partition("\n")
    assert where.startswith("Forecaster")
    assert todo.strip()


@pytest.mark.parametrize("case", FIT)
def test_fit_refuses(case):
    arguments, given, error, says = FIT[case]
    y, more = given if isinstance(given, tuple) else (given, {})
    refused(error, says, lambda: small(**arguments).fit(y, **more))


@pytest.fixture(scope="module")
def fitted():
    dated = pd.Series(Y, index=DAYS[:80])
    return {
        "plain": small().fit(Y),
        "point": small(head="point").fit(Y),
        "known": small().fit(Y, known=Y),
        "both": small().fit(wave(80, targets=2)),
        "dated": small(calendar=None).fit(dated),
        "named": small().fit({"a": Y, "b": Y}),
        "listed": small().fit([Y, Y]),
        "frame": small(time="day", target="y", known="x", calendar=None).fit(FRAME),
        "new": small(),
    }


def dated_frame(start, stop, **columns):
    return pd.DataFrame({"day": DAYS[start:stop], **columns})


AFTER = {
    "predict first": ("new", lambda f: f.predict(), NotFittedError, "predict was called before"),
    "update first": ("new", lambda f: f.update(Y), NotFittedError, "update was called before fit"),
    "score first": ("new", lambda f: f.score(Y), NotFittedError, "score was called before fit"),
    "plot first": ("new", lambda f: f.plot(), NotFittedError, "plot was called before fit"),
    "save first": ("new", lambda f: f.save("f.zip"), NotFittedError, "save was called before fit"),
    "too far": (
        "plain",
        lambda f: f.predict(4),
        ArgumentError,
        "horizon=4; the model was trained to say 3 steps",
    ),
    "no number": ("plain", lambda f: f.predict("day"), ArgumentError, "horizon='day'"),
    "quantiles of a point": (
        "point",
        lambda f: f.predict_quantiles(),
        ArgumentError,
        'quantiles of head="point"',
    ),
    "another quantile": (
        "plain",
        lambda f: f.predict_quantiles(quantiles=0.99),
        ArgumentError,
        "the quantile 0.99 is not trained; trained are 0.1, 0.5, 0.9",
    ),
    "no covariates": (
        "known",
        lambda f: f.predict(),
        DataError,
        "known is missing for the 3 steps ahead",
    ),
    "covariates too short": (
        "known",
        lambda f: f.predict(known=[1.0, 2.0]),
        DataError,
        "has 2 rows; expected 3",
    ),
    "covariates too wide": (
        "known",
        lambda f: f.predict(known=np.ones((3, 2))),
        DataError,
        "has 2 columns; expected 1",
    ),
    "covariates not fitted": (
        "plain",
        lambda f: f.predict(known=[1.0, 2.0, 3.0]),
        DataError,
        "the model was fitted without",
    ),
    "covariates of other days": (
        "frame",
        lambda f: f.predict(known=dated_frame(81, 84, x=[1.0, 2.0, 3.0])),
        DataError,
        "has the time 2024-03-22 at row 0; expected 2024-03-21",
    ),
    "update without covariates": (
        "known",
        lambda f: f.update([1.0]),
        DataError,
        "came with 0 known covariates; expected 1",
    ),
    "update with other columns": (
        "both",
        lambda f: f.update([1.0]),
        DataError,
        "came with 1 targets; expected 2",
    ),
    "update without times": ("dated", lambda f: f.update([1.0]), DataError, "without times"),
    "update with times": (
        "plain",
        lambda f: f.update(pd.Series([1.0], index=DAYS[:1])),
        DataError,
        "came with times",
    ),
    "update later": (
        "dated",
        lambda f: f.update(pd.Series([1.0], index=DAYS[81:82])),
        DataError,
        "does not go on: row 0 is at 2024-03-22; expected 2024-03-21",
    ),
    "update again": (
        "dated",
        lambda f: f.update(pd.Series([1.0], index=DAYS[79:80])),
        DataError,
        "row 0 is at 2024-03-20; expected 2024-03-21",
    ),
    "update with NaN": ("plain", lambda f: f.update([np.nan]), DataError, "missing (NaN) at row 0"),
    "update of a stranger": (
        "named",
        lambda f: f.update({"c": [1.0]}),
        DataError,
        "the series 'c' was not fitted; there are 'a', 'b'",
    ),
    "update without names": ("named", lambda f: f.update([Y]), DataError, "series without names"),
    "update of one of two": ("listed", lambda f: f.update([Y]), DataError, "1 series came; exp"),
    "plot of a stranger": ("named", lambda f: f.plot(name="c"), ArgumentError, "no series 'c'"),
    "plot of no target": ("plain", lambda f: f.plot(target=1), ArgumentError, "target=1"),
    "origins": ("plain", lambda f: f.backtest(Y, origins=40), DataError, "40 origins, 3 steps"),
    "a series too short for one origin": (
        "listed",
        lambda f: f.backtest([Y, Y[:4]]),
        DataError,
        "series[1] has 4 steps; 1 origin with horizon=3 leave nothing to learn from",
    ),
    "a score of nothing": ("plain", lambda f: f.score(Y[:0]), DataError, "no steps came"),
    "no origins": ("plain", lambda f: f.backtest(Y, origins=0), ArgumentError, "origins=0"),
}


@pytest.mark.parametrize("case", AFTER)
def test_after_fit_it_refuses(fitted, case):
    name, call, error, says = AFTER[case]
    refused(error, says, lambda: call(fitted[name]))
    assert issubclass(error, SeqstateError)


def test_an_update_that_is_refused_moves_nothing(fitted):
    before = fitted["named"].predict()
    with pytest.raises(DataError):
        fitted["named"].update({"a": [1.0], "b": [np.nan]})
    after = fitted["named"].predict()
    for name in before:
        np.testing.assert_array_equal(before[name], after[name])
