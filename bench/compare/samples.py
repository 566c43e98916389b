"""Samples over seeds of two runs: accuracy, loss and gradient norms over training.

Two runs that trained the same seeds are compared seed by seed, by how far healthy executions of these seeds were recorded to stray
(`bench.baselines.pairs`). Others are compared by Welch's interval for the difference of two means (Welch 1947), on the scale on which a
metric's spread over seeds is even. A change is one that is significant, the false-discovery rate over all metrics of the comparison held
at `FALSE_DISCOVERIES` (Benjamini & Hochberg 1995), and larger than the metric's floor.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from bench.baselines.metrics import is_share, kind_of
from bench.baselines.pairs import FURTHEST, mean
from bench.compare.change import BETTER, CHANGED, NOT_COMPARABLE, SAME, VANISHED, WORSE, Change
from bench.judging.finding import SCALES
from bench.judging.tolerance import FALSE_DISCOVERIES
from bench.report.record import Profile, Stray
from bench.report.texts import counted, number, span


@dataclass
class Difference:
    """New minus old mean on a named scale: its interval at 1 − FALSE_DISCOVERIES, the p-value of no difference, the least that matters.

    `floor` is absolute for shares, and for other metrics a share of the old mean.
    """

    scale: str
    difference: float
    half: float
    p: float
    floor: float


def paired(old: list[float], new: list[float], metric: str, stray: Stray) -> Difference:
    """The mean change of the same seeds. One seed may stray `FURTHEST` times as far as any that was recorded, without a change."""
    kind, count = kind_of(metric), len(new)
    forward = SCALES[kind.over_executions].forward
    difference = float((forward(np.asarray(new)) - forward(np.asarray(old))).mean())
    error, furthest = float(stray.spread) * math.sqrt(2 / count), FURTHEST * float(stray.furthest) / count
    half = max(float(stats.t.isf(FALSE_DISCOVERIES / 2, stray.degrees)) * error, furthest)
    p = float(2 * stats.t.sf(abs(difference) / error, stray.degrees)) if error else 0.0
    return Difference(kind.over_executions, difference, half, p if abs(difference) > furthest else 1.0, kind.execution_floor)


def welch(old: list[float], new: list[float], metric: str) -> Difference:
    """The change of the means of different seeds. Both sides need two finite samples; without any spread, any difference is certain."""
    kind = kind_of(metric)
    forward = SCALES[kind.over_seeds].forward
    a, b = forward(np.asarray(old)), forward(np.asarray(new))
    squares = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
    difference, error = float(b.mean() - a.mean()), math.sqrt(sum(squares))
    if error == 0:
        return Difference(kind.over_seeds, difference, 0.0, 0.0 if difference else 1.0, kind.floor)
    degrees = sum(squares) ** 2 / (squares[0] ** 2 / (len(a) - 1) + squares[1] ** 2 / (len(b) - 1))
    half = float(stats.t.isf(FALSE_DISCOVERIES / 2, degrees)) * error
    return Difference(kind.over_seeds, difference, half, float(2 * stats.t.sf(abs(difference) / error, degrees)), kind.floor)


def compare(pairs: list[tuple[Profile, Profile]], why_not: str) -> list[Change]:
    """Every metric of every pair of profiles; `why_not` says why trainings cannot be compared at all, if so."""
    changes: list[Change] = []
    tested: list[tuple[Change, Difference]] = []
    for old, new in pairs:
        for metric in dict.fromkeys([*old.samples, *new.samples]):
            sides = [[float(value) for value in side.samples.get(metric, [])] for side in (old, new)]
            change = Change(SAME, new.backend, new.network, metric)
            changes.append(change)
            stray = (new.strays.get(metric) or old.strays.get(metric)) if old.seeds == new.seeds else None
            faults = [_unusable(metric, values, name, 1 if stray else 2) for name, values in zip(("old", "new"), sides, strict=True)]
            change.note = why_not or "; ".join(filter(None, faults))
            if change.note:
                change.verdict = NOT_COMPARABLE if why_not or faults[0] else VANISHED
                continue
            seen = paired(sides[0], sides[1], metric, stray) if stray else welch(sides[0], sides[1], metric)
            means = [mean(seen.scale, values) for values in sides]
            change.old, change.new = (number(each) for each in means)
            tested.append((change, seen))
            change.numbers = {"old": means[0], "new": means[1]}
    adjusted = stats.false_discovery_control([seen.p for _, seen in tested]) if tested else []
    for (change, seen), p in zip(tested, adjusted, strict=True):
        _judge(change, seen, float(p))
    return changes


def _unusable(metric: str, values: list[float], side: str, least: int) -> str:
    """Why nothing can be said of a side's samples, if so."""
    if len(values) < least:
        return f"the {side} run has {counted(len(values), 'seed')}, and one tells nothing of the spread"
    bad = [v for v in values if not math.isfinite(v) or (not is_share(metric) and v <= 0)]
    return f"the {side} run has {number(bad[0])} for a seed" if bad else ""


def _judge(change: Change, seen: Difference, p: float) -> None:
    scale, (old, new) = SCALES[seen.scale], (change.numbers["old"], change.numbers["new"])
    floor, start = seen.floor * (1 if is_share(change.metric) else old), float(scale.forward(np.asarray(old)))
    low, high = (float(scale.backward(start + seen.difference + edge)) for edge in (-seen.half, seen.half))
    change.interval = f"expected {span(low, high)}"
    change.numbers |= {"low": low, "high": high, "p": p}
    change.size = abs(new - old) / floor
    if p < FALSE_DISCOVERIES and change.size > 1:
        good = kind_of(change.metric).better
        change.verdict = CHANGED if not good else BETTER if good * seen.difference > 0 else WORSE
