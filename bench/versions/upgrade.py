"""An upgrade of a user's own model in words: safe, or what is wrong since which release, and which release is right."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from bench.checks.own import OWN_CHECKS, REFERENCE
from bench.judging.finding import Finding
from bench.judging.place import Place
from bench.judging.verdict import FAILED, KNOWN, PASSED, Verdict
from bench.report import texts
from bench.report.record import Record
from models.spec import Spec, SpecError

GRADIENT = "gradient_parity"
SHOWN = 3
"""How many numbers of a check are named; the table of changes has more."""
Key = tuple[str, Place]


@dataclass(frozen=True)
class Seen:
    """What the run of one set of requirements says of one model on one backend: verdicts by check, findings by check and place."""

    release: str
    verdicts: dict[str, Verdict]
    findings: dict[Key, Finding]
    memory: float
    error: str = ""
    device: str = "cpu"

    @property
    def judged(self) -> int:
        """How many numbers were judged."""
        return sum(verdict.judged for verdict in self.verdicts.values())


def lines(records: Mapping[str, Record]) -> list[str]:
    """For each own model and backend one paragraph on upgrading from the first set to the last; none for networks of the matrix."""
    found = list[str]()
    for backend, model in dict.fromkeys(own for record in records.values() for own in _own(record)):
        seen = [_seen(release, record, backend, model) for release, record in records.items()]
        found += ["", *_paragraph(model, backend, seen)]
    return found


def _own(record: Record) -> Iterator[tuple[str, str]]:
    """Backend and name of every model that is no network of the matrix."""
    for verdict in record.verdicts:
        if verdict.check in OWN_CHECKS and not _of_matrix(verdict.subject):
            yield verdict.backend, verdict.subject


def _of_matrix(subject: str) -> bool:
    try:
        Spec.parse(subject)
    except SpecError:
        return False
    return True


def _seen(release: str, record: Record, backend: str, model: str) -> Seen:
    own = {v.check: v for v in record.verdicts if v.backend == backend and v.subject == model}
    findings = {(check, finding.place): finding for check, verdict in own.items() for finding in verdict.findings}
    error = next((each.message for each in record.errors if f"-{backend}-" in each.case and each.case.rstrip("]").endswith(model)), "")
    memory, device = record.peak_memory_mb.get(backend, 0.0), record.environment.get("device", "cpu")
    return Seen(release, own, findings, memory, error.partition("\n")[0], device)


def _paragraph(model: str, backend: str, seen: list[Seen]) -> Iterator[str]:
    name, first, last = f"{model} on {backend}", seen[0], seen[-1]
    if last.error or not last.judged:
        yield f"✗ {name}: {last.release} cannot run it: {last.error or 'nothing of it was judged'}"
        return
    outside = {key: f for key, f in last.findings.items() if not f.within and last.verdicts[key[0]].status == FAILED}
    worse = {key: f for key, f in outside.items() if any(_within(each, key, f) for each in seen[:-1])}
    if worse:
        yield f"✗ {name}: not safe. {texts.counted(len(worse), 'number')} of {last.judged:,} went wrong by {last.release}."
        yield from _lines(worse, seen, model)
    elif outside:
        yield f"= {name}: an upgrade changes nothing. What is wrong in {last.release} was wrong before, or was not judged there."
        yield from _lines(outside, seen, model)
    elif lost := _lost(first, last):
        yield f"? {name}: cannot tell. {lost}"
    elif len(seen) == 1:
        yield f"✓ {name}: all {last.judged:,} numbers are right in {last.release}."
    else:
        yield f"✓ {name}: safe. All {last.judged:,} numbers of {_counted(last)} are right in {last.release}."
    mended = {key: f for key, f in first.findings.items() if not f.within and _within(last, key, f)}
    for (check, place), finding in list(mended.items())[:SHOWN]:
        after = _of(last, (check, place), finding)
        yield f"    {last.release} mends {place or check}: {_size(first.verdicts[check], finding)} → {_size(last.verdicts[check], after)}"
    for check, verdict in last.verdicts.items():
        if verdict.status == KNOWN:
            yield f"    {check} is a known failure in {last.release}"
    if len(seen) > 1 and first.memory and last.memory:
        yield f"    memory of the process at its peak: {first.memory:,.0f} → {last.memory:,.0f} MB"


def _lines(wrong: Mapping[Key, Finding], seen: list[Seen], model: str) -> Iterator[str]:
    """The worst numbers first: how wrong, since when, and which release is right."""
    last = seen[-1]
    worst = sorted(wrong.items(), key=lambda item: item[1].exceedance, reverse=True)
    for (check, place), finding in worst[:SHOWN]:
        since = _since(seen, (check, place), finding)
        right = next((each for each in reversed(seen) if _within(each, (check, place), finding)), None)
        told = f"    {check} {place}: {_size(last.verdicts[check], finding)} since {since}"
        if right is not None:
            told += f"; {right.release} is right, {_size(right.verdicts[check], _of(right, (check, place), finding))}"
        yield told
    if len(worst) > SHOWN:
        yield f"    and {texts.counted(len(worst) - SHOWN, 'more number')}"
    for (check, place), _ in worst:
        if check == GRADIENT and place == Place(parameter=place.parameter):
            on = f" --device={last.device}" if last.device != "cpu" else ""
            yield f"    for an issue: python -m bench script --model={shlex.quote(model)} --parameter={shlex.quote(place.parameter)}{on}"
            break


def _size(verdict: Verdict, finding: Finding | None) -> str:
    """A distance from the twin counts roundings; other laws have units of their own, and exact ones count entries."""
    assert finding is not None, "what is within was judged"
    if verdict.against == REFERENCE and finding.low == 0 < finding.high:
        return f"{finding.value:.3g} roundings off its float64 twin, {finding.high:g} allowed"
    return f"{finding.value:.3g}, {texts.allowed(finding)}"


def _of(seen: Seen, key: Key, other: Finding) -> Finding | None:
    """A set's own number, where `other` is that of another set; None where it was not judged.

    Records leave out what an exact law allowed (`bench.report.record_file`): of a check that was judged it held where nothing is said.
    """
    if key not in seen.findings and other.low == other.high and key[0] in seen.verdicts and seen.verdicts[key[0]].judged:
        return replace(other, value=other.low)
    return seen.findings.get(key)


def _within(seen: Seen, key: Key, other: Finding) -> bool:
    found = _of(seen, key, other)
    return found is not None and found.within


def _since(seen: list[Seen], key: Key, finding: Finding) -> str:
    """The first set of the last unbroken row of sets in which a number is outside."""
    since = seen[-1].release
    for each in reversed(seen):
        if key not in each.findings or _within(each, key, finding):
            break
        since = each.release
    return since


def _lost(first: Seen, last: Seen) -> str:
    """What the first set judged and the last one does not."""
    for check, verdict in first.verdicts.items():
        after = last.verdicts.get(check)
        if verdict.status in (PASSED, FAILED, KNOWN) and (after is None or not after.judged):
            reason = f": {after.reason}" if after and after.reason else ""
            return f"{check} was judged in {first.release} and is not in {last.release}{reason}."
    return ""


def _counted(seen: Seen) -> str:
    return texts.counted(sum(1 for verdict in seen.verdicts.values() if verdict.judged), "check")
