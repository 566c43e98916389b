"""The table at the end of a run: what is healthy, how close each bound is to its edge, and what is red."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from bench.checks import CHECKS
from bench.judging.verdict import FAILED, KNOWN, PASSED, UNDECIDED, Verdict
from bench.metamorphic import ITSELF
from bench.metamorphic import NAME as EQUALITY
from bench.report import text_table
from bench.report.record import NotApplicable
from bench.theory.diagnosis import LOST, NOTABLE, UNDERFLOW

CELL = 48
"""The most characters of a cell."""
NAMED = 5
"""How many networks or reasons a line names."""
COMPILES = 0.1
"""A first step longer than this many seconds traced or compiled something."""


def table(verdicts: list[Verdict]) -> list[str]:
    """One row a check, one column a backend: passed of judged, and the tightest bound or the worst failure."""
    backends = list(dict.fromkeys(v.backend for v in verdicts))
    grid = [["check", "against", *backends]]
    rows_wanted = {name: check.against for name, check in CHECKS.items()} | {EQUALITY: ITSELF}
    for name, against in rows_wanted.items():
        rows = {b: [v for v in verdicts if v.check == name and v.backend == b] for b in backends}
        if any(rows.values()):
            grid.append([name, against, *(_cell(rows[b]) for b in backends)])
    return text_table.lines(grid, CELL)


def _cell(verdicts: list[Verdict]) -> str:
    if not verdicts:
        return "—"
    judged = [v for v in verdicts if v.status in (PASSED, FAILED, KNOWN)]
    passed = [v for v in judged if v.status == PASSED]
    text = f"{len(passed):>3}/{len(verdicts):<3}"
    failed = [v for v in judged if v.status == FAILED]
    if failed:
        worst = max(failed, key=lambda v: v.worst.exceedance if v.worst else 0.0)
        where = worst.worst.where if worst.worst else worst.reason
        return f"{text} ✗ {worst.subject} {where}"
    missing = Counter(v.status for v in verdicts if v.status in (*UNDECIDED, KNOWN))
    notes = ", ".join(f"{count} {status}" for status, count in missing.items())
    if not passed:
        return f"{text} {notes}"
    tightest = min(passed, key=lambda v: v.headroom)
    text += f" {max(tightest.headroom, 0.0):>4.0%}"
    notes = f", {notes}" if notes else ""
    place = _whole_fields(tightest.subject, CELL - len(text) - len(" left at ") - len(notes))
    return f"{text}{' left at ' * bool(place)}{place}{notes}"


def _whole_fields(network: str, room: int) -> str:
    """A network's id as far as there is room for: whole fields alone, or nothing where not even the first one fits."""
    if len(network) <= room:
        return network
    fields = network[: max(room - 1, 0)].rpartition(",")[0]
    return f"{fields},…" if fields else ""


def verdict_line(verdicts: list[Verdict], errors: int) -> str:
    """One sentence: healthy, or which framework fails which checks."""
    failed = [v for v in verdicts if v.status == FAILED]
    parts = [
        f"{backend} fails {', '.join(dict.fromkeys(v.check for v in failed if v.backend == backend))}"
        for backend in dict.fromkeys(v.backend for v in failed)
    ]
    if errors:
        parts.append(f"{errors} case{'s' * (errors > 1)} could not be judged at all")
    if parts:
        return "; ".join(parts) + "."
    if not any(v.judged for v in verdicts):
        return "Nothing was judged."
    names = " and ".join(dict.fromkeys(v.backend for v in verdicts))
    known = sum(v.status == KNOWN for v in verdicts)
    but = f", but for {known} known failure{'s' * (known > 1)}" if known else ""
    return f"{names}: every judged number is inside its bound{but} ({sum(v.judged for v in verdicts):,} numbers)."


def gains(verdicts: list[Verdict]) -> list[str]:
    """Which networks' gradients vanish or explode at initialization, in decades of the norm from the last layer to the first."""
    found = {(v.backend, v.subject): v.findings[-1] for v in verdicts if v.check == "backward_gain" and v.findings}
    found = {key: total for key, total in found.items() if total.causes}
    totals = {key: finding.value for key, finding in found.items()}
    lines = []
    for word, chosen in (("vanishing", lambda d: d < -NOTABLE), ("exploding", lambda d: d > NOTABLE)):
        for backend in dict.fromkeys(b for b, _ in totals):
            ranked = sorted((-abs(d), d, network) for (b, network), d in totals.items() if b == backend and chosen(d))
            if ranked:
                named = " · ".join(f"{network} {d:+.1f}" for _, d, network in ranked[:NAMED])
                more = f" · {len(ranked) - NAMED} more" if len(ranked) > NAMED else ""
                lines.append(f"{word:<10} {backend:<6} {named}{more}")
                network = ranked[0][2]
                remedies = [remedy for cause in found[backend, network].causes for remedy in cause.remedies[:1]]
                lines += [f"{'remedy':<10} {'':<6} {network}: {remedy}" for remedy in remedies[:1]]
    lines += _underflows(verdicts)
    return ["gradients at initialization, decades from the last layer to the first:", *lines, ""] if lines else []


def _underflows(verdicts: list[Verdict]) -> Iterator[str]:
    """Networks that lose gradients to half precision's floor: the layer that loses most, and what would save it."""
    for verdict in verdicts:
        own = [f for f in verdict.findings if f.causes] if verdict.check == "underflow" else []
        worst = max(own, key=lambda f: f.value, default=None)
        cause = next((cause for cause in verdict.causes if cause.word == UNDERFLOW), None)
        if worst and worst.value > LOST and cause:
            yield f"{'underflow':<10} {verdict.backend:<6} {verdict.subject}: {worst.value:.0%} of {replace(worst.place, scope='')}"
            yield from (f"{'remedy':<10} {'':<6} {verdict.subject}: {remedy}" for remedy in cause.remedies[:1])


def step_times(timings: list[dict[str, Any]]) -> list[str]:
    """A line a network: a step's milliseconds by backend and mode, the first one's seconds if it compiles, share of the device's rate."""
    lines = []
    for network in dict.fromkeys(t["network"] for t in timings):
        cells = [
            f"{t['backend']} {t['mode']} {t['step_ms']:.3g} ms"
            + (f" (first {t['first_step_s']:.1f} s)" if t["first_step_s"] > COMPILES else "")
            + (f" {t['of_product_rate']:.1%}" if t.get("of_product_rate") else "")
            for t in timings
            if t["network"] == network
        ]
        lines.append(f"step time  {network:<11} {' · '.join(cells)}")
    rates = {t["backend"]: t["product_flops_per_s"] for t in timings if "product_flops_per_s" in t}
    if rates:
        told = " · ".join(f"{backend} {rate / 1e9:,.0f} Gflop/s" for backend, rate in rates.items())
        lines.append(f"% is of the rate at which the device multiplies large float32 matrices: {told}")
    return [*lines, ""] if lines else []


def counted(verdicts: list[Verdict]) -> list[str]:
    """Every reason why something was not judged or is known, with how often."""
    reasons = Counter((v.status, v.backend, v.reason) for v in verdicts if v.status in (KNOWN, *UNDECIDED))
    return [f"{count} × {backend} {status}: {reason}" for (status, backend, reason), count in reasons.items()]


def not_applicable(absent: list[NotApplicable]) -> list[str]:
    """One line: what networks and backends do not have and checks need, the most frequent first."""
    counts: Counter[str] = Counter()
    for each in absent:
        counts[each.reason] += each.networks
    named = [f"{count} × needs {reason}" for reason, count in counts.most_common(NAMED)]
    more = [f"{len(counts) - NAMED} more reasons"] if len(counts) > NAMED else []
    return [f"not applicable: {' · '.join([*named, *more])}"] if named else []
