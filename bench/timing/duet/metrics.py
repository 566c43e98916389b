"""What is compared between two sides: one number a restart and metric, the logarithm of B over A.

Restarts are the samples. What is inside one, a hundred rounds, only makes its number less noisy.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from bench.timing.duet.rounds import Series

TRIM = 0.2
"""Share of half-rounds left out at each end: what another process's burst does to a round is an outlier and no property of a framework."""


@dataclass(frozen=True)
class Metric:
    """One thing that may have become slower or larger: its name, its unit, the value of a variant, and the least margin."""

    name: str
    unit: str
    factor: float
    value: Callable[[Series, int], float]
    margin: float
    log_ratio: Callable[[Series, int, int], float | None]


def own_time(series: Series, variant: int) -> np.ndarray:
    """Seconds per step of every block (rounds × 2) without those in which the worker had no processor."""
    wall, waited = np.asarray(series.wall[variant]), np.asarray(series.waited[variant])
    return np.maximum(wall - waited, 1e-3 * wall)


def step_log_ratio(series: Series, a: int = 0, b: int = 1) -> float | None:
    """Trimmed mean over both halves of every round, A B and B A, of log(B ÷ A); a drift within the round cancels between them."""
    halves = np.log(own_time(series, b)) - np.log(own_time(series, a))
    return float(stats.trim_mean(halves.ravel(), TRIM)) if halves.size else None


def _of(values: Callable[[Series], list[float]]) -> Callable[[Series, int, int], float | None]:
    """Log-ratio of one number a variant; None where a side has none."""

    def log_ratio(series: Series, a: int = 0, b: int = 1) -> float | None:
        one, other = values(series)[a], values(series)[b]
        return math.log(other / one) if one > 0 and other > 0 else None

    return log_ratio


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("step", "ms", 1e3, lambda s, variant: float(np.median(own_time(s, variant))), 0.015, step_log_ratio),
        Metric("first_step", "s", 1.0, lambda s, variant: s.first_step[variant], 0.25, _of(lambda s: s.first_step)),
        Metric("host_memory", "MB", 1.0, lambda s, variant: s.host[variant], 0.03, _of(lambda s: s.host)),
        Metric("device_memory", "MB", 1.0, lambda s, variant: s.device[variant], 0.03, _of(lambda s: s.device)),
    )
}
"""Margins as shares: half of the 3 % that is to be found in a step's time; what a busy machine does to a single tracing; what a
garbage collector leaves to chance."""
