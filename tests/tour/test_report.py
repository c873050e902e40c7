import io

import numpy as np
import pytest
from rich.console import Console

from seqstate.tour.baselines import DRIFT, NAIVE, SEASONAL, Score
from seqstate.tour.calls import four_ways
from seqstate.tour.forecaster import LEARNED
from seqstate.tour.report import calls_table, results_table, scores_table, verdict


def printed(*what):
    console = Console(file=io.StringIO(), width=80, highlight=False)
    console.print(*what)
    return console.file.getvalue()


def scores(learned, seasonal):
    def of(value):
        return Score(mae=value, rmse=value, by_day=np.array([value, 0.5]))

    return {NAIVE: of(0.9), SEASONAL: of(seasonal), DRIFT: of(0.4), LEARNED: of(learned)}


@pytest.mark.parametrize(
    ("learned", "seasonal", "says"),
    [
        (0.1, 0.2, "The LSTM beats seasonal-naive: 0.100 °C against 0.200 °C, 50% less error."),
        (0.3, 0.2, "The LSTM does NOT beat seasonal-naive: 0.300 °C against 0.200 °C."),
        (0.2, 0.2, "The LSTM does NOT beat seasonal-naive: 0.200 °C against 0.200 °C."),
    ],
)
def test_the_verdict_follows_the_numbers(learned, seasonal, says):
    assert says in verdict(scores(learned, seasonal), LEARNED).splitlines()


@pytest.mark.parametrize(("learned", "days"), [(0.1, "1 of 2"), (0.3, "0 of 2")])
def test_the_scores_table_counts_the_days_better_than_seasonal_naive(learned, days):
    text = printed(scores_table(scores(learned, 0.2), SEASONAL))
    row = next(line for line in text.splitlines() if line.strip().startswith(LEARNED))
    assert row.strip().endswith(days)
    assert f"{learned:.3f}" in row


def test_the_tables_show_code_names_shapes_and_values_in_80_columns():
    x = np.ones((1, 24, 1), "float32")
    calls, everything = four_ways(x, units=3)
    text = printed(calls_table(calls)) + printed(results_table(everything))
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80
    for expected in (
        "return_sequences=True,",
        "return_state=True",
        "(1, 24, 3)",
        "batch, time, units",
        "states/c",
        "gates/candidate",
        " ".join(f"{value:+.2f}" for value in everything["output"][0]),
        " ".join(f"{value:+.2f}" for value in everything["gates"]["forget"][0, -1]) + " t=24",
    ):
        assert expected in text
