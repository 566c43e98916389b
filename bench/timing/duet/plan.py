"""The course of a duet: restart after restart until every metric of every case is decided or the budget is spent.

A claim of slower or faster is not yet a verdict: workers that are started afterwards must, by themselves, differ in the same
direction, and all restarts together by more than the margin. What they contradict stays inconclusive, so that no rerun turns a
slowdown into `same`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from bench.evidence.collect import reference_of
from bench.progress import say
from bench.timing.duet import rounds
from bench.timing.duet.calibration import Margins
from bench.timing.duet.equivalence import prove
from bench.timing.duet.gpu import Watch
from bench.timing.duet.metrics import METRICS
from bench.timing.duet.rounds import NotSynchronisedError, Pair, Series
from bench.timing.duet.sides import DuetCase
from bench.timing.duet.statistics import ALPHA, BETA, CONFIRMED, FASTER, FRESH, LEAST, OPEN, SAME, SLOWER, Estimate, discovered, estimate
from bench.timing.duet.verdict import ENVIRONMENT, NOTHING, Judged
from bench.timing.steps import NotTheSameError
from fixtures.data.datasets import Data
from models.spec import Spec
from models.worker.process import WorkerError, WorkerLacks

BUDGET, SLICE = 60.0, 4.0
"""Seconds of rounds per case in all, and per restart."""


@dataclass
class MetricTest:
    """One metric of one case: log-ratios so far, the claim that is to be confirmed and how many restarts had led to it."""

    case: str
    metric: str
    margin: float
    log_ratios: list[float] = field(default_factory=list)
    claim: str = ""
    claimed_at: int = 0
    verdict: str = ""
    reason: str = ""

    @property
    def estimate(self) -> Estimate | None:
        """Of all restarts."""
        return estimate(self.log_ratios, self.margin) if len(self.log_ratios) > 1 else None

    def confirm(self) -> None:
        """Restarts after the claim must differ in its direction by themselves, and all together by more than the margin."""
        fresh = self.log_ratios[self.claimed_at :]
        if len(fresh) < FRESH:
            return
        seen, every = estimate(fresh, self.margin), estimate(self.log_ratios, self.margin)
        again = seen.p_above if self.claim == SLOWER else 1 - seen.p_above
        beyond = every.p_slower if self.claim == SLOWER else every.p_faster
        if again <= CONFIRMED and beyond <= ALPHA:
            self.verdict = self.claim
        elif seen.p_same <= BETA:
            self.verdict, self.reason = OPEN, f"{self.claim} at first, and not confirmed by {len(fresh)} fresh restarts"


def update(tests: list[MetricTest]) -> None:
    """Decide what can be decided: `same` at once, slower and faster as claims, at one false-discovery rate over all that is open."""
    for test in tests:
        if test.claim and not test.verdict:
            test.confirm()
    ready = [each for each in tests if not each.claim and len(each.log_ratios) >= LEAST]
    found = [estimate(each.log_ratios, each.margin) for each in ready]
    slower, faster = discovered([e.p_slower for e in found]), discovered([e.p_faster for e in found])
    for test, seen, slow, fast in zip(ready, found, slower, faster, strict=True):
        if test.verdict:
            continue
        if slow or fast:
            test.claim, test.claimed_at = (SLOWER if slow else FASTER), len(test.log_ratios)
        elif seen.p_same <= BETA:
            test.verdict = SAME


@dataclass
class Duet:
    """Cases, what was measured of each, and why something was not."""

    cases: list[DuetCase]
    margins: Margins
    tests: list[MetricTest] = field(default_factory=list)
    series: list[Series] = field(default_factory=list)
    failed: dict[str, tuple[str, str]] = field(default_factory=dict)
    versions: list[dict[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def take(self, series: Series) -> None:
        """Add one restart of one case."""
        self.series.append(series)
        if not series.wall[0]:  # every round was disturbed: not a restart that says anything
            return
        known = {each.metric: each for each in self._tests_of(series.case)}
        for name, metric in METRICS.items():
            value = metric.log_ratio(series, 0, 1)
            if value is None or not np.isfinite(value):
                continue
            if name not in known:
                known[name] = MetricTest(series.case, name, self.margins(series.case, name))
                self.tests.append(known[name])
            if not known[name].verdict:
                known[name].log_ratios.append(value)

    def _tests_of(self, case: str) -> list[MetricTest]:
        return [each for each in self.tests if each.case == case]

    def _restarts_of(self, case: str) -> list[Series]:
        return [each for each in self.series if each.case == case and each.wall[0]]

    def log_ratios(self, test: MetricTest) -> list[float]:
        """Those of every restart, also of restarts after the verdict: what a calibration wants."""
        ratios = (METRICS[test.metric].log_ratio(series, 0, 1) for series in self._restarts_of(test.case))
        return [ratio for ratio in ratios if ratio is not None]

    def open(self, case: DuetCase) -> bool:
        """Whether a case goes on."""
        own = self._tests_of(case.id)
        return case.id not in self.failed and (not own or any(not each.verdict for each in own))

    def judged(self) -> list[Judged]:
        """A verdict for every metric of every case, as far as it was measured."""
        found = []
        for case in self.cases:
            own = self._tests_of(case.id)
            if case.id in self.failed:
                verdict, reason = self.failed[case.id]
                found.append(Judged(case.id, "all", verdict, reason=reason))
            elif not own:
                dropped = {reason for s in self.series if s.case == case.id for reason in s.dropped}
                reason = f"every round was dropped: {', '.join(dropped)}" if dropped else "the run ended before it was this case's turn"
                found.append(Judged(case.id, "all", NOTHING, reason=reason))
            found += [self._judged(test) for test in own]
        return found

    def _judged(self, test: MetricTest) -> Judged:
        metric = METRICS[test.metric]
        own = self._restarts_of(test.case)
        a, b = (metric.factor * float(np.median([metric.value(s, variant) for s in own])) for variant in (0, 1))
        reason, verdict = test.reason, test.verdict or OPEN
        if not test.verdict:
            reason = f"{test.claim}, but not confirmed before the budget was spent" if test.claim else "the budget was spent"
        return Judged(test.case, test.metric, verdict, test.estimate, test.margin, metric.unit, a, b, reason, test.log_ratios)


def run(
    duet: Duet, data: Data, *, budget: float = BUDGET, piece: float = SLICE, until_decided: bool = True,
    watch: Watch | None = None, quiet: bool = False,
) -> None:  # fmt: skip
    """Measure until everything is decided (or, with `until_decided` false, until the budget is spent); results are in `duet`.

    A worker that dies takes its case with it, not the run: the others go on with fresh ones.
    """
    restarts = max(LEAST, int(budget / piece))
    references = {spec: reference_of(spec, data) for spec in {case.spec for case in duet.cases} if isinstance(spec, Spec)}

    def proved(pair: Pair, case: DuetCase) -> None:
        if isinstance(case.spec, Spec):  # an own model has no reference: both sides do the same work (`bench.timing.duet.own`)
            prove(pair, case, data, references[case.spec])

    def measured(pair: Pair, case: DuetCase) -> None:
        duet.take(rounds.measure(pair, case, data, restart=restart, seconds=piece, watch=watch))

    for restart in range(restarts):
        going = [case for case in duet.cases if (duet.open(case) if until_decided else case.id not in duet.failed)]
        if not going:
            return
        for together in _together(going):
            if restart == 0:  # by workers of their own, so that a first step is the first that a worker takes
                _visit(duet, together, restart, watch, proved)
            _visit(duet, [case for case in together if case.id not in duet.failed], restart, watch, measured)
        update(duet.tests)
        verdicts = [each.verdict or each.claim or "open" for each in duet.tests]
        if not quiet:
            say(f"restart {restart + 1}: " + ", ".join(f"{verdicts.count(v)} {v}" for v in dict.fromkeys(verdicts)))


def _together(cases: list[DuetCase]) -> list[list[DuetCase]]:
    """Cases that can share their workers: same environments and backends on both sides."""
    groups: dict[tuple[object, ...], list[DuetCase]] = {}
    for case in cases:
        groups.setdefault((case.a.interpreter, case.a.backend, case.b.interpreter, case.b.backend), []).append(case)
    return list(groups.values())


def _visit(duet: Duet, cases: list[DuetCase], restart: int, watch: Watch | None, do: Callable[[Pair, DuetCase], None]) -> None:
    """Do it for one case after the other with workers that are fresh at the first, and again after one that they failed at."""
    waiting = list(cases)
    while waiting:
        case = waiting[0]
        if watch:
            watch.before()
        try:
            with rounds.fresh((case.a, case.b), restart) as pair:
                if not duet.versions:
                    duet.versions = [pair.ask(number, "versions") for number in (0, 1)]
                while waiting:
                    case = waiting[0]
                    pair.variants = (case.a, case.b)
                    do(pair, case)
                    waiting.pop(0)
        except (NotTheSameError, NotSynchronisedError, WorkerLacks) as reason:
            duet.failed[waiting.pop(0).id] = NOTHING, str(reason)
        except WorkerError as error:
            duet.failed[waiting.pop(0).id] = ENVIRONMENT, f"{error}".replace("\n", " ⏎ ")
