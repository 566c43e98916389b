"""Other tools' rules for "is it slower?", so that they can be asked about the same measured series as ours.

Each takes the restarts of one comparison, in the order of time, and the lane that may be slower than lane 0, and says whether the tool
would flag it. They get wall-clock seconds per step, as the tools do; what differs is which processes a tool would have run when.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import stats

from bench.timing.duet.rounds import Series

PROCESSES, VALUES = 10, 3
"""`pyperf --fast`: processes a side, and values each of them takes."""


def blocks(series: Series, lane: int) -> np.ndarray:
    """Every block's seconds per step in the order of time."""
    return np.asarray(series.wall[lane], np.float64).ravel()


def pytest_benchmark(statistic: Callable[[np.ndarray], float], share: float) -> Callable[[Sequence[Series], int], bool]:
    """`--benchmark-compare-fail=mean:10%` against a stored run: the first restart's A, and another restart's B."""

    def slower(restarts: Sequence[Series], lane: int) -> bool:
        stored, now = blocks(restarts[0], 0), blocks(restarts[1], lane)
        return bool(statistic(now) > (1 + share) * statistic(stored))

    return slower


def asv_continuous(restarts: Sequence[Series], lane: int, factor: float = 1.1, level: float = 0.002) -> bool:
    """`asv continuous`: two interleaved rounds of processes A B A B, medians apart by a factor, and a Mann-Whitney test."""
    old = np.concatenate([blocks(restarts[n], 0) for n in (0, 2)])
    new = np.concatenate([blocks(restarts[n], lane) for n in (1, 3)])
    significant = stats.mannwhitneyu(old, new, alternative="two-sided").pvalue < level
    return bool(significant and np.median(new) > factor * np.median(old))


def pyperf(restarts: Sequence[Series], lane: int) -> bool:
    """`pyperf compare_to`: all processes of A, then all of B, values pooled in a two-sided t-test at 95 %."""
    old, new = (
        np.concatenate([blocks(each, which)[:VALUES] for each in part])
        for which, part in ((0, restarts[:PROCESSES]), (lane, restarts[PROCESSES : 2 * PROCESSES]))
    )
    return bool(stats.ttest_ind(old, new).pvalue < 0.05 and new.mean() > old.mean())


RULES: dict[str, tuple[int, Callable[[Sequence[Series], int], bool]]] = {
    "pytest-benchmark mean:5%": (2, pytest_benchmark(np.mean, 0.05)),
    "pytest-benchmark mean:10%": (2, pytest_benchmark(np.mean, 0.10)),
    "pytest-benchmark min:5%": (2, pytest_benchmark(np.min, 0.05)),
    "asv continuous (factor 1.1, p < 0.002)": (4, asv_continuous),
    f"pyperf compare_to ({PROCESSES} + {PROCESSES} processes)": (2 * PROCESSES, pyperf),
}
"""Every rule with the number of restarts that it looks at."""


def seconds_of(series: Series, lanes: Sequence[int]) -> np.ndarray:
    """Seconds that each round's blocks of these lanes took, the step before each block included."""
    each = [np.asarray(series.wall[lane]).sum(1) * (series.steps[lane] + (series.steps[lane] > 1)) for lane in lanes]
    return np.sum(each, axis=0)


def shortened(series: Series, lane: int, seconds: float) -> Series:
    """Lanes 0 and `lane` alone, for as many rounds as a duet of two would have taken in so many seconds."""
    lanes = (0, lane)
    spent = np.cumsum(seconds_of(series, lanes))
    count = max(1, int(np.searchsorted(spent, seconds)) + 1)
    pick: dict[str, Any] = {name: [getattr(series, name)[n] for n in lanes] for name in ("steps", "first_step", "host", "device")}
    rows: dict[str, Any] = {name: [getattr(series, name)[n][:count] for n in lanes] for name in ("wall", "waited")}
    return Series(case=series.case, restart=series.restart, seconds=float(spent[min(count, len(spent)) - 1]), **pick, **rows)


def rate(hits: int, of: int) -> str:
    """`3.5 % (0.4 … 12)` with the exact interval of Clopper and Pearson at 95 %."""
    interval = stats.binomtest(hits, of).proportion_ci(0.95)
    return f"{100 * hits / of:.1f} % ({100 * interval.low:.1f} … {100 * interval.high:.1f})" if math.isfinite(interval.high) else "–"
