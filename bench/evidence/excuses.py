"""What known failures explain of a network's verdict, with the reference sharing those faults that are written out."""

from __future__ import annotations

import numpy as np

from bench.baselines import known_failures
from bench.baselines.known_failures import KnownFailure
from bench.evidence.evidence import Evidence
from bench.judging.check import Check
from bench.judging.finding import Finding
from bench.judging.verdict import NotJudged, Verdict


def excuse(verdict: Verdict, check: Check[Evidence], evidence: Evidence, known: list[KnownFailure]) -> dict[KnownFailure, str]:
    """`known_failures.apply`, where the check is judged again beside a reference that shares faults which the list says it can."""
    return known_failures.apply(verdict, known, evidence.seen.versions, lambda faults: _found(check, evidence.sharing(faults)))


def _found(check: Check[Evidence], evidence: Evidence) -> list[Finding]:
    """All that a check finds, before it declines the rest."""
    findings: list[Finding] = []
    try:
        with np.errstate(all="ignore"):
            for finding in check.function(evidence):
                findings.append(finding)
    except NotJudged:
        pass
    return findings
