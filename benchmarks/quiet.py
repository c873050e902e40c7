"""Was the machine ours alone while we measured?

Counts the processor time that other processes took, and that the host of a virtual machine took
away, from Linux's own counters.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from rounds import NoisyError

# Of the time of all processors.
OTHERS = 0.04
STOLEN = 0.02


class Quiet:
    """From here to `check`, nobody else should have used the machine."""

    def __init__(self, processes: Iterable[int]) -> None:
        self.processes = [os.getpid(), *processes]
        self.start = self._times()

    def check(self) -> None:
        """Refuse a time in which the machine was shared.

        Raises:
            NoisyError: other processes, or the host, took too much.
        """
        spans = (now - then for now, then in zip(self._times(), self.start, strict=True))
        total, busy, stolen, own = spans
        others = max(0, busy - own)
        # A tick is 10 ms: in a very short time the shares mean nothing.
        if total > 100 and others > OTHERS * total:
            raise NoisyError(f"other processes used {others / total:.0%} of the machine")
        if total > 100 and stolen > STOLEN * total:
            raise NoisyError(f"the host took away {stolen / total:.0%} of the machine")

    def _times(self) -> tuple[int, int, int, int]:
        line = Path("/proc/stat").read_text().partition("\n")[0]
        user, nice, system, idle, waiting, hard, soft, stolen = map(int, line.split()[1:9])
        busy = user + nice + system + hard + soft
        own = 0
        for process in self.processes:
            # The name in brackets may hold spaces.
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            own += int(fields[11]) + int(fields[12])
        return busy + idle + waiting + stolen, busy, stolen, own
