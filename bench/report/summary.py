"""The table at the end of a run: what is healthy, how close each bound is to its edge, and what is red."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from msgspec.structs import replace

from bench.checks import CHECKS
from bench.checks.own import OWN_CHECKS
from bench.evidence.times import CallTime, StepTime
from bench.judging.verdict import FAILED, KNOWN, NO_BASELINE, NOT_JUDGED, PASSED, UNDECIDED, Excuse, Verdict
from bench.metamorphic import ITSELF
from bench.metamorphic import NAME as EQUALITY
from bench.report import text_table, texts
from bench.report.record import NotApplicable
from bench.theory.diagnosis import LOST, NOTABLE, UNDERFLOW

CELL = 56
"""Characters of a cell at most; what does not fit loses whole fields of a network's id, and never a part of one."""
NAMED = 5
"""How many networks or reasons a line names."""
COMPILES = 0.1
"""A first step longer than this many seconds traced or compiled something."""


def table(verdicts: list[Verdict]) -> list[str]:
    """One row a check, one column a backend: passed of judged, and the tightest bound or the worst failure."""
    backends = list(dict.fromkeys(v.backend for v in verdicts))
    rows = [("check", "against", *backends)]
    checks: dict[str, str] = {name: check.against for name, check in CHECKS.items()}
    for name, against in {**checks, **{name: check.against for name, check in OWN_CHECKS.items()}, EQUALITY: ITSELF}.items():
        own = [[v for v in verdicts if v.check == name and v.backend == backend] for backend in backends]
        if any(own):
            rows.append((name, against, *map(_cell, own)))
    return text_table.lines(rows)


def _cell(verdicts: list[Verdict]) -> str:
    if not verdicts:
        return "—"
    passed, failed = ([v for v in verdicts if v.status == status] for status in (PASSED, FAILED))
    count = f"{len(passed):>3}/{len(verdicts):<3}"
    if failed:
        worst = max(failed, key=lambda v: v.worst.exceedance if v.worst else 0.0)
        where = worst.worst.where if worst.worst else worst.reason
        room = CELL - len(count) - len(" ✗  ") - len(where)
        subject = texts.shortened(worst.subject, max(room, len(f"{worst.subject.partition(',')[0]},…")))
        return text_table.cut(f"{count} ✗ {subject} {where}", CELL)
    statuses = Counter(v.status for v in verdicts if v.status != PASSED)
    rest = ", ".join(texts.counted(n, status) if status == KNOWN else f"{n} {status}" for status, n in statuses.items())
    if not passed:
        return f"{count} {rest}"
    tightest = min(passed, key=lambda v: v.headroom)
    left, rest = f"{count} {texts.share(tightest.headroom):>4} headroom", f", {rest}" if rest else ""
    at = texts.shortened(tightest.subject, CELL - len(left) - len(" at ") - len(rest))
    return f"{left} at {at}{rest}" if at else f"{left}{rest}"


def verdict_line(verdicts: list[Verdict], errors: int) -> str:
    """One sentence: healthy, or which framework fails which checks."""
    failed = [v for v in verdicts if v.status == FAILED]
    parts = [
        f"{backend} fails {', '.join(dict.fromkeys(v.check for v in failed if v.backend == backend))}"
        for backend in dict.fromkeys(v.backend for v in failed)
    ]
    if errors:
        parts.append(f"{texts.counted(errors, 'case')} could not be judged at all")
    if parts:
        return "; ".join(parts) + "."
    if not any(v.judged for v in verdicts):
        return "Nothing was judged."
    names = " and ".join(dict.fromkeys(v.backend for v in verdicts))
    known = sum(v.status == KNOWN for v in verdicts)
    but = f", but for {texts.counted(known, KNOWN)}" if known else ""
    return f"{names}: every judged number is within its bound{but} ({texts.counted(sum(v.judged for v in verdicts), 'number')})."


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


def step_times(timings: list[StepTime], calls: list[CallTime]) -> list[str]:
    """A line a network: a step's milliseconds by backend and mode, the first one's seconds if it compiles, share of the device's rate."""
    rows = [(t.network, t.backend, t.mode, t.step_ms, t.first_step_s, t.of_product_rate) for t in timings]
    rows += [(f"call batch={c.batch}", c.backend, c.entry, c.call_ms, c.first_call_s, 0.0) for c in calls]
    lines = []
    for each in dict.fromkeys(row[0] for row in rows):
        cells = [
            f"{backend} {mode} {milliseconds:.3g} ms"
            + (f" (first {first:.1f} s)" if first > COMPILES else "")
            + (f" {share:.1%}" if share else "")
            for network, backend, mode, milliseconds, first, share in rows
            if network == each
        ]
        lines.append(f"step time  {each:<11} {' · '.join(cells)}")
    if rates := {t.backend: t.product_flops_per_s for t in timings if t.product_flops_per_s}:
        named = " · ".join(f"{backend} {rate / 1e9:,.0f} Gflop/s" for backend, rate in rates.items())
        lines.append(f"% is of the rate at which the device multiplies large float32 matrices: {named}")
    return [*lines, ""] if lines else []


def memory(peaks: dict[str, float]) -> str:
    """Each process's largest resident memory in MB, and what all held `together` at one time, in whatever order they came."""
    each = [f"{name} {megabytes:,.0f} MB" for name, megabytes in peaks.items() if name != "together"]
    return f"peak resident memory: {' · '.join(each)}; together {peaks.get('together', 0.0):,.0f} MB at one time"


def counted(verdicts: list[Verdict]) -> list[str]:
    """Every reason why something was not judged or is known, with how often; of what is known, how many numbers it excused."""
    reasons = Counter((v.status, v.backend, v.reason) for v in verdicts if v.status in UNDECIDED or (v.reason and v.status != KNOWN))
    excuses: dict[tuple[str, str], list[Excuse]] = {}
    for verdict in verdicts:
        for excuse in verdict.excuses:
            excuses.setdefault((verdict.backend, excuse.reason), []).append(excuse)
    return [
        *(f"{len(each)} × {backend} {KNOWN}: {reason}: {_excused(each)}" for (backend, reason), each in excuses.items()),
        *(
            f"{count} × {backend} {'judged in part' if status == PASSED else status}: {reason}"
            for (status, backend, reason), count in reasons.items()
        ),
    ]


def before(verdicts: list[Verdict]) -> list[str]:
    """What the recording that was there before says of the trainings that take its place, a line a network that is not as it was."""
    lines = []
    for verdict in verdicts:
        if (worst := verdict.worst) is not None:
            said = f"{worst.where} {texts.number(worst.value)}, allowed {texts.allowed(worst)}"
            lines.append(f"by the old recording {verdict.backend} {verdict.subject} fails: {said}")
        elif verdict.status == NOT_JUDGED:
            lines.append(f"by the old recording {verdict.backend} {verdict.subject} is {verdict.status}: {verdict.reason}")
    judged = [verdict for verdict in verdicts if verdict.status != NO_BASELINE]
    passed = sum(verdict.status == PASSED for verdict in judged)
    return [f"{passed} of {texts.counted(len(judged), 'network')} as the old recording has them", *lines] if judged else []


def _excused(excuses: list[Excuse]) -> str:
    """`64 numbers excused, the furthest 3.8e-08 beyond its bound, of 4e-07 that are known`."""
    numbers = texts.counted(sum(each.numbers for each in excuses), "number")
    furthest = max(excuses, key=lambda each: each.beyond / each.most if each.most else 0.0)
    if not furthest.most:
        shared = max(each.beyond for each in excuses)
        return f"{numbers} excused" + (f", the furthest {shared:.2g} beyond its bound, as far as the fault reaches here" if shared else "")
    return f"{numbers} excused, the furthest {furthest.beyond:.2g} beyond its bound, of {furthest.most:.2g} that are known"


def not_applicable(absent: list[NotApplicable]) -> list[str]:
    """One line: what networks and backends do not have and checks need, the most frequent first."""
    counts: Counter[str] = Counter()
    for each in absent:
        counts[each.reason] += each.networks
    named = [f"{count} × needs {reason}" for reason, count in counts.most_common(NAMED)]
    more = [f"{len(counts) - NAMED} more reasons"] if len(counts) > NAMED else []
    return [f"not applicable: {' · '.join([*named, *more])}"] if named else []
