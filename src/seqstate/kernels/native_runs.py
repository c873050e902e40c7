"""Runs of our own cells, and of stacks of them, by the native kernels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from keras import ops

from seqstate.kernels import frameworks, translate
from seqstate.kernels.problem import Problem, Results
from seqstate.state import State


def run_all(problems: Sequence[Problem]) -> list[Results]:
    """Run our own cells, or stacks of them, with the native kernels, several at once."""
    heights = {len(getattr(problem.steps, "inner", ())) for problem in problems}
    if len(heights) > 1:
        return [run_all([problem])[0] for problem in problems]
    if heights != {0}:
        return _stacks(problems)
    specs = [translate.spec_of(problem) for problem in problems]
    inputs = [translate.inputs_of(problem) for problem in problems]
    made = frameworks.run_all(list(zip(specs, inputs, strict=True)))
    return [translate.results_of(*each) for each in zip(specs, made, strict=True)]


def _stacks(problems: Sequence[Problem]) -> list[Results]:
    """Run each cell of stacks of one height over the whole sequence of the cell below it.

    That is the same as all cells step by step: no cell reads what the one above it does, and at
    a step that the mask skips, all of them stay as they were.
    """
    runs = list(problems)
    found: list[dict[str, Results]] = [{} for _ in problems]
    for level in zip(*(p.steps.inner.items() for p in problems), strict=True):
        own = [_of_cell(p, name, steps) for p, (name, steps) in zip(runs, level, strict=True)]
        for i, results in enumerate(run_all(own)):
            found[i][level[i][0]] = results
            # The cells above the first run in the order in which that one ran.
            p = runs[i] = replace(runs[i], sequences=results.sequence)
            if p.go_backwards:
                turned = {"mask": _flip(p.mask), "reset_mask": _flip(p.reset_mask)}
                runs[i] = replace(p, **turned, go_backwards=False)
    return [_of_stack(*each) for each in zip(problems, found, strict=True)]


def _of_cell(p: Problem, name: str, steps: Any) -> Problem:
    """Give what one cell of a stack has to run."""
    return replace(
        p,
        steps=steps,
        state=p.state[name],
        fresh=p.fresh[name],
        drawn=p.drawn[name],
        every_step=p.every_step or name != list(p.steps.inner)[-1],
    )


def _of_stack(problem: Problem, results: dict[str, Results]) -> Results:
    """Make the results of a stack of those of its cells."""

    def each(quantity: str) -> State:
        return {name: getattr(result, quantity) for name, result in results.items()}

    last = list(results)[-1]
    return Results(
        output=results[last].output,
        state=each("state"),
        sequence=results[last].sequence,
        states=each("states") if problem.every_step else None,
        gates=each("gates") if problem.gates else None,
    )


def _flip(mask: Any) -> Any:
    return None if mask is None else ops.flip(mask, axis=1)
