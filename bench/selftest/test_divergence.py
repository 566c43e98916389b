"""Who judges trainings that diverge: of themselves they are not the framework's doing, by a framework alone they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from bench.checks import CHECKS
from bench.evidence import divergence
from bench.evidence.collect import start_of
from bench.evidence.divergence import followed, of_themselves, overflow
from bench.evidence.reference import ROUNDINGS
from bench.judging.verdict import FAILED, NOT_JUDGED, judge
from bench.selftest.kills import data, seen
from models.observation import Training
from models.spec import Spec

DIVERGES = "depth=4,act=linear,lr=10"
ROUNDED = "depth=2,width=8,batch=4,precision=mixed_float16"
"""A training whose course is chaotic to the judge: results are rounded to half precision."""


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


def test_a_training_that_only_some_orders_of_summing_lead_out_of_range_is_not_judged_and_one_that_none_does_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Which orders do is decided by the machine's own sums, so that it is given here."""
    run = seen("torch", ROUNDED, trains=True)
    history = replace(run.seen.trainings[0], seed=2)
    history.losses[30:] = float("nan")
    run.seen.trainings = [history]
    asked: list[tuple[int | None, int]] = []

    def by_order(of: dict[int | None, int]) -> Callable[..., int | None]:
        def found(spec: Spec, conventions: str, training: Training, last: int, order: int | None = None) -> int | None:
            asked.append((order, last))
            return of.get(order)

        return found

    assert not of_themselves(run), "no order of summing leads this one out of range"
    last = len(history.losses)
    for of, seeds, orders in (
        ({}, {}, [None, *range(ROUNDINGS)]),
        ({3: 32, 4: 31}, {2: 32}, [None, 0, 1, 2, 3]),
        ({None: 30}, {2: 30}, [None]),
    ):
        asked.clear()
        monkeypatch.setattr(divergence, "overflow", by_order(of))
        assert of_themselves(run) == seeds
        assert asked == [(order, last) for order in orders], "to the training's end, until one of them leaves the range"


def test_a_training_in_another_order_of_summing_is_another_training_and_in_the_same_order_the_same() -> None:
    spec = Spec.parse("depth=4")
    start = start_of(spec, data())
    one, again, *others = (followed(spec, "torch", start(2), 30, order)[0] for order in (0, 0, None, *range(1, ROUNDINGS)))
    assert one == again
    assert all(other != one and np.allclose(other, one, rtol=1e-3) for other in others)


def test_rounding_that_has_grown_until_then_is_nobodys_doing_and_before_it_has_is() -> None:
    """Orders of summing part after some tens of steps that are far too large, and end at steps apart."""
    wild = Spec.parse(
        "depth=14,batch=4,classes=2,act=gelu_tanh,norm=batch,norm_at=after,eps=1e-08,groups=8,bottleneck=2,init=small_normal,clip_at=100,"
        "optimizer=sgd,lr=30,precision=float64"
    )
    run = seen("torch", "depth=4", trains=True)
    (history,) = run.seen.trainings[:1]
    for step, excused in ((60, True), (3, False)):
        losses = np.where(np.arange(100) >= step, np.nan, 1.0)
        lost = replace(history, seed=1000, losses=losses, gradient_norms=np.ones((100, 14)))
        spoilt = replace(run, spec=wild, start=start_of(wild, data()), seen=replace(run.seen, trainings=[lost]))
        assert bool(of_themselves(spoilt)) == excused, step
