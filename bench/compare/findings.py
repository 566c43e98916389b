"""Checks of two runs: which numbers left their bounds, which came back.

Every finding brings its own bound, so that both sides are judged by their own network and rounding. What is outside on both
sides counts as changed only when the distance changed by more than rounding could: `ROUNDING_MULTIPLE` times.
"""

from __future__ import annotations

from bench.compare.change import BETTER, NOT_COMPARABLE, SAME, VANISHED, WORSE, Change
from bench.judging.finding import Finding
from bench.judging.place import Place
from bench.judging.tolerance import ROUNDING_MULTIPLE
from bench.judging.verdict import FAILED, KNOWN, PASSED, Verdict
from bench.report import texts

JUDGED = (PASSED, FAILED, KNOWN)


def compare(old: Verdict, new: Verdict) -> Change:
    """The change of one check on one network; `worse` names the place that is furthest outside."""
    change = Change(SAME, new.backend, new.subject, new.check, rerun=new.rerun)
    unjudged = [f"{side} run: {v.status}, {v.reason}" for side, v in (("old", old), ("new", new)) if v.status not in JUDGED]
    if unjudged:
        change.verdict, change.note = NOT_COMPARABLE, "; ".join(unjudged)
        return change
    before, after = ({f.place: f for f in v.findings} for v in (old, new))
    broke, mended = _left(before, after), _left(after, before)
    if broke:
        _tell(change, WORSE, before, after, broke, new)
    elif mended:
        _tell(change, BETTER, after, before, mended, old)
        change.old, change.new = change.new, change.old
    elif new.judged < old.judged:
        lost = [str(where) for where in before if where not in after]
        change.verdict, change.old, change.new = VANISHED, f"{old.judged} numbers", f"{new.judged} numbers"
        change.note = f"fewer numbers are judged, {lost[0]} among those that are missing" if lost else "fewer numbers are judged"
    return change


def _left(before: dict[Place, Finding], after: dict[Place, Finding]) -> list[Finding]:
    """What is outside afterwards and was not before, or was by far less; worst first."""
    outside = [f for f in after.values() if not f.within]
    left = [f for f in outside if f.place not in before or before[f.place].within or _far(f, before[f.place])]
    return sorted(left, key=lambda f: -f.exceedance)


def _far(one: Finding, other: Finding) -> bool:
    return one.exceedance > ROUNDING_MULTIPLE * other.exceedance


def _tell(
    change: Change, verdict: str, healthy: dict[Place, Finding], sick: dict[Place, Finding], places: list[Finding], judged: Verdict
) -> None:
    worst = places[0]
    counterpart = healthy.get(worst.place)
    change.verdict, change.size = verdict, worst.exceedance
    change.metric = f"{judged.check}, {worst.where}"
    change.old = texts.number(counterpart.value) if counterpart else "inside"
    change.new = texts.number(worst.value)
    change.interval = f"allowed {texts.allowed(worst)}"
    outside = sum(not f.within for f in sick.values())
    parts = [f"{outside} of {judged.judged} outside", worst.note]
    change.note = ", ".join(part for part in parts if part)
    change.numbers = {"value": worst.value, "low": worst.low, "high": worst.high, "outside": outside, "judged": judged.judged}
