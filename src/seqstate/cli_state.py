"""The command line of stores: `seqstate state ls`, `get`, `rm`, `export`, `import`, `migrate`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

app = typer.Typer(
    name="state",
    help="Look at the states in a store, keep them in a file, move them to a newer model.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Url = Annotated[
    str,
    typer.Argument(metavar="URL", help="sqlite:///states.db or redis://localhost:6379/0"),
]
Prefix = Annotated[
    str, typer.Option("--prefix", metavar="TEXT", help="Only keys that begin with this.")
]


def _say(line: str) -> None:
    # Bytes: the keys are for other commands to read, whatever the locale is.
    typer.echo(line.encode())


def _note(text: str) -> None:
    typer.echo(text, err=True)


@app.command()
def ls(
    url: Url,
    prefix: Prefix = "",
    long: Annotated[
        bool,
        typer.Option("--long", help="Also the version, the bytes and the model, tabs between."),
    ] = False,
) -> None:
    """List the keys of a store, sorted, one a line."""
    from seqstate.commands.state.listing import run_ls

    run_ls(_say, url, prefix, long)


@app.command()
def get(
    url: Url,
    key: Annotated[str, typer.Argument(metavar="KEY", help="The source whose state it is.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE.safetensors",
            help="Write the state there, as seqstate.load_state reads it, instead of printing.",
        ),
    ] = None,
) -> None:
    """Print the state of one key as a line of JSON: its arrays, its version, its model."""
    from seqstate.commands.state.listing import run_get

    run_get(_say, url, key, out)


@app.command()
def rm(
    url: Url,
    keys: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY]...", help="The keys to remove.")
    ] = None,
    prefix: Annotated[
        str | None,
        typer.Option("--prefix", metavar="TEXT", help="Remove all keys that begin with this."),
    ] = None,
) -> None:
    """Remove keys; if one of them is not there, none is removed."""
    from seqstate.commands.state.listing import run_rm

    run_rm(typer.echo, url, keys or [], prefix)


@app.command()
def export(
    url: Url,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write there; standard output if left out."),
    ] = None,
    prefix: Prefix = "",
) -> None:
    """Write the states of a store as lines of JSON, one a key, of any mix of models."""
    from seqstate.commands.state.files import run_export

    run_export(_say, _note, url, prefix, out)


@app.command(name="import")
def import_(
    url: Url,
    path: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="What export wrote; standard input if left out."),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Write over keys that are there already.")
    ] = False,
) -> None:
    """Write the states of an export into a store, to the bit."""
    from seqstate.commands.state.files import run_import

    run_import(_note, url, path, sys.stdin.buffer, replace)


@app.command()
def migrate(
    url: Url,
    model: Annotated[
        Path, typer.Option("--to", metavar="MODEL.keras", help="The model they shall be for.")
    ],
    prefix: Prefix = "",
    dry: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be moved, filled or dropped.")
    ] = False,
) -> None:
    """Move the states of older models to a newer one, where names and sizes still fit.

    What the older state lacks starts anew; what the newer model has no place for is dropped.
    """
    from seqstate.commands.state.migration import run_migrate

    run_migrate(Console(highlight=False), url, model, prefix, dry)
