"""Checks of two runs: which numbers left their bounds, which came back, which are no longer judged.

Every finding brings its own bound, so that both sides are judged by their own network and rounding. What is outside on both
sides counts as changed only when the distance changed by more than rounding could: `ROUNDING_MULTIPLE` times.
"""

from collections.abc import Callable, Hashable

from bench.compare.change import APPEARED, BETTER, NOT_COMPARABLE, SAME, VANISHED, WORSE, Change
from bench.judging.finding import Finding
from bench.judging.tolerance import ROUNDING_MULTIPLE
from bench.judging.verdict import FAILED, KNOWN, PASSED, Verdict
from bench.report import texts

JUDGED = (PASSED, FAILED, KNOWN)
Findings = dict[Hashable, Finding]


def compared(old: Verdict, new: Verdict, key: Callable[[Finding], Hashable]) -> Change:
    """The change of one check on one subject, findings joined on `key`; `worse` names the place that is furthest outside."""
    change = Change(SAME, new.backend, new.subject, new.check, rerun=new.rerun)
    judged = [side.status in JUDGED for side in (old, new)]
    if not all(judged):
        change.verdict = VANISHED if judged[0] else APPEARED if judged[1] else NOT_COMPARABLE
        unjudged = [(side, v) for side, v, ok in zip(("old", "new"), (old, new), judged, strict=True) if not ok]
        change.note = "; ".join(f"{side} run: {v.status}, {v.reason}" for side, v in unjudged)
        return change
    before, after = ({key(f): f for f in v.findings} for v in (old, new))
    broke, mended, lost = _left(before, after), _left(after, before), _lost(before, after)
    if broke:
        _fill(change, WORSE, before, after, broke[0], new)
    elif lost:
        change.verdict, change.old, change.new = VANISHED, f"{old.judged} numbers", f"{new.judged} numbers"
    elif mended:
        _fill(change, BETTER, after, before, mended[0], old)
        change.old, change.new = change.new, change.old
    change.note = "; ".join(filter(None, (change.note, lost)))
    return change


def _lost(before: Findings, after: Findings) -> str:
    """What is no longer judged, in words; a layer that was renamed is among what is new."""
    lost, fresh = ([f.where for place, f in one.items() if place not in other] for one, other in ((before, after), (after, before)))
    if not lost:
        return ""
    others = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
    return f"no longer judged: {lost[0]}{others}" + (f"; {len(fresh)} are new, such as {fresh[0]}" if fresh else "")


def _left(before: Findings, after: Findings) -> list[Hashable]:
    """Places of what is outside afterwards and was not before, or was by far less; worst first."""
    outside = {place: f for place, f in after.items() if not f.within}
    left = [place for place, f in outside.items() if place not in before or before[place].within or _far(f, before[place])]
    return sorted(left, key=lambda place: -outside[place].exceedance)


def _far(one: Finding, other: Finding) -> bool:
    return one.exceedance > ROUNDING_MULTIPLE * other.exceedance


def _fill(change: Change, verdict: str, healthy: Findings, sick: Findings, place: Hashable, judged: Verdict) -> None:
    worst, counterpart = sick[place], healthy.get(place)
    change.verdict, change.size, change.where = verdict, worst.exceedance, worst.where
    change.old = texts.number(counterpart.value) if counterpart else "within"
    change.new = texts.number(worst.value)
    change.interval = f"allowed {texts.allowed(worst)}"
    outside = sum(not f.within for f in sick.values())
    change.note = ", ".join(filter(None, (f"{outside} of {judged.judged} outside", worst.note)))
    change.numbers = {"value": worst.value, "low": worst.low, "high": worst.high, "outside": outside, "judged": judged.judged}
