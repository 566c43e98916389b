"""How far an experiment is and how long it will still take: a line now and then, at the end of an epoch."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from bench.experiments.cell import Cell
from bench.progress import QUIET, clock, say


class Progress:
    """Counts epochs by what they cost; the time left is that of the cost so far."""

    def __init__(self, name: str, cells: Sequence[Cell]) -> None:
        """`cells` are those that will be trained."""
        self._name, self._cells = name, len(cells)
        self._all, self._done = sum(cell.cost for cell in cells), 0.0
        self._begun = time.monotonic()
        self._printed = self._begun - QUIET
        self._finished = 0
        self._lock = threading.Lock()

    def epoch(self, cell: Cell, number: int, accuracy: float) -> None:
        """One epoch of a cell is over."""
        with self._lock:
            self._done += cell.cost / cell.row.epochs
            if (now := time.monotonic()) - self._printed < QUIET:
                return
            self._printed = now
            spent = now - self._begun
            left = spent / self._done * max(0.0, self._all - self._done)
            where = (
                f"{cell.row.label}, {cell.row.axis} {cell.row.depth}, {cell.backend}, seed {cell.seed}: epoch {number} of {cell.row.epochs}"
            )
            counted = f"{self._finished} of {self._cells} cells, {clock(spent)}, about {_long(left)} left"
            say(f"{self._name}: {counted} ({where}, accuracy {accuracy:.3f})")

    def finished(self, cell: Cell, epochs: int) -> None:
        """A cell is over, perhaps before its last epoch."""
        with self._lock:
            self._finished += 1
            self._done += cell.cost * (1 - epochs / cell.row.epochs)


def _long(seconds: float) -> str:
    """`12:05`, or `5.2 h`."""
    return clock(seconds) if seconds < 3600 else f"{seconds / 3600:.1f} h"
