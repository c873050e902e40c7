"""The command line: `seqstate tour` and what is to come.

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

from seqstate import __version__
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
        Path, typer.Option("--out", metavar="DIR", help="Where model.keras and tour.png go.")
    ] = Path("tour"),
    quick: Annotated[
        bool, typer.Option("--quick", help="Train for a moment only; the scores are worse.")
    ] = False,
) -> None:
    """Show what a recurrent layer gives, on a year of real hourly temperatures.

    The four ways of asking an LSTM, its equations checked by hand, a small forecaster compared
    with naive forecasts on days it never saw, and a picture of its states and gates. Nothing is
    downloaded.
    """
    from seqstate.tour.packages import require_packages

    require_packages()
    # TensorFlow greets on stderr, in the middle of the tour, unless told not to.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Products this small gain nothing from torch's threads, and lose much on a busy machine.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from seqstate.tour.run import FULL, QUICK, run_tour

    run_tour(_console(), out, QUICK if quick else FULL)


def main() -> None:
    """Run the command line; an error of seqstate is shown as a message, exit code 1."""
    for stream in (sys.stdout, sys.stderr):
        # A pipe that can't encode "°" gets a question mark rather than a traceback.
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        app()
    except SeqstateError as error:
        _console(stderr=True).print(Text(f"Error: {error}", style="red"), soft_wrap=True)
        sys.exit(1)
