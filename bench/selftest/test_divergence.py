"""Who judges trainings that diverge: of themselves they are not the framework's doing, by a framework alone they are."""

from __future__ import annotations

import pytest

from bench.checks import CHECKS
from bench.evidence.divergence import overflow
from bench.judging.verdict import FAILED, NOT_JUDGED, judge
from bench.selftest.kills import seen
from models.spec import Spec

DIVERGES = "depth=4,act=linear,lr=10"


@pytest.mark.parametrize("backend", ["torch", "keras"])
def test_a_training_that_diverges_in_the_reference_as_well_is_not_judged(backend: str) -> None:
    run = seen(backend, DIVERGES, trains=True)
    verdicts = {name: judge(CHECKS[name], run) for name in ("finite", "evaluation", "training")}
    assert {verdict.status for verdict in verdicts.values()} == {NOT_JUDGED}
    assert "diverges of itself, in the reference as well, with seed 1000 (step " in verdicts["finite"].reason
    run.start = None  # nothing to compare with
    assert judge(CHECKS["finite"], run).status == FAILED


def test_a_framework_that_diverges_alone_is_red() -> None:
    run = seen("torch", "depth=4", trains=True)
    run.seen.trainings[1].losses[7] = float("nan")
    verdict = judge(CHECKS["finite"], run)
    assert verdict.status == FAILED
    assert verdict.findings[-1].within
    assert [finding.where for finding in verdict.findings if not finding.within] == ["training seed 1001 step 7 loss"]


def test_the_reference_follows_the_conventions_and_stops_at_the_step_that_was_asked_for() -> None:
    start = seen("torch", DIVERGES, trains=True).start
    assert start is not None
    step = overflow(Spec.parse(DIVERGES), "torch", start(1000), 99)
    assert step
    assert overflow(Spec.parse(DIVERGES), "torch", start(1000), step - 1) is None
    assert overflow(Spec.parse("depth=4,act=linear,lr=10,precision=float64"), "torch", start(1000), step) is None
