"""The command line: `seqstate tour`, `trace`, `forecast`, `stream`, `doctor` and `state`.

No framework is imported here, so that `seqstate --help` answers at once.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from seqstate import __version__, cli_state
from seqstate.errors import SeqstateError

# Prose is hard to read across a wide terminal.
WIDEST = 100

app = typer.Typer(
    name="seqstate",
    help="Recurrent networks whose sequences and states are values.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


app.add_typer(cli_state.app)


def _console(stderr: bool = False) -> Console:
    console = Console(stderr=stderr, highlight=False)
    console.width = min(console.width, WIDEST)
    return console


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"seqstate {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Recurrent networks whose sequences and states are values."""


@app.command()
def tour(
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="DIR", help="Where model.keras, tour.png and states.html go."
        ),
    ] = Path("tour"),
    quick: Annotated[
        bool, typer.Option("--quick", help="Train for a moment only; the scores are worse.")
    ] = False,
) -> None:
    """Show what a recurrent layer gives, on a year of real hourly temperatures.

    The four ways of asking an LSTM, its equations checked by hand, a small forecaster compared
    with naive forecasts on days it never saw, a picture of its states and gates, and a page to
    explore them. Nothing is downloaded.
    """
    from seqstate.tour.packages import require_packages

    require_packages()
    _quiet_frameworks()
    from seqstate.tour.run import FULL, QUICK, run_tour

    run_tour(_console(), out, QUICK if quick else FULL)


@app.command()
def trace(
    model: Annotated[Path, typer.Argument(metavar="MODEL.keras", help="A saved Keras model.")],
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="A .npy or .npz, [sample, time, features] or one series; or a .csv with a row "
            "for each time step.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="FILE",
            help="What to write: .npz (all arrays), .png (a picture of one sample), .html (an "
            "explorer).",
        ),
    ],
    layer: Annotated[
        list[str] | None,
        typer.Option("--layer", metavar="NAME", help="A layer to look at; can be repeated."),
    ] = None,
    sample: Annotated[
        int, typer.Option("--sample", metavar="N", help="The sample that a .png shows.")
    ] = 0,
    time: Annotated[
        str | None,
        typer.Option("--time", metavar="COLUMN", help="The column of a .csv that is the time."),
    ] = None,
) -> None:
    """Show the states and gates of every recurrent layer of a saved model, on data.

    Keras's own layers or seqstate's; the model needs nothing added. Without --layer, all layers.
    """
    from seqstate.commands.read_data import read_data
    from seqstate.commands.trace import check_out, run_trace

    check_out(out)
    given = read_data(data, time)
    _quiet_frameworks()
    run_trace(_console(), model, given, out, layer or None, sample)


@app.command()
def forecast(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="FILE.csv",
            help="A row for each time (of each series); commas, semicolons or tabs between.",
        ),
    ],
    time: Annotated[str, typer.Option("--time", metavar="COL", help="The column of the times.")],
    target: Annotated[str, typer.Option("--target", metavar="COL", help="The column to forecast.")],
    horizon: Annotated[
        int, typer.Option("--horizon", metavar="N", help="How many steps ahead to forecast.")
    ],
    series: Annotated[
        str | None,
        typer.Option("--series", metavar="COL", help="The column that tells several series apart."),
    ] = None,
    covariate: Annotated[
        list[str] | None,
        typer.Option(
            "--covariate",
            metavar="COL",
            help="A column that is known for the future too: the file goes on with its values "
            "where the target is empty. Can be repeated.",
        ),
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            "--method", metavar="NAME", help="sequence, direct, or recursive (fed with its own)."
        ),
    ] = "sequence",
    season: Annotated[
        int | None,
        typer.Option("--season", metavar="N", help="Steps in a season; found if left out."),
    ] = None,
    interval: Annotated[
        float, typer.Option("--interval", metavar="PERCENT", help="How much the interval holds.")
    ] = 80.0,
    fill: Annotated[
        bool,
        typer.Option("--fill", help="Fill holes and missing times on straight lines."),
    ] = False,
    time_format: Annotated[
        str | None,
        typer.Option(
            "--time-format", metavar="FORMAT", help='How times are written, such as "%d.%m.%Y".'
        ),
    ] = None,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Where forecasts.csv, forecast.png and backtest.png go.",
        ),
    ] = Path("forecast"),
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Of the training.")] = 0,
    quick: Annotated[
        bool, typer.Option("--quick", help="Train for a moment only; the scores are worse.")
    ] = False,
) -> None:
    """Forecast the series of a CSV file, and say how good such forecasts would have been.

    Trains a small recurrent network, tests it on the past beside naive and seasonal-naive
    forecasts, and writes what comes next with an interval. Nothing is downloaded.
    """
    from seqstate.commands.forecast import Options, run_forecast
    from seqstate.commands.read_series import Wanted

    _quiet_frameworks()
    wanted = Wanted(time, target, series, tuple(covariate or ()), time_format)
    options = Options(horizon, method, season, interval, quick, fill, seed)
    run_forecast(_console(), data, wanted, options, out)


@app.command()
def stream(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL.keras", help="A saved model, .keras or .h5.")
    ],
    key: Annotated[
        str, typer.Option("--key", metavar="FIELD", help="The field that names the source.")
    ],
    store: Annotated[
        str | None,
        typer.Option(
            "--store",
            metavar="URL",
            help="sqlite:///states.db or redis://localhost:6379/0; without it, states end with "
            "the program.",
        ),
    ] = None,
    field: Annotated[
        list[str] | None,
        typer.Option(
            "--field",
            metavar="NAME",
            help="A field of the sample, a number or a list of them; repeat it, in the order of "
            'the features. By default "sample", or all other fields as the first line has them.',
        ),
    ] = None,
    sequence: Annotated[
        str | None,
        typer.Option(
            "--sequence",
            metavar="FIELD",
            help="The field of a number that counts the lines of a key: lines that come again "
            "are answered again, and not applied twice.",
        ),
    ] = None,
    format: Annotated[  # noqa: A002
        str, typer.Option("--format", metavar="NAME", help="ndjson, csv, or auto.")
    ] = "auto",
    state: Annotated[bool, typer.Option("--state", help="Write the states too.")] = False,
    on_error: Annotated[
        str,
        typer.Option(
            "--on-error", metavar="WHAT", help="What to do at a bad line: stop, or skip it."
        ),
    ] = "stop",
    durability: Annotated[
        str | None,
        typer.Option("--durability", metavar="NAME", help="full, normal or none; of the store."),
    ] = None,
    max_live: Annotated[
        int | None,
        typer.Option("--max-live", metavar="N", help="Keys in memory at most; all, if left out."),
    ] = None,
    keep: Annotated[
        int,
        typer.Option(
            "--keep", metavar="N", help="Outputs kept of each key, for lines that come again."
        ),
    ] = 16,
    every: Annotated[
        float,
        typer.Option("--every", metavar="SECONDS", help="Between two rates; 0 for none."),
    ] = 10.0,
) -> None:
    """Push lines through a model, with a state of its own for each key.

    Reads NDJSON or CSV from standard input. Writes a line of JSON for each, when its state is in
    the store: the key and the outputs. Ends cleanly on SIGTERM. No framework is loaded.
    """
    from seqstate.commands.stream import Options, run_stream
    from seqstate.commands.stream_lines import Fields

    fields = Fields(key, sequence, field or [])
    options = Options(store, fields, format, durability, state, on_error, max_live, keep, every)
    run_stream(model, options)


@app.command()
def doctor(
    model: Annotated[
        Path | None,
        typer.Argument(metavar="[MODEL]", help="A saved model, .keras or .h5; can be left out."),
    ] = None,
) -> None:
    """Show what the native kernels find on this machine, and which layers of a model use them.

    The instruction set, the threads and the backend; for each recurrent layer the path that it
    takes, and why if that is not the native one.
    """
    from seqstate.commands.doctor import run_doctor

    _quiet_frameworks()
    run_doctor(_console(), model)


def _quiet_frameworks() -> None:
    # TensorFlow greets on stderr, in the middle of the output, unless told not to.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Products this small gain nothing from torch's threads, and lose much on a busy machine.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def main() -> None:
    """Run the command line; an error of seqstate is shown as a message, exit code 1."""
    for stream in (sys.stdout, sys.stderr):
        # A pipe that can't encode "°" gets a question mark rather than a traceback.
        if stream is not None:
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        app()
    except SeqstateError as error:
        _console(stderr=True).print(Text(f"Error: {error}", style="red"), soft_wrap=True)
        sys.exit(1)
