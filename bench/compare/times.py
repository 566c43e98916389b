"""Step time, compile time and memory of two runs.

Two runs are apart in time, and a machine drifts between them by far more than its blocks show. So what is compared is a step's
time in units of the control product that was timed beside it, with an interval of what that ratio varies by between runs of
the same code (`RUN_TO_RUN`). A step is slower only if this interval says so and the time itself rose by `MATERIAL_TIME`, too;
where the two disagree, the runs cannot tell. Alternating two environments in one go resolves far less.
"""

import math

import numpy as np

from bench.compare.change import BETTER, INCONCLUSIVE, NOT_COMPARABLE, SAME, WORSE, Change
from bench.evidence.times import StepTime
from bench.judging.tolerance import MATERIAL_COMPILE, MATERIAL_MEMORY, MATERIAL_TIME, RUN_TO_RUN, RUNS_Z
from bench.report.record import Record

NORMAL_IQR, MEDIAN_COST = 1.349, 1.2533
"""Interquartile range of a normal law in standard deviations; how much less sharp a median is than a mean."""


def steps(old: StepTime, new: StepTime) -> list[Change]:
    """Step time and first step of one case."""
    change = Change(SAME, new.backend, new.network, "step time", new.mode)
    before, after = (1e3 * float(np.median(t.step_samples_s)) for t in (old, new))
    change.old, change.new = f"{before:.3g} ms", f"{after:.3g} ms"
    raw, _ = _ratio(_logs(old, False), _logs(new, False))
    relative, blocks = _ratio(_logs(old, True), _logs(new, True))
    half = RUNS_Z * math.hypot(blocks, math.sqrt(2) * RUN_TO_RUN)
    low, high = (math.exp(relative + sign * half) for sign in (-1, 1))
    change.interval = f"× {low:.2g} … {high:.2g} of the control"
    change.numbers = {"old": before, "new": after, "ratio": math.exp(raw), "in_controls": math.exp(relative), "low": low, "high": high}
    change.size = abs(relative)
    change.verdict = _verdict(raw, relative, half)
    if change.verdict == INCONCLUSIVE:
        change.note = f"× {math.exp(raw):.2g} in time and × {math.exp(relative):.2g} in units of the control product: two runs cannot tell"
    return [change, _first_step(old, new)]


def _logs(timed: StepTime, in_controls: bool) -> np.ndarray:
    step = np.log(timed.step_samples_s)
    return step - np.log(timed.control_samples_s) if in_controls else step


def _ratio(old: np.ndarray, new: np.ndarray) -> tuple[float, float]:
    """Log of the ratio of medians, and its standard error from the spread over blocks."""
    errors = [MEDIAN_COST * float(np.subtract(*np.percentile(x, [75, 25]))) / NORMAL_IQR / math.sqrt(len(x)) for x in (old, new)]
    return float(np.median(new) - np.median(old)), math.hypot(*errors)


def _verdict(raw: float, relative: float, half: float) -> str:
    """Logs of the ratio in seconds and in controls: worse or better where both are, same where both are within the margin."""
    margin = math.log(MATERIAL_TIME)
    for sign, verdict in ((1, WORSE), (-1, BETTER)):
        if sign * raw > margin and sign * relative > max(half, margin):
            return verdict
    return SAME if abs(raw) < margin and abs(relative) < margin else INCONCLUSIVE


def _first_step(old: StepTime, new: StepTime) -> Change:
    before, after = old.first_step_s, new.first_step_s
    change = Change(SAME, new.backend, new.network, "first step", new.mode, f"{before:.2g} s", f"{after:.2g} s")
    return _single(change, before, after, *MATERIAL_COMPILE)


def _single(change: Change, before: float, after: float, factor: float, least: float) -> Change:
    """Judges a change of a single reading, which needs both a factor and an amount."""
    ratio = after / before if before > 0 else math.inf
    change.numbers = {"old": before, "new": after}
    change.interval, change.size = f"× {ratio:.3g}", abs(math.log(ratio)) if 0 < ratio < math.inf else 0.0
    if abs(after - before) > least and not 1 / factor < ratio < factor:
        change.verdict = WORSE if after > before else BETTER
    return change


def memory(backend: str, old_backend: str, old: Record, new: Record, same_work: bool) -> list[Change]:
    """Peak resident memory of a backend's worker, if both runs trained and timed the same."""
    if backend not in new.peak_memory_mb or old_backend not in old.peak_memory_mb:
        return []
    before, after = old.peak_memory_mb[old_backend], new.peak_memory_mb[backend]
    change = Change(SAME, backend, "whole run", "peak memory", old=f"{before:,.0f} MB", new=f"{after:,.0f} MB")
    if same_work and min(before, after) > 0:
        return [_single(change, before, after, MATERIAL_MEMORY, least=0.0)]
    change.verdict, change.numbers = NOT_COMPARABLE, {"old": before, "new": after}
    not_measured = "no process has a peak memory of 0 or less: it was not measured"
    change.note = not_measured if same_work else "the runs trained different networks"
    return [change]
