"""The tour itself: section by section, what is done and what is said about it."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Any

import keras
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from seqstate import __version__, out_directory
from seqstate.forecast.baselines import SEASONAL
from seqstate.tour import report
from seqstate.tour.baselines import BASELINES, Score, days_of, past_of, score
from seqstate.tour.calls import equations, four_ways, require_all, same_numbers
from seqstate.tour.data import DAY, PLACE, SOURCE, Split, Temperatures, load, split
from seqstate.tour.forecaster import (
    LEARNED,
    Settings,
    Training,
    build,
    forecast,
    look_inside,
    train,
)
from seqstate.tour.picture import DAYS, draw
from seqstate.tour.streaming import MIDWAY, OTHER, stations, stream_through_a_kill
from seqstate.tour.windows import FEATURES, scale_of

FULL = Settings(units=12, epochs=30, patience=6, stride=12)
QUICK = Settings(units=12, epochs=4, patience=4, stride=24)

WHERE = "seqstate tour"
MODEL, PICTURE, EXPLORER, LINES = "model.keras", "tour.png", "states.html", "hours.ndjson"


def run_tour(console: Console, out: Path, settings: Settings) -> None:
    """Run the whole tour and write the model, the pictures and the lines of the streams.

    Args:
        console: where to print.
        out: the directory for the files; made if it isn't there.
        settings: how much to train, `FULL` or `QUICK`.

    Raises:
        ArgumentError: `out` can't be written to.
        DataError: the temperatures aren't what they should be.
        SeqstateError: an equation does not hold.
    """
    start = perf_counter()
    out_directory.make_directory(out, WHERE)
    keras.utils.set_random_seed(settings.seed)
    report.say(console, f"seqstate {__version__}: the tour", "bold")
    report.say(console, f"Keras {keras.__version__} on {keras.backend.backend()}.")
    series = load()
    parts = split(len(series.celsius))
    _show_data(console, series, parts)
    _show_calls(console, series)
    model = build(settings.units, scale_of(series.celsius, parts.train))
    _train(console, model, series, parts, settings)
    learned = _compare(console, model, series, parts)
    model_path = _look_inside(console, model, series, parts, learned, out)
    _stream(console, model_path, series, parts, out)
    report.say(console, f"\nThe tour took {perf_counter() - start:.0f} s.")


def _show_data(console: Console, series: Temperatures, parts: Split) -> None:
    celsius = series.celsius
    report.section(
        console,
        1,
        f"A year of hourly temperatures in {PLACE}",
        f"{len(celsius)} hours, {celsius.min():.1f} to {celsius.max():.1f} °C "
        f"({SOURCE}, nothing is downloaded). They are dated 2010 but are NOAA's climate normals: "
        "each hour is an average over the years 1981 to 2010. That is climate without weather, "
        "far smoother than any real year: expect errors far below those of a weather forecast. "
        "The file is rounded to 0.1 °F, that is 0.06 °C.",
    )
    for hour in series.filled:
        value = celsius[series.time == hour][0]
        report.say(
            console,
            f"The file has no row for {str(hour).replace('T', ' ')}:00, in the night when US "
            "clocks went forward. Nothing is shifted around it, so one value was lost, not an "
            f"hour of time: here it is the mean of its neighbours, {value:.1f} °C.",
        )
    console.print(report.parts_table(series, parts))


def _show_calls(console: Console, series: Temperatures) -> None:
    units = 3
    # Tens of degrees, so that the values neither vanish nor saturate the layer.
    x = (series.celsius[:DAY] / 10).astype("float32").reshape(1, DAY, 1)
    calls, everything = four_ways(x, units)
    report.section(
        console,
        2,
        "Four ways of asking a layer",
        f"x is the first day, in tens of °C: {x.shape}, [batch, time, features]. The layer is "
        f"LSTM({units}), untrained. Time steps come from the data ({DAY} hours, so {DAY} steps); "
        f"units are the layer's own choice ({units} numbers at each step). Neither depends on the "
        "other. All calls below use the same weights.",
    )
    console.print(report.calls_table(calls))
    report.say(
        console,
        "With return_state=True, Keras gives an unnamed tuple. Its first entry is the output, and "
        "the output of an LSTM is its state h. So where the sequence is not asked for, the same "
        "numbers come twice, and only their place says which is which. By name there is no "
        'doubt: LSTM(3, returns="all")(x) gives',
    )
    console.print(report.results_table(everything))
    report.section(
        console,
        3,
        "The equations, checked by hand",
        "The states and gates of every step come back, so the LSTM's equations can be computed "
        f"outside the layer, for all {DAY} steps and {units} units. What remains is rounding.",
    )
    checked = [*same_numbers(everything), *equations(everything)]
    console.print(report.equations_table(checked))
    require_all(checked)


def _train(
    console: Console, model: Any, series: Temperatures, parts: Split, settings: Settings
) -> Training:
    report.section(
        console,
        4,
        "A small forecaster",
        f"An LSTM of {settings.units} units and a Dense layer, {model.count_params()} weights. At "
        "each hour it reads the temperature, its change since the same hour of the day before, "
        "and the time of day; it says how the next 24 hours will differ from the 24 just past. "
        "It learns from the training part, and the validation part decides which epoch is kept.",
    )
    console.print()
    with Progress(
        TextColumn("training"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[reached]}"),
        TimeElapsedColumn(),
        console=console,
    ) as progress:
        task = progress.add_task("", total=settings.epochs, reached="compiling")

        def on_epoch(epoch: int, error: float) -> None:
            progress.update(task, completed=epoch, reached=f"validation MAE {error:.3f} °C")

        training = train(model, series.celsius, parts, settings, on_epoch)
        progress.update(task, total=len(training.validation))
    report.say(
        console,
        f"{training.windows} windows of 7 days; stopped after epoch {len(training.validation)}, "
        f"kept epoch {training.best} (validation MAE {min(training.validation):.3f} °C).",
    )
    return training


def _compare(console: Console, model: Any, series: Temperatures, parts: Split) -> np.ndarray:
    observed = days_of(series.celsius, parts.held_out)
    past = past_of(series.celsius, parts.held_out)
    learned = forecast(model, series.celsius, parts.held_out)
    scores: dict[str, Score] = {
        name: score(observed, baseline(past)) for name, baseline in BASELINES.items()
    }
    scores[LEARNED] = score(observed, learned)
    report.section(
        console,
        5,
        f"Against forecasts that learn nothing, on {len(observed)} held-out days",
        "Each midnight, the 24 hours that follow are forecast from what is known by then. "
        '"Better days" counts the days with a lower error than the seasonal-naive forecast. It is '
        "one December and one random seed: don't read much into the third decimal.",
    )
    console.print(report.scores_table(scores, SEASONAL))
    report.say(console, report.verdict(scores, LEARNED))
    return learned


def _look_inside(
    console: Console,
    model: Any,
    series: Temperatures,
    parts: Split,
    learned: np.ndarray,
    out: Path,
) -> Path:
    inside = look_inside(model, series.celsius, parts.held_out)
    repeated = BASELINES[SEASONAL](past_of(series.celsius, parts.held_out))
    figure = draw(series, parts.held_out, learned, repeated, inside["lstm"])

    def explorer(path: Path) -> None:
        inside.to_html(
            path,
            time=series.time[parts.held_out],
            title=f"Inside an LSTM that forecasts {PLACE}'s hourly temperature: held-out days",
            features=FEATURES,
            outputs=[f"+{hour} h" for hour in range(1, DAY + 1)],
        )

    model_path, picture_path, explorer_path = out_directory.write(
        out, {MODEL: model.save, PICTURE: figure.savefig, EXPLORER: explorer}, WHERE
    )
    loaded = keras.models.load_model(model_path)
    again = forecast(loaded, series.celsius, parts.held_out)
    report.section(
        console,
        6,
        "Inside the forecaster",
        f"The picture shows the last {DAYS} held-out days: the inputs, the forecasts and their "
        "errors, and unit by unit the states h and c and the four gates of the run in which the "
        "forecasts were made. The model was read back from its file; largest difference between "
        f"the forecasts of the two: {report.gap(float(np.abs(again - learned).max()))}.",
    )
    console.print()
    report.verbatim(console, f"{picture_path}\n{model_path}", "bold")
    report.say(
        console,
        f"\nOpen the explorer in a browser: all {len(inside.inputs[0])} held-out hours, every "
        "state and gate of the LSTM, unit by unit; hover, click and zoom. It needs no network.",
    )
    console.print()
    report.verbatim(console, f"{explorer_path}", "bold")
    report.verbatim(
        console,
        "\nTo go on:\n"
        "  import seqstate.layers, keras\n"
        f'  model = keras.models.load_model("{model_path.as_posix()}")\n',
    )
    report.say(
        console,
        f"It reads [batch, time, features], the features being {'; '.join(FEATURES)}. It gives "
        "[batch, time, 24]: for each of the next 24 hours, the change since the same hour of the "
        "day before, °C.",
    )
    return model_path


def _stream(
    console: Console, model_path: Path, series: Temperatures, parts: Split, out: Path
) -> None:
    streamed = stream_through_a_kill(model_path, stations(series, PLACE), parts.held_out)
    text = "".join(f"{line}\n" for line in streamed.lines)
    (lines_path,) = out_directory.write(out, {LINES: lambda path: path.write_text(text)}, WHERE)
    report.section(
        console,
        7,
        "Hour by hour, through a kill",
        f"The held-out days again, one hour after the other, from three stations: {PLACE}, {OTHER} "
        f'and "{MIDWAY}", the mean of the two. seqstate stream reads them as lines, without Keras, '
        "with a state for each station in a SQLite file.",
    )
    report.say(
        console,
        f"After {streamed.answered} of {len(streamed.lines)} lines were answered, the process was "
        "killed on purpose (SIGKILL). By then it had applied "
        f"{streamed.again} more, whose answers never came. A new process got all lines that were "
        "not answered: those were answered from what was kept, the others applied. All answers "
        "equal those of an uninterrupted run, bit for bit.",
    )
    report.verbatim(
        console,
        f"\n  seqstate stream {model_path.as_posix()} --key station --sequence hour \\\n"
        f"      --store sqlite:///states.db < {lines_path.as_posix()} > answers.ndjson",
    )
