"""How long until the explorer of a large trace is on the screen?

Writes the page for 256 units x 1,000 steps (h, c and four gates of 8 samples) and opens it in
headless Chromium, from the start of the navigation until the heat map is drawn. Run:

    python benchmarks/explorer.py
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, sync_playwright

from seqstate.traces import LayerTrace, Trace

SETTINGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def states(samples: int, steps: int, units: int, seed: int) -> np.ndarray:
    """Make values as a tanh layer may give: slow, noisy, each unit in its own way."""
    rng = np.random.default_rng(seed)
    pace, phase, size = rng.uniform([[3], [0], [0.2]], [[90], [6], [4]], (3, units))
    waves = np.sin(np.arange(steps)[:, None] / pace + phase) * size
    noise = rng.normal(scale=0.05, size=(samples, steps, units))
    return np.tanh(waves + noise).astype(np.float32)


def large_trace(samples: int, steps: int, units: int) -> Trace:
    """Make a trace of one LSTM."""
    signed = [states(samples, steps, units, seed) for seed in range(6)]
    gates = {
        name: values if name == "candidate" else (1 + values) / 2
        for name, values in zip(("input", "forget", "candidate", "output"), signed[2:], strict=True)
    }
    found = {"states": {"h": signed[0], "c": 3 * signed[1]}, "gates": gates}
    layer = LayerTrace("lstm", "LSTM", found)
    inputs = states(samples, steps, 2, 6)
    return Trace("large", inputs, inputs[..., :1], {"lstm": layer})


def seconds_until_drawn(browser: Browser, path: Path) -> float:
    """Open the page in a fresh context, with nothing in the cache."""
    page = browser.new_context(offline=True, viewport={"width": 1400, "height": 900}).new_page()
    page.goto(path.as_uri(), wait_until="commit")
    page.wait_for_selector("body[data-ready]")
    # The page's own clock, from the start of the navigation.
    drawn = page.evaluate("() => performance.getEntriesByName('drawn')[0].startTime / 1000")
    page.context.close()
    return float(drawn)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--units", type=int, default=256)
    given = parser.parse_args()
    chromium = shutil.which("chromium")
    if chromium is None:
        parser.error("Chromium is not installed. Run: apt-get install chromium")
    trace = large_trace(given.samples, given.steps, given.units)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        start = time.perf_counter()
        path = trace.to_html(Path(folder) / "states.html").absolute()
        wrote = time.perf_counter() - start
        browser = playwright.chromium.launch(executable_path=chromium, args=SETTINGS)
        taken = [seconds_until_drawn(browser, path) for _ in range(given.rounds)]
        browser.close()
        size = path.stat().st_size / 2**20
    print(f"{given.units} units x {given.steps} steps, 6 quantities, {given.samples} samples")
    print(f"file     {size:.1f} MB, written in {wrote:.2f} s")
    print(f"drawn    median {statistics.median(taken):.2f} s of {given.rounds} rounds")
    print(f"         from {min(taken):.2f} to {max(taken):.2f} s")


if __name__ == "__main__":
    main()
