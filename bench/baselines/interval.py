"""What recorded seeds predict for fresh ones: the interval in which a metric's mean over new seeds falls."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy import stats

from bench.baselines.metrics import is_share, kind_of
from bench.judging.finding import SCALES
from bench.judging.tolerance import METRICS_PER_RUN, RUN_FALSE_ALARMS, WIDEST
from models.arrays import Array


def interval(metric: str, samples: list[float], runs: int, widening: float = 1.0) -> tuple[float, float]:
    """The interval in which the mean of `runs` new seeds falls, in the metric's own units.

    Student's prediction interval for a mean of m new draws from n old ones, x̄ ± t·s·√(1/m + 1/n), on logits of accuracy
    and logs of loss and gradient norm, where spreads are even; its level shares `RUN_FALSE_ALARMS` among all metrics,
    and it is never narrower than the metric's floor.
    """
    scale = SCALES[scale_of(metric)]
    x = scale.forward(np.asarray(samples, np.float64))
    half = float(_quantile(len(x) - 1) * x.std(ddof=1) * (1 / runs + 1 / len(x)) ** 0.5)
    middle = float(scale.backward(x.mean()))
    floor = floor_of(metric, middle) * widening
    with np.errstate(over="ignore"):  # few samples predict next to nothing: an end may be infinite
        low, high = (float(scale.backward(x.mean() + sign * half * widening)) for sign in (-1, 1))
    return min(low, middle - floor), max(high, middle + floor)


def intervals_of_each(metric: str, samples: Array) -> tuple[Array, Array]:
    """For each of n samples the `interval` that the n − 1 others predict for it: lower and upper ends (n)."""
    scale = SCALES[scale_of(metric)]
    x = scale.forward(np.asarray(samples, np.float64))
    others = len(x) - 1
    away = x - x.mean()
    mean = x.mean() - away / others
    spread = np.sqrt(np.maximum(np.square(away).sum() - np.square(away) * (1 + 1 / others), 0.0) / (others - 1))
    half = _quantile(others - 1) * spread * (1 + 1 / others) ** 0.5
    middle = scale.backward(mean)
    floor = np.array([floor_of(metric, each) for each in middle])
    with np.errstate(over="ignore"):
        low, high = (scale.backward(mean + sign * half) for sign in (-1, 1))
    return np.minimum(low, middle - floor), np.maximum(high, middle + floor)


@cache
def _quantile(degrees: int) -> float:
    """Student's quantile at the level of one metric of a run."""
    return float(stats.t.isf(RUN_FALSE_ALARMS / METRICS_PER_RUN / 2, degrees))


def judges(metric: str, low: float, high: float, classes: int) -> bool:
    """Whether an interval is narrow enough to judge by.

    An accuracy's is narrower than the way from chance to perfect, a share's than from 0 to 1. A loss's or gradient norm's has ends less
    than `WIDEST` apart.
    """
    if is_share(metric):
        return high - low < (1 - 1 / classes if metric.endswith("accuracy") else 1)
    return bool(low > 0 and high < WIDEST * low)


def floor_of(metric: str, middle: float) -> float:
    """The least half-width of a metric's interval between seeds, in its own units: absolute for shares, a share of the others."""
    return kind_of(metric).floor * (1 if is_share(metric) else middle)


def scale_of(metric: str) -> str:
    """The name of the scale (`bench.judging.finding.SCALES`) on which a metric's spread over seeds is even."""
    return kind_of(metric).over_seeds
