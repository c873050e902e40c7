"""The tables of `quality.py`: what was reached, and below it what others published."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

from quality_of.problem import FIRST_LOSS, Problem
from table import described, table

Records = list[dict[str, Any]]


def written(found: dict[str, Any], problems: Mapping[str, Problem], intro: str) -> str:
    """Write the results as Markdown."""
    parts = ["# Tables that others published", intro]
    if found["quick"]:
        parts.append("**A quick run: short trainings, nothing to compare with what is published.**")
    spent = sum(one["seconds"]["cpu"] for one in found["trainings"]) / 60
    parts.append(
        "Mean of the seeds, in brackets the least and the most. All trainings together took "
        f"{spent:.0f} minutes of one processor."
    )
    for problem in problems.values():
        records = [one for one in found["trainings"] if one["problem"] == problem.name]
        if records:
            parts += [f"## {problem.title}", problem.setup, of_problem(problem, records).rstrip()]
            parts += [first_losses(problem, records), sources(problem)]
    missing = found["skipped"] + [
        f"{one['problem']}, {one['model']}, seed {one['seed']}: {one['error']}"
        for one in found["failed"]
    ]
    if missing:
        parts += ["## Not trained", "\n".join(f"- {line}" for line in missing)]
    parts += ["## The machine", described(found["machine"])]
    return "\n\n".join(part for part in parts if part)


def of_problem(problem: Problem, records: Records) -> str:
    """Write the table of one problem."""
    rows = []
    for model in problem.seeds:
        own = [one for one in records if one["model"] == model]
        if own:
            figures = [spread(name, form, own) for name, form in problem.figures.items()]
            seconds = statistics.mean(one["seconds"]["cpu"] for one in own)
            rows.append([model, *figures, f"{seconds:.0f}", str(len(own))])
    for one in problem.published:
        figures = [one.figures.get(name, "-") for name in problem.figures]
        rows.append([f"*published: {one.what}*", *figures, "-", "-"])
    return table(["", *problem.figures, "processor seconds a training", "seeds"], rows)


def spread(name: str, form: str, records: Records) -> str:
    """Write the mean of a figure, the least and the most, and how many trainings reached it."""
    values = [one["figures"][name] for one in records if name in one["figures"]]
    if not values:
        return "not reached"
    text = f"{statistics.mean(values):{form}}"
    if len(values) > 1:
        text += f" ({min(values):{form}} to {max(values):{form}})"
    return text if len(values) == len(records) else f"{text}, in {len(values)} of {len(records)}"


def first_losses(problem: Problem, records: Records) -> str:
    """Say how far apart the losses after the first epoch are, of models that began alike."""
    by_seed: dict[int, list[float]] = {}
    for one in records:
        if one["model"] in problem.alike:
            by_seed.setdefault(one["seed"], []).append(one["figures"][FIRST_LOSS])
    apart = [max(losses) / min(losses) - 1 for losses in by_seed.values() if len(losses) > 1]
    if not apart:
        return ""
    return (
        f"{', '.join(problem.alike)} began alike: their losses after the first epoch differ by "
        f"{max(apart):.0e} of their size at most."
    )


def sources(problem: Problem) -> str:
    """List where the published figures stand."""
    return "Published:\n\n" + "\n".join(f"- {one.what}: {one.source}" for one in problem.published)
