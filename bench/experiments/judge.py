"""A later run against the record: cell by cell with the same seed, by how far recorded seeds lie apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

from bench.exit_status import Status, most_serious
from bench.experiments.cell import Cell, Row
from bench.experiments.experiment import NAMES, Seen
from bench.experiments.record import Result, Results
from bench.judging.finding import SCALES

FALSE_ALARMS = 1e-3
"""Chance that an experiment in which nothing changed is called worse, or better; divided over all that it judges."""
LEAST_DEGREES = 2
"""Degrees of freedom from which a spread between seeds is known: three seeds of one framework, or two of each of two."""
SAME = 2e-3
"""An accuracy this near to the recorded one is the same whatever seeds say: 20 of 10,000 test images."""
LOGIT = SCALES["logit"]


@dataclass(frozen=True)
class Judged:
    """One setting: mean accuracies of the seeds that run and record have both, and the interval that admits the run's mean."""

    setting: str
    seeds: int
    recorded: float
    value: float
    low: float
    high: float
    reason: str = ""

    @property
    def status(self) -> Status:
        """INCONCLUSIVE with a reason not to judge; WORSE under the interval, FAILING above it or for NaN."""
        if self.reason:
            return Status.INCONCLUSIVE
        if self.low <= self.value <= self.high:
            return Status.SAME
        return Status.WORSE if self.value < self.low else Status.FAILING

    def __str__(self) -> str:
        """One line."""
        found = f"{self.setting}: accuracy {self.value:.4f}, recorded {self.recorded:.4f} (same {self.seeds} seeds)"
        if self.reason:
            return f"not judged  {found}: {self.reason}"
        word = {Status.SAME: "within", Status.WORSE: "WORSE", Status.FAILING: "HIGHER"}[self.status]
        return f"{word}  {found}, allowed {self.low:.4f} to {self.high:.4f}"


def judge(cells: Mapping[Cell, Result], recorded: Results) -> list[Judged]:
    """Every setting of which both have a seed: the mean over these seeds of the accuracy after the last epoch.

    Two trainings of one seed that rounding has driven apart differ as two seeds do. So the difference of means over m seeds has a
    standard deviation of s·√(2/m) at the most, where s is that of recorded seeds. It is pooled over frameworks, since these begin from
    the same weights and see the same batches. Means and spreads are those of logits of accuracy.
    """
    both: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        if cell.key in recorded:
            both[cell.setting].append(cell)
    return [_judged(setting, same, cells, recorded, len(both)) for setting, same in both.items()]


def _judged(setting: str, same: list[Cell], cells: Mapping[Cell, Result], recorded: Results, settings: int) -> Judged:
    then, now = (np.array([each.last for each in found]) for found in ([recorded[c.key] for c in same], [cells[c] for c in same]))
    middle = float(LOGIT.forward(then).mean())
    value, before = float(LOGIT.backward(LOGIT.forward(now).mean())), float(LOGIT.backward(middle))
    if np.abs(now - then).max() <= SAME:
        return Judged(setting, len(same), before, value, before - SAME, before + SAME)
    spread, degrees = _spread(same[0].row, recorded)
    if degrees < LEAST_DEGREES:
        reason = "too few seeds are recorded to know their spread: --seeds=3 --record adds some"
        return Judged(setting, len(same), before, value, 0.0, 1.0, reason)
    half = float(stats.t.isf(FALSE_ALARMS / settings / 2, degrees)) * spread * (2 / len(same)) ** 0.5
    low, high = (float(LOGIT.backward(middle + sign * half)) for sign in (-1, 1))
    return Judged(setting, len(same), before, value, min(low, before - SAME), max(high, before + SAME))


def _spread(row: Row, recorded: Results) -> tuple[float, int]:
    """Standard deviation between the recorded seeds of a row within each framework, and its degrees of freedom."""
    seen = Seen([row], recorded)
    groups = [LOGIT.forward(np.array([each.last for each in seen.of(row, backend)])) for backend in NAMES]
    degrees = sum(max(0, len(group) - 1) for group in groups)
    squares = sum(float(np.sum((group - group.mean()) ** 2)) for group in groups if len(group))
    return (squares / degrees) ** 0.5 if degrees else 0.0, degrees


def overall(judged: list[Judged]) -> Status:
    """The status of a run; SAME where nothing is recorded."""
    return most_serious({each.status for each in judged} or {Status.SAME})
