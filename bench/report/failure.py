"""The text of a failure: the law, how much, where, and whose fault it is."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping

from bench.evidence.aligned import NAMES, AlignedEvidence
from bench.evidence.evidence import Evidence
from bench.evidence.own import OwnEvidence
from bench.judging.finding import Finding
from bench.judging.verdict import FAILED, PASSED, Verdict
from bench.metamorphic.promised import shown
from bench.report import texts
from models.backends.registry import info
from models.spec import Spec

SHOWN = 6
"""How many findings a failure shows."""
OWN_REFERENCE = "the model's own float64 twin; numbers are multiples of what {precision} rounding costs here"
"""What a user's own model is judged by, in the words of a failure."""
LABEL = 11
"""Width of the words before each line."""


def of_network(verdict: Verdict, evidence: Evidence, others: list[Verdict], environment: Mapping[str, str]) -> str:
    """A failed verdict on a network; `others` are the same check on the same network in other frameworks."""
    backend = (
        texts.library(evidence.seen.versions), environment.get("device", "cpu"), evidence.spec.precision,
        f"{environment.get('threads', '?')} thread(s)",
    )  # fmt: skip
    facts = {
        "network": f"{verdict.subject}   {describe_network(evidence.spec)}",
        "backend": " · ".join(backend),
        "against": _against(verdict.against, evidence),
    }
    return _failure(verdict, facts, _with_neighbours(verdict), others)


def of_own(verdict: Verdict, evidence: OwnEvidence, environment: Mapping[str, str]) -> str:
    """A failed verdict on a user's own model."""
    seen = evidence.seen
    backend = (texts.library(seen.versions), seen.device, seen.precision, f"{environment.get('threads', '?')} thread(s)")
    against = "the law itself" if verdict.against == "itself" else OWN_REFERENCE.format(precision=seen.precision or "float32")
    facts = {
        "model": f"{verdict.subject}   {texts.counted(seen.parameters, 'parameter')}",
        "backend": " · ".join(backend),
        "against": against,
    }
    return _failure(verdict, facts, _with_neighbours(verdict), [])


def of_aligned(verdict: Verdict, evidence: AlignedEvidence, environment: Mapping[str, str]) -> str:
    """A failed verdict on one side of a network that both frameworks hold: where they first part, and whose fault that is."""
    facts = {
        "model": f"{verdict.subject}   {texts.counted(evidence.parameters, 'parameter')}",
        "backend": f"{texts.library(evidence.versions)} · {environment.get('threads', '?')} thread(s)",
        "against": f"{evidence.other} with the same weights, and both float64 twins; numbers are multiples of what rounding costs here",
    }
    for way, where, whose in evidence.first_parted():
        facts[way] = f"they first part {where}{': this is ' + NAMES[whose] + chr(39) + 's' if whose else ', and nothing tells whose it is'}"
    if reasons := [parting.because for parting in evidence.parted.values()]:
        facts["because"] = reasons[0]
    return _failure(verdict, facts, _with_neighbours(verdict), [])


def of_relation(verdict: Verdict, versions: Mapping[str, str]) -> str:
    """A failed verdict on a relation between ways to use a framework."""
    worst_first = sorted((f for f in verdict.findings if not f.within), key=lambda f: -f.exceedance)
    text = _failure(verdict, {verdict.check: verdict.subject, "backend": texts.library(versions)}, worst_first[:SHOWN], [], notes=True)
    if not shown(verdict.subject, info(verdict.backend).framework):
        return text
    place = shlex.quote(f"{verdict.subject}: {worst_first[0].where}")
    return f"{text}\n{_labelled('script', f'python -m bench promises --backend={verdict.backend} --script={place}')}"


def _failure(verdict: Verdict, facts: Mapping[str, str], shown: list[Finding], others: list[Verdict], *, notes: bool = False) -> str:
    """Law, facts, a table of findings, and what is known of the cause; with `notes` every row says what it looks like."""
    worst = verdict.worst
    assert worst is not None
    count = f"{verdict.outside} of {verdict.judged} numbers {'is' if verdict.outside == 1 else 'are'} outside"
    lines = [f"{verdict.law}: {count}, worst at {worst.where}", ""]
    lines += [_labelled(name, text, LABEL - 2) for name, text in facts.items()]
    lines += ["", *_table(shown, notes), ""]
    if worst.note and not notes:
        lines.append(_labelled("looks like", worst.note))
    diagnosis = [line for cause in verdict.causes for line in cause.lines()]
    lines += [_labelled("" if n else "diagnosis", line) for n, line in enumerate(diagnosis)]
    if verdict.reason:
        lines.append(_labelled("note", verdict.reason))
    lines += [_labelled(other.backend, blame(verdict, other)) for other in others]
    return "\n".join([*lines, _labelled("rerun", verdict.rerun)])


def _labelled(label: str, text: str, width: int = LABEL) -> str:
    return f"  {label:<{width}}{text}"


def _table(shown: list[Finding], notes: bool) -> Iterator[str]:
    width = max(32, *(len(f.where) for f in shown)) + 2
    yield f"  {'where':<{width}}{'observed':>12}     allowed"
    for f in shown:
        row = f"  {f.where:<{width}}{texts.number(f.value):>12}     {texts.allowed(f):<16}{texts.outside(f):<12}"
        yield f"{row}{f.note if notes else ''}".rstrip()


def describe_network(spec: Spec) -> str:
    """The network in words: `depth 16 · width 64 · relu · no norm · no skip · he_normal · no clip`."""
    clip = "no clip" if spec.clip == "none" else f"clip by {spec.clip} at {spec.clip_at:g}"
    parts = (
        *spec.arch.described, spec.init, clip, f"{spec.optimizer} lr {spec.learning_rate:g}", spec.loss,
    )  # fmt: skip
    return " · ".join(parts)


def _with_neighbours(verdict: Verdict) -> list[Finding]:
    """Outliers in order of place, the worst of them chosen, and the neighbours of the worst for scale."""
    ranked = sorted(range(len(verdict.findings)), key=lambda i: -verdict.findings[i].exceedance)
    worst = ranked[0]
    chosen = {worst, max(worst - 1, 0), min(worst + 1, len(verdict.findings) - 1)}
    for place in ranked:
        if len(chosen) >= SHOWN or verdict.findings[place].within:
            break
        chosen.add(place)
    return [verdict.findings[place] for place in sorted(chosen)]


def _against(against: str, evidence: Evidence) -> str:
    if against == "reference":
        return f"numpy float64; rounding measured by numpy {'float32' if evidence.spec.format.plain else evidence.spec.precision}"
    if against == "theory":
        return "mean-field theory and sampling error of the promised distribution"
    if against == "baseline":
        nearest = (
            f", the nearest recording ({evidence.baseline.fallback}), so intervals are wider"
            if evidence.baseline and evidence.baseline.fallback
            else ""
        )
        return f"recorded seeds{nearest}"
    return "the law itself, to rounding"


def blame(verdict: Verdict, other: Verdict) -> str:
    """Whose a failure is, as far as the same check on the same network in another framework tells."""
    if other.status == FAILED:
        return f"same network, same weights: {other.outside} of {other.judged} outside as well, so the cause is shared"
    if other.status == PASSED:
        return f"same network, same weights: {other.judged} of {other.judged} within, so this is {verdict.backend}'s"
    needed = f"but the law is {verdict.backend}'s own, so this is {verdict.backend}'s" if verdict.against == "itself" else ""
    return f"same network: {other.status}, {needed or 'so it cannot tell whose this is'}"
