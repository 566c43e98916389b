"""Other tools' rules for "is it slower?", so that they can be asked about the same measured series as ours.

Each takes the restarts of one comparison, in the order of time, and says whether the tool would call B slower. They get wall-clock
seconds per step, as the tools do; what differs is which processes a tool would have run when.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import stats

from bench.timing.duet.rounds import Series

PROCESSES, VALUES = 10, 3
"""`pyperf --fast`: processes a side, and values each of them takes."""


def blocks(series: Series, variant: int) -> np.ndarray:
    """Every block's seconds per step in the order of time."""
    return np.asarray(series.wall[variant], np.float64).ravel()


def pytest_benchmark(statistic: Callable[[np.ndarray], float], share: float) -> Callable[[Sequence[Series]], bool]:
    """`--benchmark-compare-fail=mean:10%` against a stored run: the first restart's A, and another restart's B."""

    def slower(restarts: Sequence[Series]) -> bool:
        stored, now = blocks(restarts[0], 0), blocks(restarts[1], 1)
        return bool(statistic(now) > (1 + share) * statistic(stored))

    return slower


def asv_continuous(restarts: Sequence[Series], factor: float = 1.1, level: float = 0.002) -> bool:
    """`asv continuous`: two interleaved rounds of processes A B A B, medians apart by a factor, and a Mann-Whitney test."""
    old = np.concatenate([blocks(restarts[n], 0) for n in (0, 2)])
    new = np.concatenate([blocks(restarts[n], 1) for n in (1, 3)])
    significant = stats.mannwhitneyu(old, new, alternative="two-sided").pvalue < level
    return bool(significant and np.median(new) > factor * np.median(old))


def pyperf(restarts: Sequence[Series]) -> bool:
    """`pyperf compare_to`: all processes of A, then all of B, values pooled in a two-sided t-test at 95 %."""
    old, new = (
        np.concatenate([blocks(each, which)[:VALUES] for each in part])
        for which, part in ((0, restarts[:PROCESSES]), (1, restarts[PROCESSES : 2 * PROCESSES]))
    )
    return bool(stats.ttest_ind(old, new).pvalue < 0.05 and new.mean() > old.mean())


RULES: dict[str, tuple[int, Callable[[Sequence[Series]], bool]]] = {
    "pytest-benchmark mean:5%": (2, pytest_benchmark(np.mean, 0.05)),
    "pytest-benchmark mean:10%": (2, pytest_benchmark(np.mean, 0.10)),
    "pytest-benchmark min:5%": (2, pytest_benchmark(np.min, 0.05)),
    "asv continuous (factor 1.1, p < 0.002)": (4, asv_continuous),
    f"pyperf compare_to ({PROCESSES} + {PROCESSES} processes)": (2 * PROCESSES, pyperf),
}
"""Every rule with the number of restarts that it reads."""


def seconds_of(series: Series) -> np.ndarray:
    """Seconds that each round's blocks took, the step before each block included."""
    each = [np.asarray(wall).sum(1) * (steps + (steps > 1)) for wall, steps in zip(series.wall, series.steps, strict=True)]
    return np.sum(each, axis=0)


def shortened(series: Series, seconds: float) -> Series:
    """As many rounds as take so many seconds."""
    spent = np.cumsum(seconds_of(series))
    count = min(len(spent), max(1, int(np.searchsorted(spent, seconds)) + 1))
    rows: dict[str, Any] = {name: [variant[:count] for variant in getattr(series, name)] for name in ("wall", "waited")}
    return dataclasses.replace(series, seconds=float(spent[count - 1]), **rows)


def rate(hits: int, of: int) -> str:
    """`3.5 % (0.4 … 12)` with the exact interval of Clopper and Pearson at 95 %."""
    interval = stats.binomtest(hits, of).proportion_ci(0.95)
    return f"{100 * hits / of:.1f} % ({100 * interval.low:.1f} … {100 * interval.high:.1f})" if math.isfinite(interval.high) else "–"
