"""Writing the page: the template, the scripts and the arrays, in one file."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from bokeh.resources import Resources
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from seqstate.errors import ArgumentError, message
from seqstate.plots.explorer.content import Content
from seqstate.plots.explorer.figures import palettes, plots
from seqstate.plots.explorer.packing import packed

MOST_BYTES = 100 * 2**20
"""The largest file: browsers take larger ones, but their readers wait."""

_PAGE = Path(__file__).parent / "page"
# In this order: each uses what stands before it. They become one script.
_SCRIPTS = ("data", "time", "drawing", "keys", "series", "table", "overview", "explorer")


def write_page(file: Path, content: Content) -> None:
    """Write the page.

    Raises:
        ArgumentError: it would be larger than `MOST_BYTES`.
    """
    environment = Environment(loader=FileSystemLoader(_PAGE), autoescape=True)
    # Bokeh reads its references in the order in which they were written.
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False, "separators": (",", ":")}
    arrays = _as_text(content)
    # What the page shows first is read, and drawn, before the browser has read all the rest.
    needed = len(content.series) + 1
    page = environment.get_template("page.html").stream(
        title=content.title,
        about=content.about | {"palettes": palettes()},
        plots=plots("plots", len(content.series)),
        style=Markup((_PAGE / "page.css").read_text(encoding="utf-8")),
        bokeh=[Markup(one) for one in Resources(mode="inline", components=["bokeh"]).js_raw],
        explorer=[Markup((_PAGE / f"{name}.js").read_text(encoding="utf-8")) for name in _SCRIPTS],
        first=islice(arrays, needed),
        rest=arrays,
    )
    page.dump(str(file), encoding="utf-8")


def _as_text(content: Content) -> Iterator[tuple[str, str]]:
    written = seen = 0
    for name, words in content.arrays():
        text = packed(words)
        written, seen = written + len(text), seen + words.size
        if written > MOST_BYTES:
            raise _too_large(content, written * content.size / seen)
        yield name, text


def _too_large(content: Content, size: float) -> ArgumentError:
    about = content.about
    many = f"{len(about['samples'])} samples, {len(content.layers)} layers"
    return ArgumentError(
        message(
            content.where,
            f"the file would have about {size / 2**20:.0f} MB with {many}; "
            f"expected at most {MOST_BYTES / 2**20:.0f} MB.",
            "Pass fewer samples= or layers=, or trace less with "
            'seqstate.trace(model, x, what=("states",)).',
        )
    )
