"""Everything that the documentation shows is run: the pages, the examples, the docstrings.

All ```python blocks of a page run in order and share one namespace. A ```text block that
follows a ```python block with nothing between them is what that block prints, and is compared.
"""

from __future__ import annotations

import contextlib
import doctest
import importlib
import io
import pkgutil
import re
import runpy
import subprocess
import sys
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

import seqstate
from example_claims import CLAIMS

ROOT = Path(__file__).resolve().parents[1]
DOCS = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [ROOT / "README.md", *DOCS]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def is_importable(module: str) -> bool:
    """Tell whether the framework is installed that a module is made for, as its name says."""
    framework = module.rpartition(".")[2].partition("_")[0]
    return framework not in ("jax", "torch", "tensorflow") or bool(find_spec(framework))


MODULES = sorted(
    name
    for _, name, _ in pkgutil.walk_packages(seqstate.__path__, "seqstate.")
    if not name.endswith("__main__") and is_importable(name)
)
NOT_RUN = {"text", "console", "bash"}

FENCE = re.compile(r"^(?P<indent> *)```(?P<rest>.*)$")

# NumPy 2 says this of the arrays of Keras's torch and TensorFlow backends.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


class Block(NamedTuple):
    language: str
    text: str
    first: int  # the lines of the page that the text stands in
    last: int


def blocks_of(page: Path) -> list[Block]:
    """Give the fenced blocks of a page in order."""
    found, start, language, indent = [], None, "", 0
    lines = page.read_text().splitlines()
    for number, line in enumerate(lines, 1):
        fence = FENCE.match(line)
        if fence is None:
            continue
        if start is None:
            start, indent = number + 1, len(fence["indent"])
            language = (fence["rest"].split() or [""])[0]
        else:
            text = "".join(f"{one[indent:]}\n" for one in lines[start - 1 : number - 1])
            found.append(Block(language, text, start, number - 1))
            start = None
    assert start is None, f"{page.name}: the block that starts at line {start} has no end"
    return found


def printed_by(blocks: list[Block], lines: list[str]) -> dict[Block, Block]:
    """Give for each python block the text block that says what it prints."""
    return {
        code: text
        for code, text in pairwise(blocks)
        if (code.language, text.language) == ("python", "text")
        and not "".join(lines[code.last + 1 : text.first - 2]).strip()
    }


def without_spaces_at_ends(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().splitlines()]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.fixture(autouse=True)
def empty_folder(monkeypatch, tmp_path):
    """Run in an empty folder, without a display."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_page(page):
    blocks = blocks_of(page)
    unknown = {block.language for block in blocks} - {"python", *NOT_RUN}
    assert not unknown, f"{page.name}: blocks of {unknown}; expected python, text, console or bash"
    expected = printed_by(blocks, page.read_text().splitlines())
    namespace = {"__name__": page.stem.replace("-", "_")}
    for block in blocks:
        if block.language != "python":
            continue
        # The empty lines make a traceback point to the line of the page.
        code = compile("\n" * (block.first - 1) + block.text, str(page), "exec")
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(code, namespace)
        if block in expected:
            shown = without_spaces_at_ends(expected[block].text)
            assert without_spaces_at_ends(out.getvalue()) == shown, f"{page.name}:{block.first}"


@pytest.mark.parametrize("example", EXAMPLES, ids=name_of)
def test_example(example, capsys):
    globals_ = runpy.run_path(str(example), run_name="__main__")
    assert globals_["__doc__"], "the docstring says what the example shows"
    assert capsys.readouterr().out.strip(), "an example prints what it shows"
    if example.stem in CLAIMS:
        CLAIMS[example.stem](globals_)


@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name):
    module = importlib.import_module(name)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    report = io.StringIO()
    for test in doctest.DocTestFinder().find(module):
        skipped = [e.source for e in test.examples if doctest.SKIP in e.options]
        assert not skipped, f"{test.name} skips {skipped}"
        runner.run(test, out=report.write)
    assert runner.failures == 0, report.getvalue()


def test_the_examples_and_pages_are_found():
    assert len(DOCS) > 5
    assert len(EXAMPLES) > 5
    assert set(CLAIMS) <= {example.stem for example in EXAMPLES}
    assert "seqstate.layers.lstm" in MODULES


def test_the_navigation_names_every_page():
    def pages(entry):
        if isinstance(entry, str):
            return [entry]
        inner = entry.values() if isinstance(entry, dict) else entry
        return [page for one in inner for page in pages(one)]

    listed = pages(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
    there = [page.relative_to(ROOT / "docs").as_posix() for page in DOCS]
    assert sorted(listed) == sorted(there)


def test_the_site_builds(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    done = subprocess.run(
        [*command, "--site-dir", str(tmp_path / "site")], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    page = (tmp_path / "site" / "index.html").read_text()
    assert not re.findall(r'(?:src|rel="stylesheet" href)="https?://', page)
