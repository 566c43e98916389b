"""Findings, checks and verdicts: how a number becomes red or green.

A finding holds a value and the interval that admits it; `low <= value <= high` is false for NaN, so NaN fails. A check
that yields no finding is itself an error: silence is not health.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import numpy as np

from bench.judging.check import Check
from bench.judging.finding import Cause, Finding
from bench.judging.place import Place
from models.spent import JUDGE, spent_on

PASSED, FAILED, KNOWN, NO_BASELINE, NOT_JUDGED = "passed", "failed", "known failure", "no baseline", "not judged"
NOT_APPLICABLE = "not applicable"
"""What a check needs and a network or a framework does not have; NOT_JUDGED is what it could have judged and cannot decide."""
UNDECIDED = (NO_BASELINE, NOT_JUDGED, NOT_APPLICABLE)


class NotJudged(Exception):
    """A check cannot decide this network; the message is the counted reason."""


class RestNotJudged(NotJudged):
    """A check cannot decide a part of what it looks at, or all of it where it has yielded nothing; the message is the counted reason."""


class NotApplicable(Exception):
    """A check needs what this model turns out not to have; the message completes "needs …"."""


class NoBaseline(Exception):
    """Nothing was recorded for this network here; the message says how to record."""


@dataclass(frozen=True)
class Excuse:
    """What a known failure explains of a verdict: how many numbers, how far beyond their bounds the furthest lies and may lie."""

    reason: str
    numbers: int
    beyond: float
    most: float


@dataclass
class Verdict:
    """What a check says of one `subject`, a network or a relation, on one backend; `rerun` is the command that judges this case again."""

    check: str
    against: str
    law: str
    backend: str
    subject: str
    status: str
    reason: str = ""
    judged: int = 0
    outside: int = 0
    headroom: float = 1.0
    tightest: Place | None = None
    rerun: str = ""
    findings: list[Finding] = field(default_factory=list)
    excuses: list[Excuse] = field(default_factory=list)

    @property
    def worst(self) -> Finding | None:
        """The finding furthest outside."""
        return max((f for f in self.findings if not f.within), key=lambda f: f.exceedance, default=None)

    @property
    def causes(self) -> tuple[Cause, ...]:
        """What is wrong with the network, as far as its findings say."""
        return next((f.causes for f in self.findings if f.causes), ())


class Judged(Protocol):
    """What a check can be run on: something of a name that one backend did."""

    backend: str
    network: str


Subject = TypeVar("Subject", bound=Judged)


@spent_on(JUDGE, "checks")
def judge(check: Check[Subject], subject: Subject) -> Verdict:
    """Run a check and give its verdict. Raises AssertionError when a check yields nothing: silence is not health.

    What was outside before a check declined the rest stays red.
    """
    verdict = Verdict(check.name, check.against, check.law, subject.backend, subject.network, PASSED)
    findings: list[Finding] = []
    try:
        with np.errstate(all="ignore"):  # what is not finite is outside every interval; it needs no warning besides
            for finding in check.function(subject):
                findings.append(finding)  # one by one, so that what came before an exception is kept
    except RestNotJudged as reason:
        verdict.status, verdict.reason = PASSED if findings else NOT_JUDGED, str(reason)
    except NotJudged as reason:
        verdict.status, verdict.reason = NOT_JUDGED, str(reason)
    except NotApplicable as reason:
        verdict.status, verdict.reason = NOT_APPLICABLE, f"needs {reason}"
    except NoBaseline as reason:
        verdict.status, verdict.reason = NO_BASELINE, str(reason)
    outside = sum(not f.within for f in findings)
    if verdict.status != PASSED and not outside:
        return verdict
    assert findings, f"check {check.name} judged nothing of {subject.network} on {subject.backend}: this is a defect of the suite"
    verdict.findings, verdict.judged, verdict.outside = findings, len(findings), outside
    verdict.status = FAILED if outside else PASSED
    tightest = min(findings, key=lambda f: f.headroom)
    verdict.headroom, verdict.tightest = tightest.headroom, tightest.place
    return verdict
