"""The text of a failure: the law, how much, where, and whose fault it is."""

from __future__ import annotations

from bench.evidence.evidence import Evidence
from bench.judging.finding import Finding
from bench.judging.verdict import FAILED, KNOWN, UNDECIDED, Verdict
from models.spec import Spec

SHOWN = 6
"""How many findings a failure shows, the worst and its neighbours first."""


def failure(verdict: Verdict, evidence: Evidence, others: list[Verdict], rerun: str, environment: dict[str, str]) -> str:
    """A page for one failed verdict; `others` are the same check on the same network in other frameworks."""
    worst = verdict.worst
    assert worst is not None
    count = f"{verdict.outside} of {verdict.judged} numbers {'is' if verdict.outside == 1 else 'are'} outside"
    lines = [
        f"{verdict.law}: {count}, worst at {worst.where}",
        "",
        f"  network  {verdict.subject}   {describe_network(evidence.spec)}",
        f"  backend  {backend_line(verdict.backend, evidence.seen.versions, environment, evidence.spec)}",
        f"  against  {_against(verdict.against, evidence)}",
        "",
        f"  {'where':<34}{'observed':>12}     allowed",
    ]
    lines += [_row(finding) for finding in _shown(verdict)]
    lines.append("")
    if worst.note:
        lines.append(f"  {'looks like':<11}{worst.note}")
    diagnosis = [line for cause in verdict.causes for line in cause.lines()]
    lines += [f"  {'' if n else 'diagnosis':<11}{line}" for n, line in enumerate(diagnosis)]
    lines += [f"  {other.backend:<11}{blame(verdict, other)}" for other in others]
    lines.append(f"  {'rerun':<11}{rerun}")
    return "\n".join(lines)


def describe_network(spec: Spec) -> str:
    """The network in words: `depth 16 · width 64 · relu · no norm · no skip · he_normal · no clip`."""
    skip = "no skip" if spec.arch.skip == "none" else f"skip over {spec.arch.skip} ({spec.arch.skip_order}-activation, {spec.arch.branch})"
    norm = "no norm" if spec.arch.norm == "none" else f"{spec.arch.norm} norm {spec.arch.norm_at} the activation"
    clip = "no clip" if spec.clip == "none" else f"clip by {spec.clip} at {spec.clip_at:g}"
    parts = (
        f"depth {spec.arch.depth}", f"width {spec.arch.width}", spec.arch.act, norm, skip, spec.init, clip,
        f"{spec.optimizer} lr {spec.learning_rate:g}", spec.loss,
    )  # fmt: skip
    return " · ".join(parts)


def backend_line(backend: str, versions: dict[str, str], environment: dict[str, str], spec: Spec) -> str:
    """`torch 2.13.0 · cpu · float32 · 1 thread`."""
    names = " on ".join(f"{name} {version}" for name, version in versions.items() if " " not in name)
    return f"{names} · {environment.get('device', 'cpu')} · {spec.precision} · {environment.get('threads', '?')} thread(s)"


def number(value: float) -> str:
    """Four characters of meaning whatever the size."""
    return f"{value:.3g}" if 1e-3 <= abs(value) < 1e4 or value == 0 else f"{value:.2e}"


def _row(finding: Finding) -> str:
    allowed = f"≤ {number(finding.high)}" if finding.low in (0.0, float("-inf")) else f"{number(finding.low)} … {number(finding.high)}"
    mark = "" if finding.within else f"    ✗ {number(finding.exceedance)} ×" if finding.exceedance < float("inf") else "    ✗"
    return f"  {finding.where:<34}{number(finding.value):>12}     {allowed}{mark}"


def _shown(verdict: Verdict) -> list[Finding]:
    """Outliers, worst first but shown in order, and the neighbours of the worst for scale."""
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
    if other.status in (*UNDECIDED, KNOWN):
        needed = f"but the law is {verdict.backend}'s own, so this is {verdict.backend}'s" if verdict.against == "itself" else ""
        return f"same network: {other.status}, {needed or 'so it cannot tell whose this is'}"
    if other.status == FAILED:
        return f"same network, same weights: {other.outside} of {other.judged} outside as well, so the cause is shared"
    return f"same network, same weights: {other.judged} of {other.judged} inside, so this is {verdict.backend}'s"
