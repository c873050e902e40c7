"""A real browser for the pages that the library writes: Debian's Chromium, without a network.

A test module says `pytest_plugins = ["browser"]` and takes `open_page`.
"""

import shutil
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

_SETTINGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-device-scale-factor=1",
]


@pytest.fixture(scope="session")
def chromium():
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.fail("These tests need Chromium. Run: apt-get install chromium", pytrace=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=_SETTINGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium):
    """Give a function that opens a file; afterwards, what went wrong in the pages fails the test.

    Wrong is any request but the one for the file itself, an error that no script caught, and an
    error or a warning in the console.
    """
    wrong = []
    contexts = []

    def open_file(path, width=1400, height=900):
        address = Path(path).absolute().as_uri()
        context = chromium.new_context(
            offline=True, viewport={"width": width, "height": height}, reduced_motion="reduce"
        )
        contexts.append(context)

        def only_the_file(route):
            if route.request.url == address:
                route.continue_()
            else:
                wrong.append(f"request: {route.request.url[:200]}")
                route.abort()

        context.route("**/*", only_the_file)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: wrong.append(f"uncaught: {error}"))
        page.on("websocket", lambda socket: wrong.append(f"socket: {socket.url}"))
        page.on(
            "console",
            lambda said: (
                wrong.append(f"{said.type}: {said.text}")
                if said.type in ("error", "warning")
                else None
            ),
        )
        page.goto(address, wait_until="commit")
        page.wait_for_selector("body[data-ready]")
        return page

    yield open_file
    for context in contexts:
        context.close()
    assert wrong == []
