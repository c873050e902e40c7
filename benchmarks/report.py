"""The tables of `kernels.py`, each goal beside its figure."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import goals
from cases import FORWARD, GRADIENT, TASKS, Case
from goals import Verdict
from peers.names import LABELS, OURS, is_peer
from table import described, milliseconds, table

WORK = {
    FORWARD: "From the inputs to the sequence and the last state; at `step` the state goes in too.",
    GRADIENT: "Forward, then the gradients of kernel, recurrent kernel and bias from cotangents "
    "of the sequence and of the last state; for everybody without the gradient of the inputs, a "
    "loss or an optimizer.",
}
ERRORS = f"""The largest error that was found before the case was timed: of values the absolute \
one, of gradients that beside the largest entry; where gradients were taken, the larger of both. \
Of values the goal is at most {goals.ERROR:.0e}. Inputs are normal with variance 1, kernels with \
1 / features and 1 / units, biases with 0.01; `last_c` of an LSTM is among the values.
"""
INTRO = """Milliseconds a call, medians of {rounds} interleaved rounds, each peer in a process of \
its own, all on {threads} threads. In brackets the share of the peak that the processor reached \
beside it in fused multiply-adds on registers (operations of the matrix products only). \
torch, ONNX Runtime and `lax.scan` get time-major data, as suits them best; ours and Keras's \
layers get batch-major data. Every peer's numbers were compared with float64 before it was timed.
"""


def written(found: dict[str, Any]) -> str:
    """Write the results as Markdown."""
    machine = found["machine"]
    parts = ["# Kernels\n", INTRO.format(rounds=found["rounds"], threads=machine["threads"])]
    records = [(_case(record), record) for record in found["peers"]]
    if records:
        parts += ["## Beside the fastest peer\n", goals_table(records)]
    for task in TASKS:
        of_task = [(case, record) for case, record in records if case.task == task]
        if of_task:
            parts += [f"## {task.capitalize()}\n", WORK[task] + "\n", peers_table(of_task)]
    if records:
        parts += ["## How far from float64\n", ERRORS, errors_table(records)]
    if found["variants"]:
        parts += ["## More than the plain work, beside our own plain time\n"]
        parts += [variants_table((_case(record), record) for record in found["variants"])]
    if found["memory"]:
        parts += ["## Memory of a training step beside torch's, MiB\n"]
        parts += [memory_table(found["memory"])]
    parts += [not_measured(found["missing"])]
    return "\n".join([*parts, "## The machine\n", described(machine)])


def not_measured(missing: list[str]) -> str:
    """List what could not be measured, and why."""
    if not missing:
        return ""
    return "\n## Not measured\n\n" + "".join(f"- {line}\n" for line in missing)


def goals_table(records: list[tuple[Case, dict[str, Any]]]) -> str:
    """Say how far ahead of the fastest peer ours is, and whether that was the goal."""
    rows = []
    ours = [label for label in _labels(records) if not is_peer(label) and label != OURS]
    for case, record in records:
        medians = _medians(record)
        peers = {label: seconds for label, seconds in medians.items() if is_peer(label)}
        fastest = min(peers, key=peers.__getitem__)
        goal = goals.AHEAD[case.cell, case.task].get(case.shape)
        verdict = Verdict(peers[fastest] / medians[OURS], goal)
        others = [
            f"{peers[fastest] / medians[label]:.2f}x" if label in medians else "-" for label in ours
        ]
        rows.append([f"{case.cell} {case.task} {case.shape}", fastest, verdict, *others])
    return table(["", "fastest peer", "it / ours", *(f"it / {label}" for label in ours)], rows)


def peers_table(records: list[tuple[Case, dict[str, Any]]]) -> str:
    """Write every figure, with its share of the peak."""
    labels = _labels(records)
    rows = []
    for case, record in records:
        medians = _medians(record)
        shares = {k: case.flops / v / 1e9 / record["gflops"] for k, v in medians.items()}
        figures = [
            f"{milliseconds(medians[k])} ({shares[k]:.{0 if shares[k] > 0.1 else 1}%})"
            if k in medians
            else "-"
            for k in labels
        ]
        rows.append([f"{case.cell} {case.shape} {case.sizes}", *figures])
    return table(["", *labels], rows)


def errors_table(records: list[tuple[Case, dict[str, Any]]]) -> str:
    """Write how far ours and everybody else is from the numbers in float64."""
    labels = [label for label in _labels(records) if is_peer(label) or label == OURS]
    rows = []
    for case, record in records:
        errors = record["errors"]
        figures = [f"{errors[label]:.1e}" if label in errors else "-" for label in labels]
        if case.task == FORWARD and errors[OURS] > goals.ERROR:
            figures[labels.index(OURS)] += f", **over by {errors[OURS] / goals.ERROR - 1:.0%}**"
        rows.append([f"{case.cell} {case.task} {case.shape}", *figures])
    return table(["", *labels], rows)


def variants_table(records: Iterable[tuple[Case, dict[str, Any]]]) -> str:
    """Write what more than the plain work costs."""
    rows = []
    for case, record in records:
        medians = _medians(record)
        plain = medians[OURS]
        verdicts = [
            Verdict(medians[k] / plain, goal, at_most=True) for k, goal in goals.VARIANT.items()
        ]
        rows.append([f"{case.cell} {case.task} {case.shape}", milliseconds(plain), *verdicts])
    return table(["", "plain, ms", *goals.VARIANT], rows)


def memory_table(records: list[dict[str, Any]]) -> str:
    """Write by how much a process grows in a training step."""
    labels = list(records[0]["bytes"])
    rows = []
    for record in records:
        grown = record["bytes"]
        verdict = Verdict(grown[OURS] / grown["torch"], goals.MEMORY, at_most=True)
        figures = [f"{grown[label] / 2**20:.1f}" for label in labels]
        rows.append([f"{record['cell']} {record['shape']}", *figures, verdict])
    return table(["", *labels, "ours / torch's"], rows)


def save(folder: Path | None, name: str, found: dict[str, Any], text: str) -> None:
    """Write the figures and the text, one pair for each instruction set; nothing without folder."""
    if folder is None:
        print("Not a whole run: written nowhere. --out says where it should be.")
        return
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{found['machine']['instruction set']}"
    path.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")
    path.with_suffix(".md").write_text(text)
    print(f"Written to {path}.json and .md")


def _labels(records: list[tuple[Case, dict[str, Any]]]) -> list[str]:
    made = {label for _, record in records for label in record["seconds"]}
    return sorted(made, key=LABELS.index)


def _case(record: dict[str, Any]) -> Case:
    return Case(record["cell"], record["shape"], record["task"])


def _medians(record: dict[str, Any]) -> dict[str, float]:
    return {label: statistics.median(v) for label, v in record["seconds"].items()}
