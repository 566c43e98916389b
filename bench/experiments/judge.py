"""A later run against the record: cell by cell with the same seed, by how far recorded seeds lie apart.

Gradients through time before training are those of given weights and samples, and must be the recorded ones to their digits.
"""

from __future__ import annotations

import math
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
SAME_DECADES, SMALLEST = 0.02, -30.0
"""Decades by which a gradient may differ that is recorded to two digits, and under which float32 holds it with fewer of them."""
LOGIT = SCALES["logit"]


@dataclass(frozen=True)
class Judged:
    """One setting: mean accuracies of the seeds that run and record have both, and the interval that admits the run's mean.

    `what` is accuracy, or another number of a single cell.
    """

    setting: str
    seeds: int
    recorded: float
    value: float
    low: float
    high: float
    reason: str = ""
    what: str = "accuracy"

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
        found = f"{self.setting}: {self.what} {self.value:.4f}, recorded {self.recorded:.4f} (same {self.seeds} seeds)"
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


def judge_in_time(cells: Mapping[Cell, Result], recorded: Results) -> list[Judged]:
    """Every cell of which both have gradients through time before training: log₁₀ of the norm where it differs most."""
    found = []
    for cell, result in cells.items():
        then = recorded[cell.key].in_time.get("0") if cell.key in recorded else None
        if then is None or len(now := result.in_time.get("0", [])) != len(then):
            continue
        pairs = [(t, a, -math.inf if b is None else b) for t, a, b in zip(result.times, then, now, strict=True) if a is not None]
        apart = [(abs(b - a), t, a, b) for t, a, b in pairs if a > SMALLEST]
        if apart:
            _, time, before, value = max(apart)
            what = f"log₁₀ gradient at time step {time} before training"
            found.append(Judged(cell.key, 1, before, value, before - SAME_DECADES, before + SAME_DECADES, what=what))
    return found


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
