"""A later run against the record: cell by cell with the same seed, by how far recorded seeds lie apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

from bench.exit_status import Status, most_serious
from bench.experiments.cell import Cell
from bench.experiments.record import Result, Results
from bench.judging.finding import SCALES

FALSE_ALARMS = 1e-3
"""Chance that an experiment in which nothing changed is called worse, or better; divided over all that it judges."""
LEAST_SEEDS = 2
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
    standard deviation of s·√(2/m) at the most, where s is that of recorded seeds. Means and spreads are those of logits of accuracy.
    """
    both: dict[str, list[tuple[Cell, Result]]] = defaultdict(list)
    for cell, result in cells.items():
        if cell.key in recorded:
            both[cell.setting].append((cell, result))
    return [_judged(setting, pairs, recorded, len(both)) for setting, pairs in both.items()]


def _judged(setting: str, pairs: list[tuple[Cell, Result]], recorded: Results, settings: int) -> Judged:
    then, now = (
        np.array([each.last for each in found]) for found in ([recorded[cell.key] for cell, _ in pairs], [result for _, result in pairs])
    )
    value, before = (float(LOGIT.backward(LOGIT.forward(each).mean())) for each in (now, then))
    samples = _seeds_of(setting, recorded)
    if np.abs(now - then).max() <= SAME:
        return Judged(setting, len(pairs), before, value, before - SAME, before + SAME)
    if len(samples) < LEAST_SEEDS:
        reason = f"one seed is recorded, which tells nothing of the spread; --seeds={LEAST_SEEDS} --record adds one"
        return Judged(setting, len(pairs), before, value, 0.0, 1.0, reason)
    spread = float(LOGIT.forward(np.array(samples)).std(ddof=1))
    quantile = float(stats.t.isf(FALSE_ALARMS / settings / 2, len(samples) - 1))
    half = quantile * spread * (2 / len(pairs)) ** 0.5
    middle = float(LOGIT.forward(then).mean())
    low, high = (float(LOGIT.backward(middle + sign * half)) for sign in (-1, 1))
    return Judged(setting, len(pairs), before, value, min(low, before - SAME), max(high, before + SAME))


def _seeds_of(setting: str, recorded: Results) -> list[float]:
    return [result.last for key, result in recorded.items() if key.rpartition(" · ")[0] == setting]


def overall(judged: list[Judged]) -> Status:
    """The status of a run; SAME where nothing is recorded."""
    return most_serious({each.status for each in judged} or {Status.SAME})
