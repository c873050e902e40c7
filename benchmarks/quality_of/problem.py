"""What a problem is: its models, its figures, and what others published of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

# The loss after the first epoch: the same for ours and Keras's, from the same weights.
FIRST_LOSS = "loss after the first epoch"
KERAS, OURS = "Keras's layers", "ours"


@dataclass(frozen=True)
class Published:
    """A figure of somebody else's.

    Attributes:
        what: the model and how it was trained, where that differs.
        figures: as it was written, by name of the figure.
        source: where it stands.
    """

    what: str
    figures: Mapping[str, str]
    source: str


@dataclass(frozen=True)
class Problem:
    """A table to reproduce.

    Attributes:
        name: as on the command line.
        title: of the table.
        setup: what is trained, on what, and in what it differs from what was published.
        figures: how each figure is written, by name; a figure that is missing in a run was not
            reached in it.
        seeds: for each model, how many trainings.
        alike: the models that start from the same weights and read the same batches.
        published: what others reached.
        train: trains one model with one seed, quickly or in full, and gives the figures.
        package: the distribution that the data ship in.
    """

    name: str
    title: str
    setup: str
    figures: Mapping[str, str]
    seeds: Mapping[str, int]
    alike: tuple[str, ...]
    published: tuple[Published, ...]
    train: Callable[[str, int, bool], dict[str, float]]
    package: str | None = None
