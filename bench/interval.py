"""What recorded seeds predict for a run: the interval in which a metric's mean over new seeds falls."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from bench.judge import SCALES
from bench.tolerance import FLOORS, METRICS_PER_RUN, PAIRED, RUN_FALSE_ALARMS


@dataclass(frozen=True)
class Beside:
    """The float64 reference on the seeds of a recording (`then`) and on those of a run (`now`)."""

    then: list[float]
    now: list[float]


@dataclass(frozen=True)
class Interval:
    """What is predicted for the mean of a run's seeds; `paired` holds the reference's numbers it was predicted from, if so."""

    low: float
    high: float
    paired: tuple[float, ...] = ()


def interval(metric: str, samples: list[float], runs: int, widening: float = 1.0, beside: Beside | None = None) -> Interval:
    """The interval in which the mean of `runs` new seeds falls, in the metric's own units.

    Student's prediction interval for a mean of m new draws from n old ones, x̄ ± t·s·√(1/m + 1/n), on logits of accuracy
    and logs of loss and gradient norm, where spreads are even; its level shares `RUN_FALSE_ALARMS` among all metrics,
    and it is never narrower than the metric's floor. Where training is not chaotic, a framework and the reference end
    alike from the same seed, so that their difference spreads less than the seeds do: then x is that difference, added
    to what the reference gives on the new seeds. It is taken where its s is below `PAIRED` of the seeds' own.
    """
    scale = SCALES[scale_of(metric)]
    x, expected = scale.forward(np.asarray(samples, np.float64)), 0.0
    paired: tuple[float, ...] = ()
    if beside is not None:
        difference = x - scale.forward(np.asarray(beside.then, np.float64))
        if difference.std(ddof=1) < PAIRED * x.std(ddof=1):
            x, expected, paired = difference, float(scale.forward(np.asarray(beside.now)).mean()), tuple(beside.now)
    t = stats.t.ppf(1 - RUN_FALSE_ALARMS / METRICS_PER_RUN / 2, len(x) - 1)
    half = float(t * x.std(ddof=1) * (1 / runs + 1 / len(x)) ** 0.5)
    middle = expected + float(x.mean())
    low, high = (float(scale.backward(middle + sign * half * widening)) for sign in (-1, 1))
    floor = _floor(metric, float(scale.backward(middle))) * widening
    return Interval(min(low, scale.backward(middle) - floor), max(high, scale.backward(middle) + floor), paired)


def _floor(metric: str, middle: float) -> float:
    """The least half-width of a metric's interval, in its own units: absolute for accuracy, a share of the others."""
    return FLOORS["accuracy"] if metric == "accuracy" else FLOORS[metric.partition(" ")[0]] * middle


def scale_of(metric: str) -> str:
    """The name of the scale (`bench.judge.SCALES`) on which a metric's spread over seeds is even."""
    return "logit" if metric == "accuracy" else "log"
