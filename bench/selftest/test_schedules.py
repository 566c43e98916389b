"""The rows of schedules against each framework's own, and what the update check sees of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.checks import CHECKS
from bench.evidence.evidence import Evidence
from bench.evidence.probes import OVERFLOWS
from bench.evidence.reference import ReferenceResult
from bench.judging.verdict import FAILED, PASSED, judge
from bench.selftest.kills import seen
from models.observation import Job
from models.parts import schedules
from models.parts.schedules import SCHEDULES, STEPS
from models.reference.draws import prepare_forced_steps
from models.reference.optimizers import Rule
from models.spec import Spec
from models.worker.tasks.observe import observe

RATE = 0.3


@pytest.mark.parametrize("name", [name for name, row in SCHEDULES.items() if row.torch])
def test_pytorch_s_rates_follow_the_formula_to_fifteen_digits(name: str) -> None:
    torch = pytest.importorskip("torch")
    from models.backends.torch.model import schedule_of

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], RATE)
    advance, rates = schedule_of(Spec.of(schedule=name, lr=RATE), optimizer), []
    for _ in OVERFLOWS:
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        advance()
    assert rates == pytest.approx([RATE * SCHEDULES[name].factor(t, "torch") for t in range(len(OVERFLOWS))], rel=1e-13, abs=1e-16)


@pytest.mark.parametrize("factor", [1 + 1e-15, 1 + 1e-12])
def test_a_small_rate_may_be_off_by_what_its_large_terms_round(factor: float, monkeypatch: Any) -> None:
    spec = Spec.parse("depth=2,width=8,features=8,classes=3,batch=8,act=tanh,norm=layer,optimizer=sgd,schedule=one_cycle,precision=float64")
    rng = np.random.default_rng(3)
    steps = prepare_forced_steps(spec, rng.standard_normal((200, 8)), rng.integers(0, 3, 200), 0)
    evidence = Evidence(spec.id, spec, "torch", observe(Job("torch", spec, forced_steps=steps)), ReferenceResult(spec, steps))
    exact = schedules._one_cycle
    monkeypatch.setattr(schedules, "_one_cycle", lambda t: factor * exact(t))
    assert judge(CHECKS["update"], evidence).status == (PASSED if factor < 1 + 1e-13 else FAILED)


@pytest.mark.parametrize("name", [name for name, row in SCHEDULES.items() if row.keras and name != Spec.schedule])
def test_keras_s_rates_follow_the_formula_to_float32(name: str) -> None:
    keras = pytest.importorskip("keras")
    row = SCHEDULES[name]
    assert row.keras
    schedule = row.keras(keras.optimizers.schedules, RATE)
    rates = [float(keras.ops.convert_to_numpy(schedule(t))) for t in range(len(OVERFLOWS))]
    assert rates == pytest.approx([RATE * row.factor(t, "keras") for t in range(len(OVERFLOWS))], rel=1e-6, abs=1e-7 * RATE)


@pytest.mark.parametrize("backend", ["torch", "keras"])
def test_the_update_sees_where_cosines_meet(backend: str, monkeypatch: Any) -> None:
    spec = Spec.parse("depth=2,width=8,features=8,classes=3,batch=8,act=tanh,optimizer=sgd,schedule=restarts")
    rng = np.random.default_rng(3)
    steps = prepare_forced_steps(spec, rng.standard_normal((200, 8)), rng.integers(0, 3, 200), 0)
    assert len(steps) == STEPS
    evidence = Evidence(spec.id, spec, backend, observe(Job(backend, spec, forced_steps=steps)), ReferenceResult(spec, steps))
    assert judge(CHECKS["update"], evidence).status == PASSED
    monkeypatch.setattr(schedules, "_restarted", lambda t: 0.5 * (1 + np.cos(np.pi * (t % 2) / 2)))
    verdict = judge(CHECKS["update"], evidence)
    assert verdict.status == FAILED
    assert {finding.place.step for finding in verdict.findings if not finding.within} == {3, 4, 5}


@pytest.mark.parametrize(("backend", "other"), [("torch", "keras"), ("keras", "torch")])
def test_a_skipped_step_is_counted_by_pytorch_s_schedule_and_not_by_keras_s(backend: str, other: str, monkeypatch: Any) -> None:
    evidence = seen(backend, "depth=2,width=8,batch=8,optimizer=adam,schedule=random,precision=mixed_float16", trains=False)
    assert judge(CHECKS["loss_scale"], evidence).status == PASSED
    skip = Rule.skip

    def as_the_other_does(rule: Rule) -> None:
        rule.conventions = other
        skip(rule)
        rule.conventions = backend

    monkeypatch.setattr(Rule, "skip", as_the_other_does)
    verdict = judge(CHECKS["loss_scale"], evidence)
    first = OVERFLOWS.index(True)
    assert {finding.place.step for finding in verdict.findings if not finding.within} == {
        step for step, overflows in enumerate(OVERFLOWS) if step > first and not overflows
    }


def test_a_network_with_a_schedule_is_not_trained_and_not_built_as_another() -> None:
    spec = Spec.of(schedule="cosine")
    assert not spec.trained
    assert spec.built_as is None
