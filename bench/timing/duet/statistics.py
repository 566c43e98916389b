"""From log-ratios of restarts to slower, faster, same or inconclusive, with known error rates.

A margin m separates what matters from what does not: B is slower when its ratio is shown to exceed 1 + m, the same when it is shown
to lie within, and until one of these is shown the answer is open. All three are Student's t over restarts.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

SLOWER, FASTER, SAME, OPEN = "slower", "faster", "same", "inconclusive"
ALPHA = 0.05
"""False-discovery rate of slower and faster over all that is judged in a run (Benjamini and Hochberg 1995), before fresh workers
confirm them; what is equal lies a whole margin away from both claims. A self-test simulates both, restart after restart."""
BETA = 0.05
"""How often each bound of a step that is not the same may be missed (two one-sided tests, Schuirmann 1987)."""
CONFIRMED = 0.05
"""Level at which fresh workers, by themselves, must differ in the same direction."""
LEAST, FRESH = 4, 3
"""Restarts before anything is said, and fresh ones before it is confirmed."""
CONFIDENCE = 0.95
FINEST = 1e-4
"""Smallest standard deviation that is believed: memory is counted in pages and often equal to the byte."""


@dataclass(frozen=True)
class Estimate:
    """Mean log-ratio of B to A, its interval, and p-values: slower or faster by the margin, the same within it, above 1 at all."""

    restarts: int
    mean: float
    low: float
    high: float
    p_slower: float
    p_faster: float
    p_same: float
    p_above: float

    @property
    def ratio(self) -> tuple[float, float, float]:
        """B ÷ A and its interval."""
        return math.exp(self.mean), math.exp(self.low), math.exp(self.high)


def estimate(log_ratios: list[float], margin: float) -> Estimate:
    """Student's t of restarts' log-ratios against ±log(1 + margin). Raises ValueError for fewer than two."""
    if len(log_ratios) < 2:
        raise ValueError("An interval takes two restarts.")
    values, edge = np.asarray(log_ratios, np.float64), math.log1p(margin)
    error = max(float(values.std(ddof=1)), FINEST) / math.sqrt(len(values))
    t, mean = stats.t(len(values) - 1), float(values.mean())
    half = float(t.ppf((1 + CONFIDENCE) / 2)) * error
    above, below = float(t.sf((mean - edge) / error)), float(t.cdf((mean + edge) / error))
    same = max(float(t.cdf((mean - edge) / error)), float(t.sf((mean + edge) / error)))
    return Estimate(len(values), mean, mean - half, mean + half, above, below, same, float(t.sf(mean / error)))


def discovered(p_values: list[float]) -> list[bool]:
    """Which of these hold at a false-discovery rate of `ALPHA`."""
    return [bool(q <= ALPHA) for q in stats.false_discovery_control(p_values)] if p_values else []
