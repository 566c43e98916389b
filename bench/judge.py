"""Findings, checks and verdicts: how a number becomes red or green.

A finding holds a value and the interval that admits it; `low <= value <= high` is false for NaN, so NaN fails. A check
that yields no finding is itself an error: silence is not health.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from models.spec import Spec

PASSED, FAILED, KNOWN, NO_BASELINE, NOT_JUDGED = "passed", "failed", "known failure", "no baseline", "not judged"


class NotJudged(Exception):
    """A check cannot decide this network; the message is the counted reason."""


class NoBaseline(Exception):
    """Nothing was recorded for this network here; the message says how to record."""


@dataclass(frozen=True)
class Scale:
    """To and from the scale on which a number's spread is even."""

    forward: Callable[[Any], Any]
    backward: Callable[[Any], Any]


NUDGE = 1e-3
"""Keeps the logit of an accuracy of 0 or 1 finite: about half a test sample."""
SCALES = {
    "linear": Scale(lambda x: x, lambda x: x),
    "log": Scale(np.log, np.exp),
    "logit": Scale(lambda p: np.log((p + NUDGE) / (1 - p + NUDGE)), lambda x: (1 + 2 * NUDGE) / (1 + np.exp(-x)) - NUDGE),
}


@dataclass(frozen=True)
class Finding:
    """One number and what it may be: `where` it was seen, `low <= value <= high`, `note` on what an outlier looks like.

    `scale` names the scale of SCALES on which the interval is even, and its room is measured.
    """

    where: str
    value: float
    low: float
    high: float
    note: str = ""
    scale: str = "linear"

    def __post_init__(self) -> None:
        """Plain floats, so that findings travel as JSON."""
        for name in ("value", "low", "high"):
            object.__setattr__(self, name, float(getattr(self, name)))

    @property
    def inside(self) -> bool:
        """Whether the interval admits the value; NaN is never admitted."""
        return self.low <= self.value <= self.high

    @property
    def left(self) -> float:
        """Share of the way from the interval's middle (or from zero, if one-sided) to its nearest edge that is left."""
        if not self.inside:
            return 0.0
        if self.low == self.high:
            return 1.0
        if self.one_sided:
            return 1 - self.value / self.high if self.high > 0 else 1.0
        low, value, high = self._on_scale()
        return min(value - low, high - value) / ((high - low) / 2)

    @property
    def excess(self) -> float:
        """How far outside, in interval half-widths (or multiples of a one-sided limit); infinite for NaN."""
        if math.isnan(self.value):
            return math.inf
        if self.inside:
            return 0.0
        if self.one_sided:
            return self.value / self.high if self.high > 0 else math.inf
        low, value, high = self._on_scale()
        half = (high - low) / 2
        return (low - value if value < low else value - high) / half if half > 0 else math.inf

    @property
    def one_sided(self) -> bool:
        """Whether only the upper edge can be crossed: an error, which is never negative."""
        return self.scale == "linear" and (self.low == 0 or math.isinf(self.low))

    def _on_scale(self) -> tuple[float, float, float]:
        forward = SCALES[self.scale].forward
        with np.errstate(all="ignore"):  # the log of a loss of zero is as far outside as can be
            return float(forward(self.low)), float(forward(self.value)), float(forward(self.high))


@dataclass(frozen=True)
class Check:
    """A law: `function(run)` yields findings, its docstring's first line is the law, `against` is what it is judged by."""

    function: Callable[[Any], Iterator[Finding]]
    against: str
    applies: Callable[[Spec, str], bool] = lambda spec, backend: True

    @property
    def name(self) -> str:
        """The check's name, as in test ids."""
        return self.function.__name__

    @property
    def law(self) -> str:
        """The law in one sentence."""
        return (self.function.__doc__ or "").strip().partition("\n")[0].rstrip(".")


@dataclass
class Verdict:
    """What a check says of one network on one backend; `rerun` is the command that judges this case again."""

    check: str
    against: str
    law: str
    backend: str
    network: str
    status: str
    reason: str = ""
    judged: int = 0
    outside: int = 0
    left: float = 1.0
    left_where: str = ""
    rerun: str = ""
    findings: list[Finding] = field(default_factory=list)

    @property
    def worst(self) -> Finding | None:
        """The finding furthest outside."""
        return max((f for f in self.findings if not f.inside), key=lambda f: f.excess, default=None)


def judge(check: Check, run: Any) -> Verdict:
    """Run a check and give its verdict. Raises AssertionError when a check yields nothing: silence is not health.

    What was outside before a check declined the rest stays red.
    """
    verdict = Verdict(check.name, check.against, check.law, run.backend, run.network, PASSED)
    findings: list[Finding] = []
    try:
        with np.errstate(all="ignore"):  # what is not finite is outside every interval; it needs no warning besides
            for finding in check.function(run):
                findings.append(finding)  # one by one, so that what came before an exception is kept
    except NotJudged as reason:
        verdict.status, verdict.reason = NOT_JUDGED, str(reason)
    except NoBaseline as reason:
        verdict.status, verdict.reason = NO_BASELINE, str(reason)
    outside = sum(not f.inside for f in findings)
    if verdict.status != PASSED and not outside:
        return verdict
    assert findings, f"check {check.name} judged nothing of {run.network} on {run.backend}: this is a defect of the suite"
    verdict.findings, verdict.judged, verdict.outside = findings, len(findings), outside
    verdict.status = FAILED if outside else PASSED
    tightest = min(findings, key=lambda f: f.left)
    verdict.left, verdict.left_where = tightest.left, tightest.where
    return verdict
