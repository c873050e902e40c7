"""What is measured beside each other; each module runs in a process of its own.

A module has `runs(case)`, which gives by label what it can run of a case: an empty dict where it
can't. `rounds.Worker` starts the process.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cases import Array


@dataclass(frozen=True)
class Run:
    """One way to do the work of a case.

    Attributes:
        call: does the work, and returns when it is done.
        named: gives what `call` returned by name, batch-major and in Keras's shapes: `sequence`,
            `last_*`, and of a gradient `d_kernel`, `d_recurrent_kernel`, `d_bias`. For the check.
    """

    call: Callable[[], Any]
    named: Callable[[Any], dict[str, Array]]
