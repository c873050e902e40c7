"""All problems by name."""

from __future__ import annotations

from quality_of import adding, addition, letters, vowels
from quality_of.problem import Problem

PROBLEMS: dict[str, Problem] = {
    problem.name: problem
    for problem in (
        addition.TWO_DIGITS,
        addition.THREE_DIGITS,
        adding.PROBLEM,
        vowels.PROBLEM,
        letters.PROBLEM,
    )
}
