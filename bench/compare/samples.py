"""Samples over seeds of two runs: accuracy, loss and gradient norms over training.

Welch's interval for the difference of two means (Welch 1947), on the scale on which a metric's spread is even
(`interval.scale_of`). A change is one that is significant, the false-discovery rate over all metrics of the comparison held at
`FALSE_DISCOVERIES` (Benjamini & Hochberg 1995), and material, larger than the metric's floor (`interval.floor_of`).
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from bench.baselines.interval import floor_of, scale_of
from bench.compare.change import BETTER, CHANGED, NOT_COMPARABLE, SAME, VANISHED, WORSE, Change
from bench.judging.finding import SCALES
from bench.judging.tolerance import FALSE_DISCOVERIES
from bench.report.record import Profile
from bench.report.texts import counted, number, span

GOOD = {"accuracy": 1, "loss": -1}
"""Which way is better; a gradient norm has no better side."""


@dataclass
class Welch:
    """A difference of means on a metric's own scale, its interval at 1 − FALSE_DISCOVERIES, and the p-value of no difference."""

    difference: float
    half: float
    p: float


def welch(old: list[float], new: list[float], metric: str) -> Welch:
    """New minus old. Both sides need two finite samples; without any spread, any difference is certain."""
    forward = SCALES[scale_of(metric)].forward
    a, b = forward(np.asarray(old)), forward(np.asarray(new))
    squares = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
    difference, error = float(b.mean() - a.mean()), math.sqrt(sum(squares))
    if error == 0:
        return Welch(difference, 0.0, 0.0 if difference else 1.0)
    degrees = sum(squares) ** 2 / (squares[0] ** 2 / (len(a) - 1) + squares[1] ** 2 / (len(b) - 1))
    half = float(stats.t.isf(FALSE_DISCOVERIES / 2, degrees)) * error
    return Welch(difference, half, float(2 * stats.t.sf(abs(difference) / error, degrees)))


def compare(pairs: list[tuple[Profile, Profile]], why_not: str) -> list[Change]:
    """Every metric of every pair of profiles; `why_not` says why trainings cannot be compared at all, if so."""
    changes: list[Change] = []
    tested: list[tuple[Change, Welch]] = []
    for old, new in pairs:
        for metric in dict.fromkeys([*old.samples, *new.samples]):
            sides = [[float(value) for value in side.samples.get(metric, [])] for side in (old, new)]
            change = Change(SAME, new.backend, new.network, metric)
            changes.append(change)
            faults = [_unusable(metric, values, name) for name, values in zip(("old", "new"), sides, strict=True)]
            change.note = why_not or "; ".join(filter(None, faults))
            if change.note:
                change.verdict = NOT_COMPARABLE if why_not or faults[0] else VANISHED
                continue
            means = _means(metric, sides)
            change.old, change.new = (number(mean) for mean in means)
            tested.append((change, welch(sides[0], sides[1], metric)))
            change.numbers = {"old": means[0], "new": means[1]}
    adjusted = stats.false_discovery_control([w.p for _, w in tested]) if tested else []
    for (change, seen), p in zip(tested, adjusted, strict=True):
        _judge(change, seen, float(p))
    return changes


def _unusable(metric: str, values: list[float], side: str) -> str:
    """Why nothing can be said of a side's samples, if so."""
    if len(values) < 2:
        return f"the {side} run has {counted(len(values), 'seed')}, and one tells nothing of the spread"
    bad = [v for v in values if not math.isfinite(v) or (metric != "accuracy" and v <= 0)]
    return f"the {side} run has {number(bad[0])} for a seed" if bad else ""


def _means(metric: str, sides: list[list[float]]) -> list[float]:
    scale = SCALES[scale_of(metric)]
    return [float(scale.backward(scale.forward(np.asarray(values)).mean())) for values in sides]


def _judge(change: Change, seen: Welch, p: float) -> None:
    scale, (old, new) = SCALES[scale_of(change.metric)], (change.numbers["old"], change.numbers["new"])
    floor, start = floor_of(change.metric, old), float(scale.forward(np.asarray(old)))
    low, high = (float(scale.backward(start + seen.difference + edge)) for edge in (-seen.half, seen.half))
    change.interval = f"expected {span(low, high)}"
    change.numbers |= {"low": low, "high": high, "p": p}
    change.size = abs(new - old) / floor
    if p < FALSE_DISCOVERIES and change.size > 1:
        good = GOOD.get(change.metric)
        change.verdict = CHANGED if good is None else BETTER if good * seen.difference > 0 else WORSE
