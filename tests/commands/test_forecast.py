"""`seqstate forecast` as it is typed."""

import sys

import numpy as np
import pandas as pd
import pytest

from forecasting import wave
from seqstate import cli
from seqstate.commands import forecast
from seqstate.commands.read_series import Wanted, read_series_file

STEPS = 120
DAYS = pd.date_range("2024-01-01", periods=STEPS + 5, freq="D")
Y = (100 + 10 * wave(STEPS)).round(2)
COLUMNS = ("--time", "day", "--target", "sales")


def run(*arguments):
    """Type a command; give its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["seqstate", "forecast", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
    return stopped.value.code


def table(separator=",", decimal=".", dates="%Y-%m-%d", names="day,sales"):
    """Write the series as text."""
    rows = [
        separator.join((f"{day:{dates}}", f"{value:.2f}".replace(".", decimal)))
        for day, value in zip(DAYS[:STEPS], Y, strict=True)
    ]
    return "\n".join([names.replace(",", separator), *rows, ""])


def read(path, text, wanted=None, fill=False):
    path.write_text(text, encoding="utf-8")
    return read_series_file(path, wanted or Wanted("day", "sales", None, (), None), fill)[0]


@pytest.mark.parametrize(
    "written",
    [
        {},
        {"separator": ";", "decimal": ",", "dates": "%d.%m.%Y"},
        {"separator": "\t", "dates": "%d/%m/%Y"},
        {"separator": ";", "dates": "%Y/%m/%d %H:%M"},
        {"dates": "%Y%m%d"},
        {"dates": "%m/%d/%Y"},
        {"names": "\ufeffday,sales"},
    ],
    ids=str,
)
def test_the_usual_ways_to_write_a_table_are_read(tmp_path, written):
    found = read(tmp_path / "data.csv", table(**written))
    assert list(found["day"]) == list(DAYS[:STEPS])
    np.testing.assert_allclose(found["sales"], Y)


def test_a_quoted_decimal_comma_is_one_where_it_can_not_be_of_thousands(tmp_path):
    text = "\n".join(f'{day:%Y-%m-%d},"{value:.2f}"' for day, value in zip(DAYS, Y, strict=False))
    found = read(tmp_path / "data.csv", "day,sales\n" + text.replace(".", ","))
    np.testing.assert_allclose(found["sales"], Y)


def test_a_year_at_the_end_of_a_date_is_no_zone(tmp_path):
    wanted = Wanted("day", "sales", None, (), "%d-%m-%Y")
    found = read(tmp_path / "data.csv", table(dates="%d-%m-%Y"), wanted)
    assert list(found["day"]) == list(DAYS[:STEPS])


def test_fill_puts_missing_times_in_and_fills_on_straight_lines(tmp_path):
    lines = table().splitlines()
    lines[11] = lines[11].split(",")[0] + ","
    del lines[31:33]
    found = read(tmp_path / "data.csv", "\n".join(lines), fill=True)
    assert list(found["day"]) == list(DAYS[:STEPS])
    expected = Y.copy()
    expected[10] = (Y[9] + Y[11]) / 2
    expected[30:32] = np.interp([1, 2], [0, 3], [Y[29], Y[32]])
    np.testing.assert_allclose(found["sales"], expected)


def test_it_writes_forecasts_and_pictures_and_says_how_good_they_are(tmp_path, capsys):
    (tmp_path / "data.csv").write_text(table())
    out = tmp_path / "out"
    assert (
        run(tmp_path / "data.csv", *COLUMNS, "--horizon", 5, "--season", 6, "--quick", "--out", out)
        == 0
    )
    shown = capsys.readouterr().out
    for text in ("MASE", "model", "seasonal-naive", "Season: 6 steps", "interval held"):
        assert text in shown
    assert ("The model beats seasonal-naive" in shown) != ("does NOT beat seasonal-naive" in shown)
    written = pd.read_csv(out / "forecasts.csv", parse_dates=["day"])
    assert list(written.columns) == ["day", "forecast", "low", "high"]
    assert list(written["day"]) == list(DAYS[STEPS:])
    assert (written["low"] <= written["forecast"]).all()
    assert (written["forecast"] <= written["high"]).all()
    assert written["forecast"].between(80, 130).all()
    for name in ("forecast.png", "backtest.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG")


def test_several_series_with_a_covariate_that_goes_on(tmp_path, capsys):
    open_ = (np.arange(STEPS + 5) % 7 < 5).astype(int)
    parts = [
        pd.DataFrame(
            {
                "shop": shop,
                "day": DAYS,
                "open": open_,
                "sales": [*(Y * size), *[None] * 5],
            }
        )
        for shop, size in (("north", 1), ("south", 3))
    ]
    pd.concat(parts).to_csv(tmp_path / "data.csv", index=False)
    arguments = ("--horizon", 5, "--series", "shop", "--covariate", "open", "--quick")
    assert run(tmp_path / "data.csv", *COLUMNS, *arguments, "--out", tmp_path / "out") == 0
    written = pd.read_csv(tmp_path / "out" / "forecasts.csv", parse_dates=["day"])
    assert list(written["shop"]) == ["north"] * 5 + ["south"] * 5
    assert list(written["day"]) == [*DAYS[STEPS:]] * 2
    assert written["forecast"][5:].min() > 2 * written["forecast"][:5].max()
    assert "2 series, 240 rows" in capsys.readouterr().out


def test_a_missing_package_is_named_with_what_to_install(tmp_path, monkeypatch, capsys):
    (tmp_path / "data.csv").write_text(table())
    absent = {"sklearn", "narwhals"}
    monkeypatch.setattr(forecast, "find_spec", lambda name: None if name in absent else object())
    assert run(tmp_path / "data.csv", *COLUMNS, "--horizon", 5, "--out", tmp_path / "out") == 1
    shown = capsys.readouterr().err
    assert 'not installed: narwhals, sklearn.\n  Run: pip install "seqstate[forecast]"' in shown
    assert not (tmp_path / "out").exists()


TEXT = table()
LINES = TEXT.splitlines()


def without(*numbers):
    return "\n".join(line for number, line in enumerate(LINES, 1) if number not in numbers)


def changed(number, line):
    return "\n".join(line if n == number else old for n, old in enumerate(LINES, 1))


BAD = {
    "no file": (None, (), '"data.csv" is not there'),
    "no rows": ("day,sales\n", (), "has no rows of data"),
    "an empty file": ("", (), "is no CSV"),
    "no column": (TEXT, ("--target", "Sales"), "no column 'Sales'; it has 'day', 'sales'"),
    "no time column": (TEXT, ("--time", "date"), "no column 'date'"),
    "one column twice": (TEXT, ("--target", "day"), "'day' is named for two things"),
    "a word": (changed(9, "2024-01-08,closed"), (), "line 9, column 'sales': 'closed' is no num"),
    "a hole": (changed(9, "2024-01-08,"), (), "line 9, column 'sales': no value at 2024-01-08"),
    "a hole at the end": (changed(121, "2024-04-29,"), ("--fill",), "no value on both sides"),
    "no time": (changed(9, ",5.0"), (), "line 9: the time, column 'day', is empty"),
    "a time": (changed(9, "soon,5.0"), (), "line 9, column 'day': 'soon' can't be read as a time"),
    "two readings": (
        "day,sales\n01/02/2024,1\n01/03/2024,2\n01/05/2024,3\n",
        (),
        "'01/02/2024' can be read as %d/%m/%Y and as %m/%d/%Y",
    ),
    "format": (TEXT, ("--time-format", "%d.%m.%Y"), "'2024-01-01' can't be read as %d.%m.%Y"),
    "gap": (without(5, 6), (), "2024-01-06 follows 2024-01-03; the usual step is 1 day"),
    "twice": (changed(9, LINES[7]), (), "has the time 2024-01-07 2 times"),
    "not sorted": (
        "\n".join([LINES[0], *LINES[3:], LINES[1], LINES[2]]),
        (),
        "not sorted by time: row 118 is 2024-01-01, after 2024-04-29",
    ),
    "dots and commas": (
        TEXT.replace(",", ";").replace("2024-01-08;", "2024-01-08;1,"),
        (),
        "the column has commas and dots",
    ),
    "more cells than names in each line": (
        TEXT.replace("\n2024", ",5\n2024").replace("sales,5", "sales").rstrip() + ",5\n",
        (),
        "is no CSV in UTF-8 with a line of names on top: Length of header",
    ),
    "a column twice in the file": (
        TEXT.replace("day,sales", "day,sales,sales ").replace("\n2024", ",5\n2024", 119),
        (),
        "has more than one column 'sales'",
    ),
    "thousands": (
        "\n".join(
            ["day,sales", *(f'{line[:10]},"1,{n}"' for n, line in enumerate(LINES[1:], 100))]
        ),
        (),
        "line 2, column 'sales': '1,100' may be one number or another, for it may be thousands",
    ),
    "a word after empty lines": (
        changed(9, "\n\n2024-01-08,closed"),
        (),
        "line 11, column 'sales': 'closed' is no num",
    ),
    "the first days of months": (
        "\n".join(["day,sales", *(f"01/{month:02d}/2024,{month}" for month in range(1, 13))]),
        (),
        "'01/01/2024' can be read as %d/%m/%Y and as %m/%d/%Y",
    ),
    "too many columns": (changed(9, "2024-01-08,1,2,3"), (), "is no CSV"),
    "horizon": (TEXT, ("--horizon", "200"), "200"),
    "no horizon": (TEXT, ("--horizon", "0"), "horizon=0; expected a whole number"),
    "method": (TEXT, ("--method", "magic"), "method='magic'"),
    "interval": (TEXT, ("--interval", "0"), "--interval 0; expected percent"),
    "covariate of the past": (
        TEXT.replace("sales", "sales,rain")
        .replace("\n2024", ",1\n2024")
        .replace("rain,1", "rain")
        .rstrip()
        + ",1\n",
        ("--covariate", "rain"),
        "the file has 0 rows after the last value of 'sales'; expected 5",
    ),
    "out": (TEXT, ("--out", "data.csv"), "can't be written to"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_a_tired_person_types_gets_a_message_and_leaves_no_file(
    tmp_path, monkeypatch, capsys, case
):
    text, arguments, says = BAD[case]
    monkeypatch.chdir(tmp_path)
    if text is not None:
        (tmp_path / "data.csv").write_text(text)
    assert run("data.csv", *COLUMNS, "--horizon", 5, "--quick", *arguments) == 1
    shown = capsys.readouterr()
    assert says in shown.err
    assert shown.err.count("\n") >= 2
    assert "Traceback" not in shown.err
    assert not list(tmp_path.rglob("*.png"))
